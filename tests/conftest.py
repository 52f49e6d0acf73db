"""What all tests share."""

from hypothesis import settings

# No deadline: a shared or slow machine must not fail a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

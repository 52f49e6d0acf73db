"""What all tests share."""

import signal

from hypothesis import settings

# No deadline: a shared or slow machine must not fail a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell's background job ignores Ctrl-C, and so would the commands that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

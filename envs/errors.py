"""What can go wrong in a user's hands, each with a name to catch."""

from __future__ import annotations

import gymnasium


class ResetNeeded(gymnasium.error.ResetNeeded):
    """The conversation has not begun, or has ended."""


class InvalidAction(gymnasium.error.InvalidAction):
    """A malformed action, where `on_invalid="raise"` asked to be told so."""


class BadScene(ValueError):
    """A scene's name or content that no scene can be made of."""


class BadArgument(ValueError):
    """An argument of an environment that has no meaning."""


def one_of(what: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise `BadArgument` unless the value is among the allowed ones."""
    if value not in allowed:
        raise BadArgument(f"{what}={value!r} is not known: choose one of {', '.join(map(repr, allowed))}.")

"""The one action of Echo."""

from __future__ import annotations

from ..actions import ActionSet, Speech


class Say(Speech, frozen=True, tag="say"):
    """Say one word."""

    word: str

    examples = ({"type": "say", "word": "amber"},)


ACTIONS = ActionSet(Say)

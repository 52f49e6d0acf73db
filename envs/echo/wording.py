"""What the customer of Echo says."""

from __future__ import annotations

from collections.abc import Sequence

from ..memory import Fact
from ..wording import sentence
from .actions import ACTIONS
from .scenes import Scene


def say(scene: Scene, facts: Sequence[Fact], turn: int) -> str:
    """Ask for the word of the turn."""
    (fact,) = facts
    fact["words"] = [fact["value"]]
    return sentence(scene.asks[fact["round"]], fact["value"])


def show(scene: Scene, fact: Fact) -> str:
    """Echo has no tools, so it has no results to show."""
    raise AssertionError(f"Echo has no result such as {fact!r}.")


def brief(prompt: str) -> str:
    """What the agent is told at the start."""
    rule = "Say the word that the customer asks for. Answer with one JSON object and nothing else."
    return f"{rule}\n{ACTIONS.prompt(examples=prompt == 'full')}"

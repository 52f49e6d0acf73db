"""The state of Echo, and what a word does to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..actions import Action
from ..memory import Fact, Memory
from .actions import Say
from .scenes import Scene


class State:
    """How many rounds are played, and how many were right."""

    __slots__ = ("ended", "memory", "right", "round", "scene")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.memory = Memory()
        self.round = self.right = 0
        self.ended = ""

    def copy(self) -> State:
        """A state that goes its own way."""
        twin = State(self.scene)
        twin.memory, twin.round, twin.right, twin.ended = self.memory.copy(), self.round, self.right, self.ended
        return twin

    def key(self) -> tuple[Any, ...]:
        """What tells two states of one scene apart."""
        return self.round, self.right, self.ended


def opening(state: State) -> list[Fact]:
    """The customer asks for the first word."""
    return [_asked(state)]


def play(state: State, act: Action, decide: Callable[..., dict[str, Any]] | None) -> list[Fact]:
    """Take the word that was said, and ask for the next."""
    assert isinstance(act, Say)
    state.right += act.word == state.scene.words[state.round]
    state.round += 1
    if state.round < len(state.scene.words):
        return [_asked(state)]
    state.ended = "closed"
    return []


def goal(state: State) -> float:
    """1 when every word was right."""
    return float(state.right == len(state.scene.words))


def _asked(state: State) -> Fact:
    word = state.scene.words[state.round]
    return {"kind": "said", "act": "tell", "no": -1, "field": "word", "value": word, "round": state.round}

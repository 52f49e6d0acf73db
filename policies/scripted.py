"""Scripted policies that every environment has: the expert, a random one, and those that do not try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..envs.actions import Action
from ..envs.conversation import Observation
from ..envs.memory import Fact
from ..envs.spaces import JSON
from .base import Kind, Remembering


class Expert(Remembering):
    """The expert of an environment: it acts on memory alone."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._act = kind.parts.expert

    def choose(self, observation: Observation) -> Action:
        """What the expert does."""
        return self._act(self.memory)


class Blind:
    """A policy that remembers nothing."""

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing is held open."""


class Random(Blind):
    """Any valid JSON action, sampled from the action space."""

    def __init__(self, kind: Kind, seed: int = 0) -> None:
        self._space = JSON(kind.parts.actions.schema, seed=seed)

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """Draw."""
        return self._space.sample()


class Null(Blind):
    """Says nothing."""

    def __init__(self, kind: Kind) -> None:
        pass

    def act(self, observation: Observation, facts: Sequence[Fact]) -> str:
        """The empty text."""
        return ""


class Parrot(Blind):
    """Repeats the last message."""

    def __init__(self, kind: Kind) -> None:
        pass

    def act(self, observation: Observation, facts: Sequence[Fact]) -> str:
        """The words that were just said."""
        return str(observation["messages"][-1]["content"])


class Fixed(Blind):
    """Answers everything with the same action."""

    def __init__(self, kind: Kind, *, action: Action) -> None:
        self._action = action

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Action:
        """The one answer."""
        return self._action


POLICIES: dict[str, Callable[..., Any]] = {
    "expert": Expert,
    "random": Random,
    "null": Null,
    "silent": Null,
    "parrot": Parrot,
}

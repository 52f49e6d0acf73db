"""Scripted policies that every environment has: the expert, a random one, and those that do not try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..envs.actions import Action
from ..envs.conversation import Observation
from ..envs.memory import Fact
from ..envs.spaces import JSON
from .base import Kind, Policy, Remembering


class Expert(Remembering):
    """The expert of an environment: it acts on memory alone."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._act = kind.parts.expert

    def choose(self, observation: Observation) -> Action:
        """What the expert does."""
        return self._act(self.memory)


class Random(Policy):
    """Any valid JSON action, sampled from the action space."""

    def __init__(self, kind: Kind, seed: int = 0) -> None:
        self._schema, self._seed = kind.parts.actions.schema, seed
        self._space = JSON(self._schema, seed=seed)

    def reset(self, seed: int | None = None) -> None:
        """Draw anew for the conversation that a seed stands for; without one, go on drawing."""
        if seed is not None:
            self._space = JSON(self._schema, seed=self._seed ^ seed)

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """Draw."""
        return self._space.sample()


class Null(Policy):
    """Says nothing."""

    def __init__(self, kind: Kind) -> None:
        pass

    def act(self, observation: Observation, facts: Sequence[Fact]) -> str:
        """The empty text."""
        return ""


class Parrot(Policy):
    """Repeats the last message."""

    def __init__(self, kind: Kind) -> None:
        pass

    def act(self, observation: Observation, facts: Sequence[Fact]) -> str:
        """The words that were just said."""
        return str(observation["messages"][-1]["content"])


class Fixed(Policy):
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

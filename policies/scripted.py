"""Scripted policies that every environment has: the expert, a random one, and those that do not try."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from ..envs.actions import Action
from ..envs.conversation import Observation
from ..envs.errors import BadArgument
from ..envs.memory import Fact, Memory
from ..envs.spaces import JSON
from .base import Kind, Remembering


class Expert(Remembering):
    """The expert of an environment: its folder's `expert.act`, on memory alone."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._act = expert_of(kind)

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


def expert_of(kind: Kind) -> Callable[[Memory], Action]:
    """The `act` of the `expert` module beside an environment's class, or beside the class it derives from."""
    for base in kind.__mro__:
        name = f"{base.__module__.rpartition('.')[0]}.expert"
        if "parts" in base.__dict__ and name != ".expert" and importlib.util.find_spec(name):
            act: Callable[[Memory], Action] = importlib.import_module(name).act
            return act
    raise BadArgument(f"{kind.__name__} has no expert: write `act(memory)` in an expert.py beside its module.")


POLICIES: dict[str, Callable[..., Any]] = {
    "expert": Expert,
    "random": Random,
    "null": Null,
    "silent": Null,
    "parrot": Parrot,
}

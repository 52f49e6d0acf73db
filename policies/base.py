"""What a policy is: it is shown the transcript and the facts, and answers with an action."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from ..envs.actions import Action
from ..envs.conversation import ConversationEnv, Observation
from ..envs.memory import Fact, Memory

Kind = type[ConversationEnv]
"""The class of an environment: its action types and its name, and nothing of any conversation."""


class Policy(Protocol):
    """An agent. It sees what `reset` and `step` hand out, and nothing else of the environment."""

    def reset(self) -> None:
        """A conversation begins."""

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """The next action: JSON text, a dict or an action Struct."""

    def close(self) -> None:
        """Let go of what is held open."""


class Remembering:
    """A policy that folds what it is shown into a `Memory`; subclasses say what to do."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last conversation."""
        self.memory = Memory()
        self._last: Action | None = None

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """Take in what the last action brought, and choose the next."""
        self.memory.fold(self._last, facts)
        action = self.choose(observation)
        self._last = action if isinstance(action, Action) else None
        return action

    @abstractmethod
    def choose(self, observation: Observation) -> Any:
        """The next action, given `self.memory`."""

    def close(self) -> None:
        """Nothing is held open."""

"""What a policy is: it is shown the transcript and the facts, and answers with an action."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from ..envs.actions import Action
from ..envs.conversation import ConversationEnv, Observation
from ..envs.memory import Fact, Memory

Kind = type[ConversationEnv]
"""The class of an environment: its action types and its name, and nothing of any conversation."""
Manner = Literal["single", "batch", "async"]


class Usage(msgspec.Struct, omit_defaults=True, gc=False):
    """What a conversation has cost so far; `None` where nobody counted."""

    calls: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None


class Policy:
    """An agent. It sees what `reset` and `step` hand out, and nothing else of the environment.

    A subclass gives `act`, and `reset` where it keeps anything: to make it anew (`self.seen = []`, not `.clear()`).
    That is enough to hold many conversations at once: each has a slot, and each slot a twin of the policy, a copy. A
    policy that answers many in one go gives `act_batch`, one that waits for its answers gives `act_async`, and says so
    in `manner`.
    """

    manner: ClassVar[Manner] = "single"
    """How it likes to play many conversations: one after the other, in step, or each at its own pace."""
    parallel: int = 1
    """How many conversations it likes to hold at once."""

    @property
    def notes(self) -> Sequence[str]:
        """What whoever reads its results should know of how it played."""
        return ()

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins; what is left to chance in it is left to `seed`."""

    @abstractmethod
    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """The next action: JSON text, a dict or an action Struct."""

    def close(self) -> None:
        """Let go of what is held open."""

    def begin(self, slot: int, seed: int | None = None) -> None:
        """A conversation begins in a slot."""
        self.at(slot).reset(seed)

    def act_batch(
        self, observations: Sequence[Observation | None], facts: Sequence[Sequence[Fact] | None]
    ) -> list[Any]:
        """The next action of each slot, in their order; `None` for a slot where nothing is going on."""
        shown = enumerate(zip(observations, facts, strict=True))
        return [None if seen is None else self.at(slot).act(seen, new or ()) for slot, (seen, new) in shown]

    async def act_async(self, observation: Observation, facts: Sequence[Fact], slot: int = 0) -> Any:
        """The next action of a slot, while other slots wait for theirs."""
        return self.at(slot).act(observation, facts)

    def usage(self, slot: int = 0) -> Usage:
        """What the conversation of a slot has cost so far."""
        return Usage()

    def at(self, slot: int) -> Policy:
        """The policy that holds the conversation of a slot."""
        twins: dict[int, Policy] = self.__dict__.setdefault("_twins", {0: self})
        if slot not in twins:
            twins[slot] = self.twin()
        return twins[slot]

    def twin(self) -> Policy:
        """One like this for a conversation beside this one; it shares what `reset` does not make anew."""
        twin = copy.copy(self)
        twin.__dict__.pop("_twins", None)
        twin.reset()
        return twin


class Remembering(Policy):
    """A policy that folds what it is shown into a `Memory`; subclasses say what to do."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forget the last conversation."""
        self.memory = Memory()
        self._last: Action | None = None

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """Take in what the last action brought, and choose the next."""
        self.memory.fold(self._last, facts)
        action = self.choose(observation)
        self._last = action if isinstance(action, Action) else None
        return action

    def did(self, action: Action | None) -> None:
        """Remember that this was done in place of what was chosen; `None` is what is no action."""
        self._last = action

    @abstractmethod
    def choose(self, observation: Observation) -> Any:
        """The next action, given `self.memory`."""

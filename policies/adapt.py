"""Whatever a user plays with, as a `Policy`: an object with `act`, or a function of the observation and the facts."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..envs.conversation import Observation
from ..envs.errors import BadArgument
from ..envs.memory import Fact
from .base import Policy


def adapt(given: Any) -> Policy:
    """The policy that an object is, or stands for."""
    if isinstance(given, Policy):
        return given
    if isinstance(given, type):
        raise BadArgument(f"{given.__name__} is a class: give an instance of it, {given.__name__}(...).")
    act = getattr(given, "act", None) or given
    if not callable(act):
        raise BadArgument(f"{given!r} is no policy: it has no act(observation, facts), and is no function like that.")
    waits = inspect.iscoroutinefunction(act) or inspect.iscoroutinefunction(type(act).__call__)
    return Waited(given, act) if waits else Adapted(given, act)


class Adapted(Policy):
    """An object with `act`, and `reset` and `close` if it has them, or a function."""

    def __init__(self, given: Any, act: Callable[..., Any]) -> None:
        self._given, self._act = given, act
        self._reset: Callable[..., Any] | None = getattr(given, "reset", None)
        self._seeded = self._reset is not None and "seed" in inspect.signature(self._reset).parameters

    def reset(self, seed: int | None = None) -> None:
        """Tell that a conversation begins, with the seed where it is asked for."""
        if self._reset is not None:
            self._reset(**({"seed": seed} if self._seeded else {}))

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """What it does."""
        action = self._act(observation, facts)
        if inspect.iscoroutine(action):
            action.close()
        if action is None or inspect.isawaitable(action):
            raise BadArgument(
                f"{self._given!r} acts with {action!r}, which is no action: return one, or make act async."
            )
        return action

    def close(self) -> None:
        """Close what can be closed."""
        if hasattr(self._given, "close"):
            self._given.close()

    def twin(self) -> Policy:
        """A function holds any number of conversations; an object that keeps one is not ours to copy."""
        if not inspect.isroutine(self._given):
            raise BadArgument(
                f"{type(self._given).__name__} may keep a conversation, so it holds one at a time: "
                "derive it from stateset_gym.policies.Policy, whose twin() copies it, or leave parallel at 1."
            )
        return copy.copy(self)


class Waited(Adapted):
    """The same where `act` is a coroutine function."""

    manner = "async"

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """Not without an event loop."""
        raise BadArgument(f"{self._given!r} acts asynchronously: play it with rollouts() or evaluate().")

    async def act_async(self, observation: Observation, facts: Sequence[Fact], slot: int = 0) -> Any:
        """What it does, in time."""
        self.at(slot)  # refuses a second slot to what may keep a conversation; a function's twins have its `act`
        return await self._act(observation, facts)

"""What a run came to: its figures, by kind and difficulty, what was not measured, and what it cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ...envs.scenes import DIFFICULTIES
from ..trace import Trace
from .figures import Figures, Result

MILLION = 1_000_000
UNPLAYED = "not played: the run stopped before"
Key = tuple[str, int]
"""A scene and a trial."""


class NotMeasured(NamedTuple):
    """An episode that says nothing about the policy, and why."""

    scene: str
    trial: int
    why: str


class Results(Figures):
    """The episodes of a policy on an environment's scenes."""

    notes: Sequence[str] = ()
    """What the policy says of how it played."""

    def __init__(
        self,
        env: str,
        policy: str,
        arguments: Mapping[str, Any],
        results: Sequence[Result],
        planned: Sequence[Key],
        worst: Sequence[Trace] = (),
        waits: Sequence[float] = (),
        prices: tuple[float, float] | None = None,
        seconds: float = 0.0,
        interrupted: bool = False,
    ) -> None:
        super().__init__(results, house_rules(env))
        self.env, self.policy, self.arguments = env, policy, dict(arguments)
        self.worst = list(worst)
        """The traces of the lowest returns, the lowest first."""
        self.prices = prices
        """What a million tokens cost, in and out."""
        self.seconds = seconds
        """How long the run took; 0 where nobody measured it."""
        self.interrupted = interrupted
        self._planned, self._waits = planned, waits

    @cached_property
    def planned_keys(self) -> list[Key]:
        """The scenes and trials of the run, in their order."""
        return list(dict.fromkeys([*self._planned, *(result.key for result in self.results)]))

    @property
    def planned(self) -> int:
        """How many episodes the run was to have."""
        return len(self.planned_keys)

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """The episodes that failed for something beside the agent, or were not played."""
        played = {result.key: result.error for result in self.results}
        found = ((key, played.get(key, UNPLAYED)) for key in self.planned_keys)
        return [NotMeasured(*key, why) for key, why in found if why]

    @property
    def failures(self) -> dict[str, int]:
        """Why episodes were not measured, and how many each time; the most frequent first."""
        return dict(Counter(failed.why for failed in self.not_measured).most_common())

    @cached_property
    def by_kind(self) -> dict[str, Figures]:
        """The figures of each kind of scene, in the order in which they were planned."""
        groups: dict[str, list[Result]] = {}
        for result in self.results:
            groups.setdefault(result.kind, []).append(result)
        return {name: Figures(group, self.rules) for name, group in groups.items()}

    @cached_property
    def by_difficulty(self) -> dict[str, Figures]:
        """The figures of each difficulty, the easy ones first."""
        groups: dict[str, list[Result]] = {name: [] for name in DIFFICULTIES}
        for result in self.results:
            groups.setdefault(result.difficulty, []).append(result)
        return {name: Figures(group, self.rules) for name, group in groups.items() if group}

    @property
    def cost(self) -> float | None:
        """What the tokens cost; None where no prices are given or nobody counted."""
        read, written = self.tokens_in, self.tokens_out
        if self.prices is None or (read is None and written is None):
            return None
        return ((read or 0) * self.prices[0] + (written or 0) * self.prices[1]) / MILLION

    @property
    def latency_median(self) -> float | None:
        """The seconds within which half of the actions were given; None where no action was."""
        return self._latency(0.5)

    @property
    def latency_p95(self) -> float | None:
        """The seconds within which 95 of 100 actions were given; None where no action was."""
        return self._latency(0.95)

    def _latency(self, share: float) -> float | None:
        return self._sorted_waits[math.ceil(share * len(self._waits)) - 1] if self._waits else None

    @cached_property
    def _sorted_waits(self) -> list[float]:
        return sorted(self._waits)

    def _nothing(self) -> str:
        if self.planned and not self.measured:
            why, often = next(iter(self.failures.items()))
            size = f"{self.planned:,}"
            return f"Nothing was measured: {size} of {size} episodes failed, {often:,} of them with: {why}"
        return super()._nothing()


def house_rules(env: str) -> tuple[str, ...] | None:
    """The house rules that an environment of ours has; None for another's, which nobody knows."""
    name = env.rpartition("/")[2]
    if name == "CustomerService-v0":
        from ...envs.customer_service.conduct import PROSE

        return tuple(PROSE)
    return {"TicketTriage-v0": ("supported_claims",), "Echo-v0": ()}.get(name)

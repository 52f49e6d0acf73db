"""A policy's report: built while the episodes come in, computed when it is asked."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ...envs.errors import BadArgument
from ...envs.scenes import DIFFICULTIES
from ..trace import Trace
from .figures import Figures, NothingMeasured, Result, Violations

__all__ = ["Collector", "Figures", "NothingMeasured", "NotMeasured", "Report", "Result", "Violations"]

WORST = 5
"""How many of the worst conversations a report keeps whole."""
MILLION = 1_000_000
UNPLAYED = "not played: the run stopped before"
Key = tuple[str, int]
"""A scene and a trial."""


class NotMeasured(NamedTuple):
    """An episode that says nothing about the policy, and why."""

    scene: str
    trial: int
    why: str


class Report(Figures):
    """How a policy does on an environment's scenes."""

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

    @classmethod
    def of(cls, traces: Iterable[Trace], prices: tuple[float, float] | None = None) -> Report:
        """The report of the traces of a run, as `trace.read(path)` gives them."""
        rest = iter(traces)
        first = next(rest, None)
        if first is None:
            raise BadArgument("There is no trace to report: evaluate a policy first.")
        collector = Collector(first.env, first.policy, first.arguments, (), prices)
        collector.add(first)
        for trace in rest:
            for name in ("env", "policy", "arguments"):
                if (found := getattr(trace, name)) != (kept := getattr(first, name)):
                    raise BadArgument(
                        f"The traces are of several runs: {trace.scene}, trial {trace.trial} has the {name} {found!r}, "
                        f"the first {kept!r}. Report each run by itself."
                    )
            collector.add(trace)
        return collector.report()

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

    def __str__(self) -> str:
        from .show import plain

        return plain(self)

    def __repr__(self) -> str:
        counted = f"{self.measured:,} of {self.planned:,} measured"
        if not self.measured:
            return f"<Report of {self.policy} on {self.env}: {counted}>"
        share, low, high, _ = self.success
        return (
            f"<Report of {self.policy} on {self.env}: success {share:.1%} ({low:.1%} to {high:.1%}), "
            f"return {self.mean_return.mean:+.3f}, {counted}>"
        )


class Collector:
    """Takes in traces as they come, in any order, and keeps little of each."""

    def __init__(
        self,
        env: str,
        policy: str,
        arguments: Mapping[str, Any],
        planned: Sequence[Key] = (),
        prices: tuple[float, float] | None = None,
    ) -> None:
        self._env, self._policy, self._arguments = env, policy, arguments
        self._planned, self._prices = planned, prices
        self._places = {key: place for place, key in enumerate(planned)}
        self.results: list[Result] = []
        self.interrupted = False
        self._waits = array("f")
        self._worst: list[tuple[float, int, int, Trace]] = []
        """A heap whose first is the best of the worst: minus the return, minus the place, when it came, the trace."""

    def add(self, trace: Trace) -> None:
        """Take in an episode."""
        violations: tuple[str, ...] = ()
        malformed = refused = 0
        waited, steps = self._waits.append, trace.steps
        for step in steps:
            waited(step.seconds)
            if step.violations:
                violations += tuple(step.violations)
            if step.malformed:
                malformed += 1
            if step.refused:
                refused += 1
        self.results.append(
            Result(
                trace.scene, trace.trial, trace.kind, trace.success, trace.total, trace.terms, len(steps), violations,
                malformed, refused, trace.outcome, trace.truncated, trace.usage, trace.seconds, trace.error,
            )  # fmt: skip
        )
        if not trace.error and (len(self._worst) < WORST or -trace.total >= self._worst[0][0]):
            self._keep(trace)

    def _keep(self, trace: Trace) -> None:
        """Put a trace among the worst: the lowest return, and of equal ones the first planned."""
        place = self._places.get((trace.scene, trace.trial), len(self._places) + len(self.results))
        put = heapq.heappush if len(self._worst) < WORST else heapq.heappushpop
        put(self._worst, (-trace.total, -place, len(self.results), trace))

    def report(self, seconds: float = 0.0) -> Report:
        """The report of what came in."""
        last = len(self._places)
        results = sorted(self.results, key=lambda result: self._places.get(result.key, last))
        keys = Counter(result.key for result in results)
        if len(keys) < len(results):
            ((scene, trial), often) = keys.most_common(1)[0]
            raise BadArgument(f"Scene {scene!r}, trial {trial} is there {often} times: report each run by itself.")
        worst = [trace for *_, trace in sorted(self._worst, key=lambda kept: kept[:3], reverse=True)]
        return Report(
            self._env, self._policy, self._arguments, results, self._planned, worst, self._waits, self._prices,
            seconds, self.interrupted,
        )  # fmt: skip


def house_rules(env: str) -> tuple[str, ...] | None:
    """The house rules that an environment of ours has; None for another's, which nobody knows."""
    name = env.rpartition("/")[2]
    if name == "CustomerService-v0":
        from ...envs.customer_service.conduct import PROSE

        return tuple(PROSE)
    return {"TicketTriage-v0": ("supported_claims",), "Echo-v0": ()}.get(name)

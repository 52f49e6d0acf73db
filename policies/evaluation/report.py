"""A policy's report: built while the episodes come in, computed when it is asked."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...envs.errors import BadArgument
from ..trace import Trace
from .figures import NothingMeasured, Result
from .results import Key, NotMeasured, Results

__all__ = ["Collector", "NotMeasured", "NothingMeasured", "Report"]

WORST = 5
"""How many of the worst conversations a report keeps whole."""


class Report(Results):
    """How a policy does on an environment's scenes; as text, a table."""

    breaches: Mapping[str, Trace] = {}
    """House rule -> of the conversations in which it was broken, the one of the lowest return."""

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
        self._notes: dict[str, None] = {}
        self._waits = array("f")
        self._breaches: dict[str, tuple[float, int, Trace]] = {}
        """House rule -> the return, the place and the trace of the worst conversation in which it was broken."""
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
                trace.scene,
                trace.trial,
                trace.kind,
                trace.success,
                trace.total,
                trace.terms,
                len(steps),
                violations,
                malformed,
                refused,
                trace.outcome,
                trace.truncated,
                trace.usage,
                trace.seconds,
                trace.error,
            )
        )
        if trace.notes:
            self._notes.update(dict.fromkeys(trace.notes))
        if violations and not trace.error:
            self._blame(trace, {*violations})
        if not trace.error and (len(self._worst) < WORST or -trace.total >= self._worst[0][0]):
            self._keep(trace)

    def _keep(self, trace: Trace) -> None:
        """Put a trace among the worst: the lowest return, and of equal ones the first planned."""
        place = self._place(trace)
        put = heapq.heappush if len(self._worst) < WORST else heapq.heappushpop
        put(self._worst, (-trace.total, -place, len(self.results), trace))

    def _blame(self, trace: Trace, rules: set[str]) -> None:
        """Keep a trace for each rule that was broken at no lower return before, and at the same one no earlier."""
        kept = trace.total, self._place(trace), trace
        for rule in rules:
            if rule not in self._breaches or kept[:2] < self._breaches[rule][:2]:
                self._breaches[rule] = kept

    def _place(self, trace: Trace) -> int:
        return self._places.get((trace.scene, trace.trial), len(self._places) + len(self.results))

    def report(self, seconds: float = 0.0) -> Report:
        """The report of what came in."""
        last = len(self._places)
        results = sorted(self.results, key=lambda result: self._places.get(result.key, last))
        keys = Counter(result.key for result in results)
        if len(keys) < len(results):
            ((scene, trial), often) = keys.most_common(1)[0]
            raise BadArgument(f"Scene {scene!r}, trial {trial} is there {often} times: report each run by itself.")
        worst = [trace for *_, trace in sorted(self._worst, key=lambda kept: kept[:3], reverse=True)]
        report = Report(
            self._env, self._policy, self._arguments, results, self._planned, worst, self._waits, self._prices,
            seconds, self.interrupted,
        )  # fmt: skip
        report.notes = tuple(self._notes)
        report.breaches = {rule: kept[2] for rule, kept in sorted(self._breaches.items())}
        return report

"""Episodes in brief, and the figures of any number of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from ..base import Usage
from ..registry import hint
from ..trace import split_of
from . import statistics
from .statistics import Interval

OWN = "own"
"""The difficulty of a user's own scenes, whose names tell none."""


class Result(msgspec.Struct, gc=False):
    """What a report keeps of an episode."""

    scene: str
    trial: int
    kind: str
    success: bool
    total: float
    terms: dict[str, float]
    turns: int
    violations: tuple[str, ...]
    malformed: int
    refused: int
    outcome: str
    truncated: bool
    usage: Usage
    seconds: float
    error: str

    @property
    def key(self) -> tuple[str, int]:
        """What tells the episodes of a run apart."""
        return self.scene, self.trial

    @property
    def measured(self) -> bool:
        """Whether the episode says anything about the policy."""
        return not self.error

    @property
    def difficulty(self) -> str:
        """As the scene's name tells it."""
        return split_of(self.scene).get("difficulty", OWN)


class NothingMeasured(ValueError):
    """A figure was asked for, and no episode was measured."""


class Violations(Counter[str]):
    """How often each house rule was broken; where the rules are known, another name is an error and not a zero."""

    known: Sequence[str] | None = None

    def __init__(self, found: Any = (), known: Sequence[str] | None = None) -> None:
        super().__init__(found)
        self.known = known

    def __missing__(self, rule: str) -> int:
        self._check(rule)
        return 0

    def __contains__(self, rule: object) -> bool:
        self._check(rule)
        return super().__contains__(rule)

    def get(self, rule: str, default: Any = None) -> Any:
        """As a dict's."""
        self._check(rule)
        return super().get(rule, default)

    def _check(self, rule: object) -> None:
        if self.known is not None and rule not in self.known:
            names = hint(str(rule), self.known) if self.known else ": the environment has none."
            raise KeyError(f"There is no house rule {rule!r}{names}")

    def __reduce__(self) -> Any:
        return type(self), (dict(self), self.known)


class Figures:
    """What some episodes come to; those that were not measured are in no mean."""

    def __init__(self, results: Sequence[Result], rules: Sequence[str] | None = None) -> None:
        self.results = results
        self.rules = rules
        """The house rules of the environment; None where they are not known."""

    @cached_property
    def counted(self) -> list[Result]:
        """The episodes that were measured."""
        return [result for result in self.results if not result.error]

    @property
    def measured(self) -> int:
        """How many episodes were measured."""
        return len(self.counted)

    @cached_property
    def scenes(self) -> dict[str, list[Result]]:
        """The measured episodes of each scene."""
        found: dict[str, list[Result]] = {}
        for result in self.counted:
            found.setdefault(result.scene, []).append(result)
        return found

    @property
    def trials(self) -> int:
        """The most measured episodes of a scene."""
        return max(map(len, self.scenes.values()), default=0)

    @property
    def counts(self) -> list[tuple[int, int]]:
        """For each scene the successes and the measured trials."""
        return [(sum(result.success for result in group), len(group)) for group in self.scenes.values()]

    @cached_property
    def success(self) -> Interval:
        """The share of the episodes that reached the goal."""
        self._need()
        return statistics.success(self.counts)

    @cached_property
    def mean_return(self) -> Interval:
        """The mean of the episodes' returns."""
        self._need()
        groups = self.scenes.values()
        sums = [math.fsum(result.total for result in group) for group in groups]
        return statistics.bootstrap(sums, [len(group) for group in groups])

    @property
    def turns(self) -> float:
        """The mean number of actions."""
        self._need()
        return sum(result.turns for result in self.counted) / self.measured

    @property
    def terms(self) -> dict[str, float]:
        """The mean of each reward term; together they are the mean return."""
        self._need()
        sums: dict[str, float] = {}
        for result in self.counted:
            for name, value in result.terms.items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / self.measured for name, value in sums.items()}

    @cached_property
    def violations(self) -> Violations:
        """How often each house rule was broken; a rule that does not exist is a `KeyError`."""
        return Violations((rule for result in self.counted for rule in result.violations), self.rules)

    @property
    def episodes_with_violations(self) -> int:
        """In how many episodes a house rule was broken."""
        return sum(result.violations != () for result in self.counted)

    @property
    def malformed(self) -> int:
        """How many actions did not parse or did not fit the schema."""
        return sum(result.malformed for result in self.counted)

    @property
    def refused(self) -> int:
        """How many actions the world refused."""
        return sum(result.refused for result in self.counted)

    @property
    def outcomes(self) -> Counter[str]:
        """How the episodes ended, the most frequent first."""
        return Counter(dict(Counter(result.outcome for result in self.counted).most_common()))

    @property
    def tokens_in(self) -> int | None:
        """The tokens that models read, those of unmeasured episodes included; None where nobody counted."""
        return _added([result.usage.tokens_in for result in self.results])

    @property
    def tokens_out(self) -> int | None:
        """The tokens that models wrote, those of unmeasured episodes included; None where nobody counted."""
        return _added([result.usage.tokens_out for result in self.results])

    def pass_hat(self, k: int) -> float:
        """pass^k: how likely k trials of a scene all succeed; scenes with fewer trials are left out."""
        self._need()
        return statistics.pass_hat(self.counts, k).mean

    def pass_at(self, k: int) -> float:
        """pass@k: how likely one of k trials of a scene succeeds; scenes with fewer trials are left out."""
        self._need()
        return statistics.pass_at(self.counts, k).mean

    def short_of(self, k: int) -> int:
        """How many scenes have fewer than k measured trials, and are left out of pass^k and pass@k."""
        return sum(trials < k for _, trials in self.counts)

    def _need(self) -> None:
        """Raise `NothingMeasured` where no figure can be given."""
        if not self.counted:
            raise NothingMeasured(self._nothing())

    def _nothing(self) -> str:
        size = len(self.results)
        if not size:
            return "Nothing was measured: no episode was played."
        why, often = Counter(result.error for result in self.results).most_common(1)[0]
        return f"Nothing was measured: {size:,} of {size:,} episodes failed, {often:,} of them with: {why}"


def _added(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None

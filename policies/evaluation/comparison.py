"""Two policies on the same scenes: which does better, and whether chance alone would tell them so far apart."""

from __future__ import annotations

from dataclasses import dataclass

from ...envs.errors import BadArgument
from . import statistics
from .figures import NothingMeasured, Result
from .numbers import between, points, signed
from .results import Key, Results
from .statistics import Interval

SHOWN = 3
"""How many of the scenes that differ an error names."""


@dataclass(frozen=True)
class Comparison:
    """The second policy beside the first, over the episodes that were measured for both."""

    env: str
    first: str
    second: str
    scenes: int
    episodes: int
    left_out: int
    """Episodes that were not measured for both."""
    success: tuple[float, float]
    """The share of successes of each."""
    mean_return: tuple[float, float]
    """The mean return of each."""
    success_difference: Interval
    """The second's share less the first's."""
    return_difference: Interval
    """The second's mean return less the first's."""
    better: int
    """Scenes in which the second succeeds more often."""
    worse: int
    """Scenes in which it succeeds less often."""
    p_value: float
    """How likely chance alone sets the successes so far apart: the exact two-sided sign-flip test over scenes."""

    @property
    def verdict(self) -> str:
        """In words, at the level of 5 %."""
        returns = self.return_difference
        if self.p_value < 0.05:
            said = f"{self._leader(self.success_difference)} succeeds more often."
        else:
            said = f"No difference in success between {self.first} and {self.second} is proven."
        proven = self.scenes > 1 and not returns.lower <= 0 <= returns.upper
        return f"{said} {self._leader(returns)} has the higher return." if proven else said

    def _leader(self, difference: Interval) -> str:
        return self.second if difference.mean > 0 else self.first

    @property
    def remarks(self) -> list[str]:
        """What stands below the figures; the verdict last."""
        counts = f"{self.second} succeeds more often in {self.better:,}, less in {self.worse:,}"
        chance = f"{self.p_value:.3f}" if self.p_value >= 0.001 else f"{self.p_value:.1e}"
        left = f"{self.left_out:,} episodes were not measured for both, and are left out."
        return [
            f"{self.scenes:,} scenes: {counts}.",
            *([left] if self.left_out else []),
            f"p = {chance} that chance alone sets the successes so far apart (exact sign-flip test over scenes).",
            self.verdict,
        ]

    def __str__(self) -> str:
        (a, b), (x, y), shares = self.success, self.mean_return, self.success_difference
        return "\n".join(
            [
                f"{self.second} beside {self.first} on {self.env}",
                f"success {b:.1%} and {a:.1%}, difference {signed(shares.mean * 100, 1)} ({points(shares)})",
                f"return {signed(y)} and {signed(x)}, difference {signed(y - x)} ({between(self.return_difference)})",
                *self.remarks,
            ]
        )


def compare(first: Results, second: Results) -> Comparison:
    """Compare two reports of the same scenes of the same environment."""
    _same(first, second)
    ones, others = ({result.key: result for result in report.counted} for report in (first, second))
    pairs = [(one, others[key]) for key, one in ones.items() if key in others]
    if not pairs:
        raise NothingMeasured(
            f"Nothing to compare: no episode was measured for both {first.policy} and {second.policy}."
        )
    scenes: dict[str, list[tuple[Result, Result]]] = {}
    for pair in pairs:
        scenes.setdefault(pair[0].scene, []).append(pair)
    sizes = [len(group) for group in scenes.values()]
    wins = [sum(b.success - a.success for a, b in group) for group in scenes.values()]
    gains = [sum(b.total - a.total for a, b in group) for group in scenes.values()]
    size = len(pairs)
    return Comparison(
        env=first.env,
        first=first.policy,
        second=second.policy,
        scenes=len(scenes),
        episodes=size,
        left_out=len(first.planned_keys) - size,
        success=(sum(a.success for a, _ in pairs) / size, sum(b.success for _, b in pairs) / size),
        mean_return=(sum(a.total for a, _ in pairs) / size, sum(b.total for _, b in pairs) / size),
        success_difference=statistics.difference(wins, sizes),
        return_difference=statistics.bootstrap(gains, sizes, -2.0, 2.0),
        better=sum(win > 0 for win in wins),
        worse=sum(win < 0 for win in wins),
        p_value=statistics.paired_p(wins),
    )


def _same(first: Results, second: Results) -> None:
    """Raise `BadArgument` unless both reports are of the same episodes."""
    if first.env != second.env:
        raise BadArgument(f"The reports are of two environments, {first.env} and {second.env}: compare within one.")
    one, other = set(first.planned_keys), set(second.planned_keys)
    if one != other:
        differ = _only(first, one - other) + _only(second, other - one)
        raise BadArgument(
            f"The reports are of different episodes:{differ} Evaluate both with the same scenes and trials."
        )


def _only(report: Results, keys: set[Key]) -> str:
    shown = ", ".join(f"{scene} (trial {trial})" for scene, trial in sorted(keys)[:SHOWN])
    more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""
    return f" only {report.policy} has {shown}{more}." if keys else ""

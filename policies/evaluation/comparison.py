"""Two policies on the same scenes: which does better, and whether chance alone would tell them so far apart."""

from __future__ import annotations

from dataclasses import dataclass

from ...envs.errors import BadArgument
from . import statistics
from .figures import NothingMeasured, Result
from .report import Key, Report
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
        """In a sentence, at the level of 5 %."""
        if self.p_value >= 0.05:
            return f"No difference in success between {self.first} and {self.second} is proven."
        winner, loser = (self.second, self.first)[:: 1 if self.success_difference.mean > 0 else -1]
        return f"{winner} succeeds more often than {loser}."

    def __str__(self) -> str:
        from .show import plain

        return plain(self)


def compare(first: Report, second: Report) -> Comparison:
    """Compare two reports of the same scenes of the same environment."""
    _same(first, second)
    ones, others = ({result.key: result for result in report.counted} for report in (first, second))
    pairs = [(one, others[key]) for key, one in ones.items() if key in others]
    if not pairs:
        raise NothingMeasured(f"Nothing to compare: no episode was measured for both {first.policy} and {second.policy}.")
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
        success_difference=statistics.bootstrap(wins, sizes),
        return_difference=statistics.bootstrap(gains, sizes, -2.0, 2.0),
        better=sum(win > 0 for win in wins),
        worse=sum(win < 0 for win in wins),
        p_value=statistics.paired_p(wins),
    )


def _same(first: Report, second: Report) -> None:
    """Raise `BadArgument` unless both reports are of the same episodes."""
    if first.env != second.env:
        raise BadArgument(f"The reports are of two environments, {first.env} and {second.env}: compare within one.")
    one, other = set(first.planned_keys), set(second.planned_keys)
    lines = [_only(first, one - other), _only(second, other - one)]
    if one != other:
        raise BadArgument(f"The reports are of different episodes; {' '.join(filter(None, lines))}"
                          "Evaluate both with the same scenes and trials.")  # fmt: skip


def _only(report: Report, keys: set[Key]) -> str:
    shown = ", ".join(f"{scene} (trial {trial})" for scene, trial in sorted(keys)[:SHOWN])
    more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""
    return f"only {report.policy} has {shown}{more}. " if keys else ""

"""What a comparison says of a trainer: scores between random play and the expert, their middle, and how sure it is.

A run is measured on scenes of several kinds. Its score on a kind is 0 where it is paid as random play is on average,
and 1 where it is paid as the expert is; a kind on which random play is paid no less than the expert has none. A
trainer's score is the interquartile mean of the scores of all its seeds on all kinds: the mean of the middle half
(Agarwal et al., 2021), which neither one lucky seed nor one hopeless kind moves.

The interval is of a stratified bootstrap. Each resample draws as many seeds as there are, with replacement - whole
seeds, as what a seed has learnt serves it on all kinds - and of each kind as many scenes as there are of it, with
replacement and for all seeds the same. So it covers both that another seed would learn otherwise and that other scenes
would show otherwise; with one seed, the latter alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..envs.errors import BadArgument

Floats = npt.NDArray[np.float64]
RESAMPLES = 5_000
BOUNDS = (0.025, 0.975)


class Score(NamedTuple):
    """An interquartile mean with the bounds of its 95 % interval."""

    mean: float
    lower: float
    upper: float


class Scale(NamedTuple):
    """What random play and the expert are paid, by kind of scene."""

    kinds: tuple[str, ...]
    """The kind of each scene."""
    random: dict[str, float]
    expert: dict[str, float]

    @classmethod
    def of(cls, kinds: Sequence[str], random: Sequence[float], expert: Sequence[float]) -> Scale:
        """From the returns of both on the same scenes."""
        names = sorted({*kinds})
        low, high = (dict(zip(names, _by_kind(kinds, names, each)[0], strict=True)) for each in (random, expert))
        return cls(tuple(kinds), low, high)

    @property
    def scored(self) -> list[str]:
        """The kinds on which a score lies between the two."""
        return [kind for kind in sorted(self.random) if self.expert[kind] > self.random[kind]]

    @property
    def left_out(self) -> list[str]:
        """Those on which none does."""
        return sorted(self.random.keys() - {*self.scored})

    def scores(self, means: Floats) -> Floats:
        """Mean returns by kind that is scored, in the last axis, as scores."""
        low, high = (np.array([each[kind] for kind in self.scored]) for each in (self.random, self.expert))
        found: Floats = (means - low) / (high - low)
        return found


def score(scale: Scale, returns: Sequence[Sequence[float]]) -> Score | None:
    """The score of a trainer from what each of its seeds was paid for each scene; `None` where no kind is scored."""
    if not scale.scored:
        return None
    mean = interquartile_mean(scale.scores(_by_kind(scale.kinds, scale.scored, *returns)).ravel())
    drawn = _resampled(scale, np.array(returns, dtype=float))
    lower, upper = np.quantile(interquartile_mean(drawn.reshape(len(drawn), -1)), BOUNDS)
    return Score(float(mean), float(lower), float(upper))


def interquartile_mean(values: Floats) -> Any:
    """The mean of the middle half, along the last axis: at either end a quarter is cut off, rounded down."""
    stats = _stats()
    return stats.trim_mean(values, 0.25, axis=-1)


def _resampled(scale: Scale, returns: Floats) -> Floats:
    """The scores of each resample: resamples x seeds x kinds; the draws are the same at every call."""
    chance, kinds = np.random.default_rng(0), np.array(scale.kinds)
    seeds = len(returns)
    means = []
    for kind in scale.scored:
        own = returns[:, kinds == kind]
        size = own.shape[1]
        # How often each scene is drawn; with that the mean of a resample is a product.
        often = chance.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
        means.append(often @ own.T / size)
    scores = scale.scores(np.stack(means, axis=-1))
    drawn = chance.integers(seeds, size=(RESAMPLES, seeds))
    found: Floats = np.take_along_axis(scores, drawn[:, :, None], axis=1)
    return found


def _by_kind(kinds: Sequence[str], names: Sequence[str], *returns: Sequence[float]) -> Floats:
    """Mean returns on the kinds of these names: seeds x names."""
    own, values = np.array(kinds), np.array(returns, dtype=float)
    return np.stack([values[:, own == name].mean(axis=1) for name in names], axis=-1)


def _stats() -> Any:
    try:
        from scipy import stats
    except ModuleNotFoundError:
        raise missing("scipy") from None
    return stats


def missing(package: str) -> BadArgument:
    """A package that comparisons need is not installed."""
    return BadArgument(f'A comparison needs the package {package}: pip install "stateset-gym[compare]".')

"""What a sample of conversations says of a policy: intervals, pass^k, and a paired comparison.

Scenes are the sample. The trials of a scene resemble each other, so nothing here takes them for independent: a
deterministic policy's four trials of a scene say no more than one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...envs.errors import BadArgument

Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""
RESAMPLES = 2_000
MANY = 10_000
"""Scenes beyond which a mean is as good as normal, and nothing is resampled."""
Counts = Sequence[tuple[int, int]]
"""For each scene the successes and the trials."""
Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean, the bounds of its 95 % interval, and how many episodes it is of."""

    mean: float
    lower: float
    upper: float
    n: int


class Share(NamedTuple):
    """A mean over scenes, of how many, and how many were left out for want of trials."""

    mean: float
    scenes: int
    left_out: int


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Wilson's 95 % interval for a share of independent trials; a count may be an effective one."""
    if trials <= 0:
        raise BadArgument(f"trials={trials!r}: an interval needs at least one.")
    share, square = successes / trials, Z * Z
    middle = share + square / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    whole = 1 + square / trials
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)


def success(counts: Counts) -> Interval:
    """The share of successful episodes; the trials count as many as they are worth after the design effect."""
    successes, trials = (sum(column) for column in zip(*counts, strict=True))
    share = successes / trials
    worth = trials / design_effect(counts)
    lower, upper = wilson(share * worth, worth)
    return Interval(share, min(lower, share), max(upper, share), trials)


def design_effect(counts: Counts) -> float:
    """How many times more episodes it takes than independent ones: 1 + (k - 1) * ICC, for k trials a scene.

    ICC, the correlation of a scene's trials, is estimated by the analysis of variance, with two scenes added to those
    that were seen: one that always succeeds and one that always fails. So a few scenes, or nearly equal ones, do not
    pass for proof that trials are independent, and k trials that are the same in every scene count as one. Where the
    scenes have unequal trials, k is their mean weighted by themselves.
    """
    size = sum(n for _, n in counts)
    k = sum(n * n for _, n in counts) / size
    if k == 1:
        return 1.0
    whole = max(n for _, n in counts)
    wins, trials = np.array([*counts, (0, whole), (whole, whole)], dtype=float).T
    shares, total, scenes = wins / trials, trials.sum(), len(trials)
    between = float((trials * (shares - wins.sum() / total) ** 2).sum()) / (scenes - 1)
    within = float((trials * shares * (1 - shares)).sum()) / (total - scenes)
    typical = (total - float((trials**2).sum()) / total) / (scenes - 1)
    correlation = float((between - within) / (between + (typical - 1) * within))
    return 1 + (k - 1) * min(max(correlation, 0.0), 1.0)


def pass_hat(counts: Counts, k: int) -> Share:
    """pass^k: how likely k trials of a scene all succeed, the mean of C(c, k) / C(n, k) over scenes."""
    return _mean_of(counts, k, lambda won, trials: math.comb(won, k) / math.comb(trials, k))


def pass_at(counts: Counts, k: int) -> Share:
    """pass@k: how likely one of k trials of a scene succeeds, 1 - the mean of C(n - c, k) / C(n, k) over scenes."""
    return _mean_of(counts, k, lambda won, trials: 1 - math.comb(trials - won, k) / math.comb(trials, k))


def _mean_of(counts: Counts, k: int, chance: Callable[[int, int], float]) -> Share:
    """The mean over the scenes that have k trials; few distinct counts stand for many scenes."""
    most = max((trials for _, trials in counts), default=0)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= most:
        more = f"evaluate with trials={k}" if isinstance(k, int) and k > most else "give a whole number"
        raise BadArgument(f"k={k!r} is not from 1 to {most}, the most measured trials that a scene has: {more}.")
    enough = [pair for pair in counts if pair[1] >= k]
    known = {pair: chance(*pair) for pair in set(enough)}
    return Share(math.fsum(known[pair] for pair in enough) / len(enough), len(enough), len(counts) - len(enough))


def bootstrap(sums: Sequence[float], sizes: Sequence[int], least: float = -1.0, most: float = 1.0) -> Interval:
    """The mean of all episodes with the percentile interval of a bootstrap that draws whole scenes.

    Args:
        sums: for each scene the sum of its episodes' values; the order of the scenes does not matter.
        sizes: how many episodes each scene has.
        least: what no value is below; one scene says nothing of the others, so its interval is all from here.
        most: what no value is above.

    The interval is widened by sqrt(m / (m - 1)) for m scenes, as a resample of few varies too little.
    """
    total, episodes, scenes = math.fsum(sums), sum(sizes), len(sums)
    mean = total / episodes
    if scenes == 1:
        return Interval(mean, least, most, episodes)
    wide = math.sqrt(scenes / (scenes - 1))
    values, counts = np.array(sums, dtype=float), np.array(sizes, dtype=float)
    if scenes > MANY:
        reach = Z * wide * float(np.sqrt(((values - mean * counts) ** 2).sum())) / episodes
        low, high = mean - reach, mean + reach
    else:
        low, high = mean + wide * (np.quantile(_resampled(values, counts), [0.025, 0.975]) - mean)
    return Interval(mean, max(min(float(low), mean), least), min(max(float(high), mean), most), episodes)


def difference(wins: Sequence[int], sizes: Sequence[int]) -> Interval:
    """How much more often one policy succeeds than another on the same scenes, with a bootstrap interval.

    For the interval two scenes are added to those that were seen: one in which the one policy wins all trials, and one
    in which the other does. So scenes that all say the same do not pass for proof of an exact difference. With one
    trial a scene this is the adjustment of Bonett and Price (2012) for paired shares, which adds 1 to either discordant
    count.

    Args:
        wins: for each scene the successes of the one less those of the other.
        sizes: how many trials each scene has.
    """
    episodes = sum(sizes)
    mean = sum(wins) / episodes
    if len(sizes) == 1:
        return Interval(mean, -1.0, 1.0, episodes)
    whole = max(sizes)
    _, lower, upper, _ = bootstrap([*wins, whole, -whole], [*sizes, whole, whole])
    return Interval(mean, min(lower, mean), max(upper, mean), episodes)


def _resampled(values: Floats, counts: Floats) -> Floats:
    """The means of the resamples; the same at every call.

    Scenes are drawn by how often each of their values is there, which is the same as one by one: few values stand for
    many scenes.
    """
    found, often = np.unique(np.column_stack([values, counts]), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(values), often / len(values), size=RESAMPLES)
    means: Floats = (drawn @ found[:, 0]) / (drawn @ found[:, 1])
    return means


def paired_p(differences: Sequence[int]) -> float:
    """How likely chance alone sets two policies so far apart: the exact two-sided sign-flip test.

    `differences` are the successes of one less those of the other, a number for each scene. Were the policies alike,
    either sign would be as likely; over all ways to choose the signs, the share of those whose sum is at least as far
    from 0. With one trial a scene this is McNemar's exact test.
    """
    sizes, often = np.unique(np.abs(np.array(differences, dtype=np.int64)), return_counts=True)
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), often.tolist(), strict=True):
        if size:
            # The number of plus signs among equal differences is binomial: its chances stand `size` apart.
            spread = np.zeros(size * count + 1)
            spread[::size] = _binomial(count)
            chances = np.convolve(chances, spread)
    # At place i the sum of those with a plus is i, so the sum of all is 2 i - (len - 1).
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return min(float(chances[np.abs(sums) >= abs(sum(differences))].sum()), 1.0)


def _binomial(count: int) -> Floats:
    """The chances of 0 to `count` heads of a fair coin."""
    logs = [math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1) for i in range(count + 1)]
    return np.exp(np.array(logs) - count * math.log(2))

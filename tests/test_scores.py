"""Scores of a comparison: against numbers computed by hand, scipy, and a bootstrap that draws one by one."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from stateset_gym.trainers.scores import RESAMPLES, Scale, Score, interquartile_mean
from stateset_gym.trainers.scores import score as score_or_none

KINDS = ("cancel", "track", "cancel", "track", "return", "return")
RANDOM = (-0.2, 0.0, -0.4, 0.2, 0.0, 0.0)
EXPERT = (1.0,) * 6
SCALE = Scale.of(KINDS, RANDOM, EXPERT)
numbers = st.floats(-1, 1, allow_subnormal=False)


def score(scale: Scale, returns: Sequence[Sequence[float]]) -> Score:
    """The score where there is one."""
    found = score_or_none(scale, returns)
    assert found is not None
    return found


def test_the_middle_half_by_hand() -> None:
    assert interquartile_mean(np.array([9.0, 1, 2, 3, 4, 5, 6, -50])) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.array([0.0, 1, 5])) == pytest.approx(2)  # a quarter of three, rounded down, is none
    assert interquartile_mean(np.array([0.7])) == pytest.approx(0.7)


@given(st.lists(numbers, min_size=1, max_size=40))
def test_the_middle_half_is_that_of_scipy(values: list[float]) -> None:
    assert interquartile_mean(np.array([values] * 2)) == pytest.approx([trim_mean(values, 0.25)] * 2)


def test_scores_by_hand() -> None:
    assert SCALE.random == {"cancel": pytest.approx(-0.3), "return": 0, "track": pytest.approx(0.1)}
    returns = (1.0, 0.1, 0.0, 1.0, 0.5, 0.0)
    # cancel: (0.5 + 0.3) / 1.3; track: (0.55 - 0.1) / 0.9; return: 0.25 / 1. Of three nothing is cut off.
    assert score(SCALE, [returns]).mean == pytest.approx((0.8 / 1.3 + 0.5 + 0.25) / 3)
    # Of two seeds there are six scores, and one is cut off at either end: the expert's 1 of one kind, and 0.25.
    rest = [0.8 / 1.3, 0.5, 1.0, 1.0]
    assert score(SCALE, [returns, EXPERT]).mean == pytest.approx(sum(rest) / 4)


def test_random_play_and_the_expert_are_the_ends() -> None:
    assert score(SCALE, [RANDOM]).mean == pytest.approx(0)
    assert score(SCALE, [EXPERT] * 3) == pytest.approx((1, 1, 1))


def test_a_kind_on_which_nothing_can_be_told_is_left_out() -> None:
    kinds, random, expert, returns = (
        ("b", "a", "c", "a"),
        (1.0, 0.0, 0.5, 0.0),
        (1.0, 1.0, 0.2, 1.0),
        (0.3, 0.4, 0.0, 0.8),
    )
    scale = Scale.of(kinds, random, expert)
    assert (scale.scored, scale.left_out) == (["a"], ["b", "c"])
    assert score(scale, [returns]) == score(Scale.of(["a", "a"], [0, 0], [1, 1]), [[0.4, 0.8]])
    assert score_or_none(Scale.of(["a", "b"], [1, 1], [1, 1]), [[1, 1]]) is None


def one_by_one(returns: list[list[float]], kinds: list[str], chance: np.random.Generator) -> float:
    """A resample as it is told: whole seeds, and the scenes of each kind, each drawn by itself."""
    scale = Scale.of(kinds, [0.0] * len(kinds), [1.0] * len(kinds))
    drawn = [int(chance.integers(len(returns))) for _ in returns]
    scores = []
    places = {kind: [place for place, each in enumerate(kinds) if each == kind] for kind in kinds}
    scenes = {kind: [own[int(chance.integers(len(own)))] for _ in own] for kind, own in places.items()}
    for seed in drawn:
        means = [np.mean([returns[seed][place] for place in scenes[kind]]) for kind in sorted(scenes)]
        scores += list(scale.scores(np.array(means)))
    return float(trim_mean(scores, 0.25))


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_is_that_of_scenes_and_seeds_drawn_one_by_one(seeds: int) -> None:
    chance = np.random.default_rng(1)
    kinds = ["a", "b", "c", "d", "a", "b"] * 12
    returns = [[float(chance.random() < 0.2 + 0.25 * seed) for _ in kinds] for seed in range(seeds)]
    found = score(Scale.of(kinds, [0.0] * len(kinds), [1.0] * len(kinds)), returns)
    other = np.quantile([one_by_one(returns, kinds, chance) for _ in range(2000)], [0.025, 0.975])
    assert (found.lower, found.upper) == pytest.approx(tuple(other), abs=0.025)
    assert found.lower < found.mean < found.upper


@settings(max_examples=20)
@given(st.data(), st.integers(1, 3))
def test_an_interval_holds_its_middle_and_does_not_depend_on_the_order(data: st.DataObject, seeds: int) -> None:
    returns = [data.draw(st.lists(numbers, min_size=6, max_size=6)) for _ in range(seeds)]
    found = score(SCALE, returns)
    assert found == score(SCALE, returns)  # the draws are the same
    assert min(SCALE.scores(np.array([-1.0] * 3))) - 1e-9 <= found.lower <= found.upper <= 1 + 1e-9
    assert score(SCALE, returns[::-1]).mean == pytest.approx(found.mean)


def test_more_scenes_say_more() -> None:
    few, many = ([float(place % 3 == 0) for place in range(size)] for size in (30, 3000))
    spans = []
    for returns in (few, many):
        kinds = ["a", "b"] * (len(returns) // 2)
        found = score(Scale.of(kinds, [0.0] * len(kinds), [1.0] * len(kinds)), [returns])
        spans.append(found.upper - found.lower)
    assert spans[1] == pytest.approx(spans[0] / 10, rel=0.25)
    assert RESAMPLES >= 2000

"""Intervals that cover, pass^k against every choice of trials, and a test that is exact."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.evaluation import statistics
from stateset_gym.policies.evaluation.statistics import (
    bootstrap,
    design_effect,
    difference,
    paired_p,
    pass_at,
    pass_hat,
    wilson,
)

Pairs = list[tuple[int, int]]


@st.composite
def counts(draw: st.DrawFn, most: int = 5, scenes: int = 30) -> Pairs:
    """Successes and trials of some scenes."""
    trials = draw(st.lists(st.integers(1, most), min_size=1, max_size=scenes))
    return [(draw(st.integers(0, size)), size) for size in trials]


def test_wilson_gives_the_published_bounds() -> None:
    # Brown, Cai and DasGupta, and R's prop.test(correct = FALSE).
    assert wilson(81, 263) == pytest.approx((0.255289, 0.366217), abs=2e-5)
    assert wilson(15, 148) == pytest.approx((0.062386, 0.160488), abs=2e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.161125), abs=2e-5)
    assert wilson(1, 29) == pytest.approx((0.006113, 0.171755), abs=2e-5)


def test_an_interval_of_nothing_is_an_error() -> None:
    with pytest.raises(BadArgument, match="trials=0: an interval needs at least one"):
        wilson(0, 0)


@given(counts())
def test_the_interval_holds_the_share_and_lies_between_0_and_1(pairs: Pairs) -> None:
    found = statistics.success(pairs)
    assert 0 <= found.lower <= found.mean <= found.upper <= 1
    assert found.n == sum(n for _, n in pairs)
    assert found.mean == pytest.approx(sum(c for c, _ in pairs) / found.n)


@given(counts())
def test_trials_are_worth_something_and_never_more_than_independent_ones(pairs: Pairs) -> None:
    effect = design_effect(pairs)
    sizes = [n for _, n in pairs]
    assert 1 <= effect <= sum(n * n for n in sizes) / sum(sizes) + 1e-9


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.integers(1, 6))
def test_identical_trials_count_as_one(won: list[bool], trials: int) -> None:
    many = statistics.success([(trials * success, trials) for success in won])
    one = statistics.success([(int(success), 1) for success in won])
    assert (many.mean, many.lower, many.upper) == pytest.approx((one.mean, one.lower, one.upper))


def test_trials_that_are_independent_count_almost_in_full() -> None:
    random = np.random.default_rng(3)
    pairs = [(int(won), 4) for won in random.binomial(4, 0.5, size=2_000)]
    assert 1 <= design_effect(pairs) < 1.15


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.data())
def test_another_success_hardly_ever_lowers_the_bound(won: list[int], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(range(len(won))))
    more = [min(each + (number == place), 4) for number, each in enumerate(won)]
    before, after = (statistics.success([(each, 4) for each in row]) for row in (won, more))
    assert after.lower >= before.lower - 0.035


@pytest.mark.parametrize(
    ("scenes", "trials", "share", "alike"),
    [
        (20, 4, 0.5, 0.3),
        (20, 4, 0.9, 0.5),
        (50, 4, 0.5, 0.0),
        (60, 8, 0.7, 0.6),
        (200, 4, 0.97, 0.2),
        (30, 4, 0.5, 1.0),
    ],
)
def test_the_interval_covers_the_truth_where_trials_are_alike(
    scenes: int, trials: int, share: float, alike: float
) -> None:
    random = np.random.default_rng(7)
    covered = naive = 0
    for _ in range(400):
        won = random.binomial(trials, _chances(random, scenes, share, alike))
        found = statistics.success([(int(each), trials) for each in won])
        covered += found.lower <= share <= found.upper
        low, high = wilson(int(won.sum()), scenes * trials)
        naive += low <= share <= high
    assert covered / 400 >= 0.925
    if alike >= 0.3:
        assert naive / 400 < 0.92  # the test can tell the two apart


def _chances(random: np.random.Generator, scenes: int, share: float, alike: float) -> np.ndarray:
    """How likely each scene is won: beta distributed, so that two trials of one correlate by `alike`."""
    if alike in (0, 1):
        return np.full(scenes, share) if alike == 0 else (random.random(scenes) < share).astype(float)
    size = (1 - alike) / alike
    return random.beta(share * size, (1 - share) * size, scenes)


@given(counts(most=6, scenes=6), st.integers(1, 6))
def test_pass_k_is_the_mean_over_all_choices_of_k_trials(pairs: Pairs, k: int) -> None:
    enough = [pair for pair in pairs if pair[1] >= k]
    if not enough:
        with pytest.raises(BadArgument, match=f"k={k} is not from 1 to {max(n for _, n in pairs)}"):
            pass_hat(pairs, k)
        return
    every, some = [], []
    for won, trials in enough:
        chosen = list(itertools.combinations([True] * won + [False] * (trials - won), k))
        every.append(sum(map(all, chosen)) / len(chosen))
        some.append(sum(map(any, chosen)) / len(chosen))
    hat, at = pass_hat(pairs, k), pass_at(pairs, k)
    assert hat.mean == pytest.approx(sum(every) / len(every))
    assert at.mean == pytest.approx(sum(some) / len(some))
    assert (hat.scenes, hat.left_out) == (len(enough), len(pairs) - len(enough)) == (at.scenes, at.left_out)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_pass_k_falls_with_k_and_pass_at_k_rises(won: list[int]) -> None:
    pairs = [(each, 5) for each in won]
    hats, ats = ([way(pairs, k).mean for k in range(1, 6)] for way in (pass_hat, pass_at))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(hats))
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(ats))
    assert hats[0] == pytest.approx(ats[0]) == pytest.approx(sum(won) / (5 * len(won)))


@pytest.mark.parametrize("k", [0, -1, True, 1.0, 5])
def test_a_k_that_no_scene_has_the_trials_for_is_an_error(k: int) -> None:
    with pytest.raises(BadArgument, match=r"k=.* is not from 1 to 4, the most measured trials that a scene has"):
        pass_hat([(4, 4), (2, 3)], k)


def test_the_remedy_for_too_large_a_k_is_told() -> None:
    with pytest.raises(BadArgument, match="evaluate with trials=8"):
        pass_at([(4, 4)], 8)


def test_the_bootstrap_is_deterministic_whatever_the_order() -> None:
    random = np.random.default_rng(1)
    values = random.random(40).tolist()
    once, again = bootstrap(values, [1] * 40), bootstrap(values[::-1], [1] * 40)
    assert once == pytest.approx(again, abs=1e-12)
    assert once.lower < once.mean < once.upper


def test_the_bootstrap_agrees_with_the_normal_interval_on_many_scenes() -> None:
    random = np.random.default_rng(2)
    values = random.normal(0.2, 0.1, 2_000).tolist()
    found = bootstrap(values, [1] * 2_000)
    reach = 1.96 * float(np.std(values)) / math.sqrt(2_000)
    assert (found.lower, found.upper) == pytest.approx((found.mean - reach, found.mean + reach), abs=reach / 8)


def test_beyond_many_scenes_nothing_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    sizes = random.integers(1, 4, 3_000).tolist()
    sums = [float(random.normal(0.1, 0.2, size).sum()) for size in sizes]
    drawn = bootstrap(sums, sizes)
    monkeypatch.setattr(statistics, "MANY", 100)
    straight = bootstrap(sums, sizes)
    assert straight == pytest.approx(drawn, abs=(drawn.upper - drawn.lower) / 15)


def test_the_bootstrap_draws_whole_scenes() -> None:
    values = [1.0, 0.0] * 20
    alone = bootstrap(values, [1] * 40)
    fourfold = bootstrap([4 * value for value in values], [4] * 40)
    assert fourfold[:3] == pytest.approx(alone[:3])
    assert fourfold.n == 160


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(1, 3))
def test_the_interval_of_a_mean_holds_it(values: list[float], size: int) -> None:
    found = bootstrap([value * size for value in values], [size] * len(values))
    assert -1 - 1e-9 <= found.lower <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.upper <= 1 + 1e-9


def test_one_scene_says_nothing_of_the_others() -> None:
    assert bootstrap([1.5], [2]) == (0.75, -1.0, 1.0, 2)
    assert bootstrap([1.5], [1], -2.0, 2.0) == (1.5, -2.0, 2.0, 1)


def test_the_bootstrap_covers_the_truth() -> None:
    random = np.random.default_rng(5)
    values, chances = np.array([1, 0.98, 0.5, 0, -0.25]), [0.5, 0.1, 0.1, 0.2, 0.1]
    truth, hits = float(values @ chances), 0
    for _ in range(200):
        found = bootstrap(random.choice(values, 40, p=chances).tolist(), [1] * 40)
        hits += found.lower <= truth <= found.upper
    assert hits / 200 >= 0.9


def test_scenes_that_all_say_the_same_prove_no_exact_difference() -> None:
    mean, lower, upper, size = difference([1] * 40, [1] * 40)
    assert (mean, upper, size) == (1, 1, 40)
    assert 0.8 < lower < 0.93
    mean, lower, upper, _ = difference([0] * 40, [1] * 40)
    assert mean == 0
    assert -0.12 < lower < -0.02 < 0.02 < upper < 0.12
    assert difference([4] * 40, [4] * 40)[:3] == pytest.approx(difference([1] * 40, [1] * 40)[:3])
    assert difference([2], [3]) == (2 / 3, -1, 1, 3)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_the_interval_of_a_difference_holds_it(wins: list[int]) -> None:
    mean, lower, upper, _ = difference(wins, [3] * len(wins))
    assert -1 <= lower <= mean <= upper <= 1
    assert lower < upper


@pytest.mark.parametrize(
    ("scenes", "better", "worse"), [(40, 0.98, 0.0), (40, 0.02, 0.0), (20, 0.9, 0.05), (40, 0.3, 0.1), (60, 0.2, 0.2)]
)
def test_the_interval_of_a_difference_covers_the_truth(scenes: int, better: float, worse: float) -> None:
    random = np.random.default_rng(13)
    covered = bare = 0
    for _ in range(200):
        wins = random.choice([1, -1, 0], scenes, p=[better, worse, 1 - better - worse]).tolist()
        found, without = difference(wins, [1] * scenes), bootstrap(wins, [1] * scenes)
        covered += found.lower <= better - worse <= found.upper
        bare += without.lower <= better - worse <= without.upper
    assert covered / 200 >= 0.92
    if {better, worse} & {0.98, 0.02}:
        assert bare / 200 < 0.8  # the test can tell the two apart


def _enumerated(differences: Sequence[int]) -> float:
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True))
            for signs in itertools.product((1, -1), repeat=len(differences))]  # fmt: skip
    return sum(abs(each) >= abs(sum(differences)) for each in sums) / len(sums)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_the_paired_test_counts_all_ways_to_choose_the_signs(differences: list[int]) -> None:
    assert paired_p(differences) == pytest.approx(_enumerated(differences), abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_with_one_trial_it_is_mcnemars_exact_test(better: int, worse: int, same: int) -> None:
    flips, least = better + worse, min(better, worse)
    tail = sum(math.comb(flips, i) for i in range(least + 1)) / 2**flips
    found = paired_p([1] * better + [-1] * worse + [0] * same)
    assert found == pytest.approx(min(2 * tail, 1.0), rel=1e-9)


def test_the_paired_test_of_many_scenes() -> None:
    assert paired_p([0] * 1_000) == 1
    assert paired_p([1] * 5_000 + [-1] * 5_000) == pytest.approx(1)
    assert paired_p([1] * 5_150 + [-1] * 4_850) == pytest.approx(0.0027, abs=2e-4)
    assert paired_p([3, -2, 1, 4] * 500) < 1e-20


def test_the_paired_test_seldom_cries_wolf() -> None:
    random = np.random.default_rng(11)
    cries = 0
    for _ in range(500):
        chances = random.random(40)
        first, second = random.binomial(3, chances), random.binomial(3, chances)
        cries += paired_p((first - second).tolist()) < 0.05
    assert cries / 500 <= 0.07

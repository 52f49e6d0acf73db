"""Chance: the same draws on every platform, and no pair of one split in the other."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.chance import DRAWS, below, block, distinct, paired, permille, pick

draws = st.integers(0, 65535)

# Written down once; a platform on which these differ plays other scenes.
GOLDEN = [
    (
        "CustomerService-v0/train/easy/000000",
        "plan",
        (
            10436,
            48073,
            55761,
            7622,
            20055,
            64315,
            1262,
            28895,
            26712,
            17007,
            7380,
            25567,
            4302,
            11511,
            26199,
            65190,
            53613,
            47438,
            16145,
            3899,
            7901,
            40972,
            33809,
            12575,
            59848,
            54336,
            4992,
            55253,
            29033,
            1859,
            21904,
            17414,
        ),
    ),
    ("Echo-v0/test/hard/999999", "words 3", (1314, 57004, 37419, 21096, 1993, 5353, 32818, 48364)),
    ("TicketTriage-v0/test/normal/000123@0123abcd", "ticket", (58330, 5111, 36754, 45431, 47402, 39635, 48994, 54322)),
    ("Ünïcode", "名", (55024, 18875, 4428, 8903)),
    ("", "", (42106, 28415, 25195, 35575)),
]


@pytest.mark.parametrize(("scene", "purpose", "expected"), GOLDEN)
def test_the_draws_of_a_scene_are_the_published_ones(scene: str, purpose: str, expected: tuple[int, ...]) -> None:
    assert block(scene, purpose)[: len(expected)] == expected


def test_a_block_has_its_draws_whatever_was_drawn_before() -> None:
    first = block("Echo-v0/train/easy/000001", "words")
    for other in range(10):
        block(f"Echo-v0/train/easy/{other:06d}", "words")
    assert block("Echo-v0/train/easy/000001", "words") == first
    assert len(first) == DRAWS == 32
    assert all(0 <= draw < 65536 for draw in first)


def test_scene_and_purpose_both_matter() -> None:
    blocks = {block(scene, purpose) for scene in ("a", "b", "c") for purpose in ("x", "y", "z")}
    assert len(blocks) == 9


def test_draws_are_even() -> None:
    seen = [draw for index in range(1000) for draw in block(f"Echo-v0/train/easy/{index:06d}", "words")]
    assert abs(sum(seen) / len(seen) - 32767.5) < 5 * 65536 / math.sqrt(12 * len(seen))
    for count in (2, 7, 16):
        shares = [0] * count
        for draw in seen:
            shares[below(draw, count)] += 1
        expected = len(seen) / count
        assert sum((share - expected) ** 2 / expected for share in shares) < count + 6 * math.sqrt(2 * count)


def test_neighbouring_draws_do_not_hang_together() -> None:
    pairs = [pair for index in range(1000) for pair in itertools.pairwise(block(f"{index}", "pairs"))]
    mean = sum((a - 32767.5) * (b - 32767.5) for a, b in pairs) / len(pairs)
    assert abs(mean) / (65536**2 / 12) < 5 / math.sqrt(len(pairs))


@pytest.mark.parametrize(
    ("draw", "count", "expected"),
    [(0, 10, 0), (6553, 10, 0), (6554, 10, 1), (32768, 10, 5), (65535, 10, 9), (65535, 1, 0), (65535, 65536, 65535)],
)
def test_below(draw: int, count: int, expected: int) -> None:
    assert below(draw, count) == expected


@given(draws, st.integers(1, 1000))
def test_below_stays_below(draw: int, count: int) -> None:
    assert 0 <= below(draw, count) < count
    assert pick(draw, tuple(range(count))) == below(draw, count)


@pytest.mark.parametrize(
    ("seen", "count", "size", "expected"),
    [((0, 0, 0, 0), 5, 3, [0, 1, 2]), ((65535, 65535, 32768), 5, 3, [4, 3, 1]), ((7,), 4, 0, [])],
)
def test_distinct(seen: tuple[int, ...], count: int, size: int, expected: list[int]) -> None:
    assert distinct(seen, count, size) == expected


@given(st.lists(draws, min_size=12, max_size=12), st.integers(12, 40))
def test_distinct_numbers_are_distinct(seen: list[int], count: int) -> None:
    found = distinct(tuple(seen), count, 12)
    assert len(set(found)) == 12
    assert all(0 <= number < count for number in found)


@pytest.mark.parametrize(
    ("draw", "share", "falls"),
    [(0, 0, False), (0, 1, True), (16383, 250, True), (16384, 250, False), (65535, 999, False), (65535, 1000, True)],
)
def test_permille(draw: int, share: int, falls: bool) -> None:
    assert permille(draw, share) is falls


evens = st.integers(1, 40).map(lambda half: 2 * half)


@given(draws, draws, draws, draws, evens, evens)
def test_no_pair_of_train_is_one_of_test(a: int, b: int, c: int, d: int, left: int, right: int) -> None:
    for easy in (True, False):
        train, test = (paired(*two, (left, right), split, easy) for two, split in (((a, b), False), ((c, d), True)))
        assert train != test
        if not easy:
            assert train[0] != test[0]
            assert train[1] != test[1]
        for one, two in (train, test):
            assert 0 <= one < left
            assert 0 <= two < right


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize("easy", [False, True])
def test_each_split_draws_all_that_is_its_own(test: bool, easy: bool) -> None:
    sizes = (8, 6)
    grid = range(0, 65536, 2048)
    found = {paired(a, b, sizes, test, easy) for a in grid for b in grid}
    if easy:
        assert found == {(a, b) for a in range(8) for b in range(6) if (a + b) % 2 == test}
    else:
        assert found == {(a, b) for a in range(8) for b in range(6) if a % 2 == b % 2 == test}

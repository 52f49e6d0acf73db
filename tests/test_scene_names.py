"""Scene names, and the pool that scenes are drawn from."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.errors import BadArgument, BadScene
from stateset_gym.envs.scenes import DIFFICULTIES, POOL_SIZE, SPLITS, SceneName, ScenePool

CYCLE = ("a", "b", "a", "c")
PREFIX = "Desk-v0/train/easy/"
STORE = "@0123abcd"
DESK = "StateSet/CustomerService-v0"


def pool(**arguments: Any) -> ScenePool:
    return ScenePool(PREFIX, CYCLE, **arguments)


def names(found: ScenePool) -> list[str]:
    return [found[position] for position in range(len(found))]


def numbers(found: ScenePool, size: int) -> list[int]:
    return [SceneName.parse(found[position]).number for position in range(size)]


# Names


def test_a_name_has_its_parts() -> None:
    assert SceneName.parse("CustomerService-v0/test/hard/000123") == ("CustomerService-v0", "test", "hard", 123, "")
    assert SceneName.parse("Desk2-v12/train/easy/999999@0a1b2c3d") == (
        "Desk2-v12",
        "train",
        "easy",
        999999,
        "@0a1b2c3d",
    )


@given(
    st.sampled_from(SPLITS), st.sampled_from(DIFFICULTIES), st.integers(0, POOL_SIZE - 1), st.sampled_from(["", STORE])
)
def test_a_name_reads_back(split: str, difficulty: str, index: int, store: str) -> None:
    name = SceneName("Desk-v0", split, difficulty, index, store)
    assert SceneName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Desk-v0",
        "Desk-v0/train/easy",
        "Desk/train/easy/000001",
        "Desk-v0/dev/easy/000001",
        "Desk-v0/train/Easy/000001",
        "Desk-v0/train/easy/00001",
        "Desk-v0/train/easy/0000001",
        "Desk-v0/train/easy/-00001",
        "Desk-v0/train/easy/00000\u0661",
        "Desk-v0/train/easy/000001@",
        "Desk-v0/train/easy/000001@0123ABCD",
        "Desk-v0/train/easy/000001@0123abcde",
        "Desk-v0/train/easy/000001\n",
        " Desk-v0/train/easy/000001",
        "StateSet/Desk-v0/train/easy/000001",
        None,
        1,
        b"Desk-v0/train/easy/000001",
        ["Desk-v0/train/easy/000001"],
    ],
)
def test_what_is_no_name_is_said(text: Any) -> None:
    message = f"Scene {text!r} is no scene's name: it reads like 'CustomerService-v0/test/hard/000123'."
    with pytest.raises(BadScene, match=re.escape(message)):
        SceneName.parse(text)


# The pool


def test_the_whole_pool_is_every_scene_of_whole_cycles() -> None:
    found = pool()
    assert len(found) == POOL_SIZE // 4 * 4
    assert found[0] == f"{PREFIX}000000"
    assert found[len(found) - 1] == f"{PREFIX}999999"
    assert numbers(found, 9) == list(range(9))


@pytest.mark.parametrize(
    ("kinds", "first"),
    [
        (["a"], [0, 2, 4, 6]),
        (["b"], [1, 5, 9, 13]),
        (("c", "a"), [0, 2, 3, 4]),
        (["c", "c"], [3, 7, 11, 15]),
        (["a", "b", "c"], [0, 1, 2, 3]),
    ],
)
def test_kinds_choose_their_places_in_the_cycle(kinds: Any, first: list[int]) -> None:
    found = pool(kinds=kinds)
    assert numbers(found, 4) == first
    share = sum(kind in kinds for kind in CYCLE) / len(CYCLE)
    assert len(found) == POOL_SIZE * share
    assert {CYCLE[SceneName.parse(found[p]).number % 4] for p in (0, 1, 99, len(found) - 1)} <= set(kinds)


def test_a_pool_whose_cycle_does_not_divide_it_keeps_whole_cycles() -> None:
    found = ScenePool(PREFIX, ("a", "b", "c"), kinds=["c"])
    assert len(found) == 333_333
    assert found[len(found) - 1] == f"{PREFIX}999998"


def test_scenes_may_be_a_range_or_a_list_of_numbers_and_names() -> None:
    assert names(pool(scenes=range(3))) == [f"{PREFIX}{n:06d}" for n in range(3)]
    assert names(pool(scenes=[5, "Desk-v0/test/hard/000007", np.int64(2)])) == [
        f"{PREFIX}000005",
        "Desk-v0/test/hard/000007",
        f"{PREFIX}000002",
    ]
    assert names(pool(scenes=(n for n in (4, 4)))) == [f"{PREFIX}000004"] * 2


def test_kinds_choose_among_given_scenes() -> None:
    assert names(pool(scenes=range(8), kinds=["b"])) == [f"{PREFIX}000001", f"{PREFIX}000005"]


def test_kinds_choose_among_named_scenes_of_other_difficulties_by_their_own_cycles() -> None:
    listed = [f"CustomerService-v0/test/hard/{index:06d}" for index in range(48)]
    env: Any = gym.make(DESK, difficulty="easy", kinds=["cancel_order"], scenes=listed).unwrapped
    kinds = {env.reset(options={"scene": name})[1]["kind"] for name in names(env.pool)}
    assert kinds == {"cancel_order"}


def test_the_names_of_a_store_end_in_its_mark() -> None:
    found = pool(suffix=STORE, scenes=[1, f"Desk-v0/test/easy/000002{STORE}"])
    assert names(found) == [f"{PREFIX}000001{STORE}", f"Desk-v0/test/easy/000002{STORE}"]
    assert pool(suffix=STORE)[9] == f"{PREFIX}000009{STORE}"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kinds": "a"}, BadArgument, "kinds='a' is a string: give a list, ['a']."),
        (
            {"kinds": ["a", "d"]},
            BadArgument,
            "kinds (of Desk-v0/train/easy/)='d' is not known: choose one of 'a', 'b', 'c'.",
        ),
        ({"kinds": [1]}, BadArgument, "kinds (of Desk-v0/train/easy/)=1 is not known"),
        ({"kinds": []}, BadArgument, "kinds=[] leaves no scene: name at least one of a, b, c."),
        ({"scenes": []}, BadArgument, "scenes=[] with kinds=None leaves no scene: widen one of them."),
        ({"scenes": range(0)}, BadArgument, "scenes=range(0, 0) with kinds=None leaves no scene"),
        ({"scenes": [0, 2], "kinds": ["b"]}, BadArgument, "scenes=[0, 2] with kinds=['b'] leaves no scene"),
        ({"scenes": [-1]}, BadArgument, "scenes holds -1: give whole numbers from 0 to 999999, or scene names."),
        ({"scenes": [POOL_SIZE]}, BadArgument, "scenes holds 1000000: give whole numbers from 0 to 999999"),
        ({"scenes": [1.0]}, BadArgument, "scenes holds 1.0: give"),
        ({"scenes": [False]}, BadArgument, "scenes holds False: give"),
        ({"scenes": [None]}, BadArgument, "scenes holds None: give"),
        ({"scenes": ["000001"]}, BadScene, "Scene '000001' is no scene's name"),
        (
            {"scenes": ["Echo-v0/train/easy/000001"]},
            BadScene,
            "Scene 'Echo-v0/train/easy/000001' belongs to another environment or store than Desk-v0.",
        ),
        ({"scenes": [f"Desk-v0/train/easy/000001{STORE}"]}, BadScene, "belongs to another environment or store"),
        (
            {"scenes": ["Desk-v0/train/easy/000001"], "suffix": STORE},
            BadScene,
            "belongs to another environment or store than Desk-v0@0123abcd.",
        ),
        ({"scenes": f"{PREFIX}000001"}, BadArgument, f"scenes='{PREFIX}000001'"),
        ({"scenes": 3}, BadArgument, "scenes=3"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        pool(**arguments)


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_outside_the_pool_is_said(position: int) -> None:
    with pytest.raises(IndexError, match=rf"Scene position {position} is outside the pool of 3\."):
        pool(scenes=range(3))[position]


def test_draws_are_even_over_the_pool_and_follow_the_generator() -> None:
    found = pool(scenes=range(8))
    drawn = [found.draw(np.random.default_rng(1)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    generator = np.random.default_rng(0)
    counts = Counter(found.draw(generator) for _ in range(4000))
    assert len(counts) == 8
    assert all(400 < count < 600 for count in counts.values())


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_scene_has_the_kind_of_its_place(difficulty: str) -> None:
    for kind in ("cancel_order", "not_delivered"):
        env = gym.make(DESK, difficulty=difficulty, kinds=[kind])
        assert {env.reset(seed=seed)[1]["kind"] for seed in range(20)} == {kind}

"""Tables of scenes: a walk through one is a walk through the environment, and nothing is missing that is not marked."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs.customer_service.catalogue import CATALOGUE
from stateset_gym.envs.customer_service.env import CustomerServiceEnv
from stateset_gym.envs.customer_service.goals import Goal, Knowledge, Plot, Request, Temper
from stateset_gym.envs.customer_service.mind import Mind
from stateset_gym.envs.discrete import DiscreteView, catalogue_of
from stateset_gym.envs.errors import BadArgument, BadScene
from stateset_gym.envs.memory import PERSON
from stateset_gym.envs.merging import merged
from stateset_gym.envs.table import ARRAYS, Table
from stateset_gym.envs.tabular import tabulate
from stateset_gym.policies.registry import kind_of
from stateset_gym.rewards import Prices

SMALL = {
    "StateSet/Echo-v0": ["Echo-v0/train/easy/000003", "Echo-v0/test/easy/000003", "Echo-v0/train/hard/000003"],
    "StateSet/TicketTriage-v0": [f"TicketTriage-v0/train/{level}/000004" for level in ("easy", "normal", "hard")],
    "StateSet/CustomerService-v0": [
        f"CustomerService-v0/{name}"
        for name in ("train/easy/000010", "train/easy/000019", "train/normal/000008", "train/normal/000004",
                     "train/hard/000009", "train/hard/000010", "test/easy/000019", "test/hard/000008")
    ],
}  # fmt: skip
"""Scenes of each environment that are explored in no time."""
SCENES = [(name, scene) for name, scenes in SMALL.items() for scene in scenes]
TANGLED = [
    "CustomerService-v0/train/normal/000005",
    "CustomerService-v0/train/hard/000003",
    "CustomerService-v0/train/normal/000009",
    "CustomerService-v0/train/hard/000009",
]
"""Scenes of customers who mistake things, change their minds, drift, push back and want several things."""


def test_every_environment_is_tried() -> None:
    assert sorted(SMALL) == sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))


@functools.cache
def tables(name: str, scene: str) -> tuple[Table, Table]:
    """A scene as it was explored, and merged."""
    table = tabulate(kind_of(name), scene)
    return table, merged(table)


@settings(max_examples=80)
@given(st.sampled_from(SCENES), st.data())
def test_a_walk_through_a_table_is_one_through_the_view(pair: tuple[str, str], data: st.DataObject) -> None:
    name, scene = pair
    view = DiscreteView(gymnasium.make(name, max_turns=12))
    shown, info = view.reset(options={"scene": scene})
    total, over, states, number = 0.0, False, [0, 0], 0
    while not over:
        number += 1
        masks = view.action_masks()
        anything = data.draw(st.integers(0, 3)) == 0
        action = data.draw(
            st.integers(0, len(masks) - 1) if anything else st.sampled_from(np.flatnonzero(masks).tolist())
        )
        for table, state in zip(tables(name, scene), states, strict=True):
            assert (table.features[state].tobytes(), table.mask[state].tobytes()) == (shown.tobytes(), masks.tobytes())
            assert (table.name, table.kind, table.par, table.whole) == (scene, info["kind"], info["par"], True)
            if not masks[action]:
                assert table.next_state[state, action] == state
        shown, reward, terminated, truncated, info = view.step(action)
        for place, table in enumerate(tables(name, scene)):
            state, after = states[place], int(table.next_state[states[place], action])
            assert table.breach[state, action] == bool(info["violations"])
            assert table.done[state, action] == table.ended[after] == terminated
            paid = max(float(table.penalty()[state, action]) - 0.02 * (number > table.par), -1.0 - total)
            goal = table.goal[state, action] + (table.cut[after] if truncated else 0.0)
            assert paid + goal == pytest.approx(reward, abs=1e-12)
            states[place] = after
        total, over = total + reward, terminated or truncated
    for table, state in zip(tables(name, scene), states, strict=True):
        assert table.features[state].tobytes() == shown.tobytes()


@pytest.mark.parametrize("scene", TANGLED)
def test_what_one_key_stands_for_is_one_state(scene: str) -> None:
    """Whichever way a state was come to, it offers, shows and answers the same, and leads to the same states."""
    first: dict[Any, Any] = {}
    met = 0
    for key, state in walked(scene, seed=0):
        if key not in first:
            first[key] = state
            continue
        known = first[key]
        mine, theirs = CATALOGUE.look(state.memory), CATALOGUE.look(known.memory)
        assert mine.features == theirs.features
        assert mine.actions == theirs.actions
        assert CustomerServiceEnv.parts.goal(state) == CustomerServiceEnv.parts.goal(known)
        for act in filter(None, mine.actions):
            assert played(state, act) == played(known, act)
        met += 1
    assert met > 100


def walked(scene: str, seed: int) -> Iterator[tuple[Any, Any]]:
    """The states of many random walks with their keys."""
    parts, generator = CustomerServiceEnv.parts, np.random.default_rng(seed)
    made = parts.build(scene)
    for _ in range(60):
        state = parts.start(made)
        state.memory.fold(None, parts.opening(state))
        while not state.ended:
            yield state.key(), state.copy()
            acts = [act for act in CATALOGUE.look(state.memory).actions if act is not None]
            acts = [act for act in acts if type(act).__name__ not in ("Close", "HandOver")]
            act = parts.expert(state.memory) if generator.random() < 0.5 else acts[generator.integers(len(acts))]
            state.memory.fold(act, parts.play(state, act, None))


def played(state: Any, act: Any) -> tuple[Any, Any]:
    after = state.copy()
    facts = CustomerServiceEnv.parts.play(after, act, None)
    after.memory.fold(act, facts)
    return facts, after.key()


def test_counts_that_make_no_difference_make_no_states() -> None:
    """What was told once is told again, however often; where it was wrong at first, the second time differs."""
    requests = (Request("cancel_order", Goal(hand_over=True)),)
    wrong = Knowledge(values={"email": "a@b.c", "name": "A"}, mistakes={"email": "a@b.d"})
    plot = Plot("C1", requests, wrong, Temper(drifts=(2,)))

    def key(times: dict[str, int], replies: int) -> Any:
        mind = Mind(3)
        mind.said, mind.replies = {(PERSON, field): count for field, count in times.items()}, replies
        return mind.key(plot)

    assert key({"name": 1}, 2) == key({"name": 7}, 9)
    assert key({"email": 2}, 2) == key({"email": 7}, 2)
    different = [key({}, 2), key({"name": 1}, 2), key({"email": 1}, 2), key({"email": 2}, 2), key({}, 1), key({}, 0)]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(("name", "scene"), SCENES)
def test_paths_lead_there_and_are_the_shortest(name: str, scene: str) -> None:
    view = DiscreteView(gymnasium.make(name, max_turns=99))
    for table in tables(name, scene):
        lengths = [len(table.path(state)) for state in range(table.states)]
        following = np.where(table.known, table.next_state, 0)
        for state, length in enumerate(lengths):
            reached = np.array(lengths)[following[state][table.known[state]]]
            assert (reached <= length + 1).all()
        for state in np.random.default_rng(0).choice(table.states, 8):
            shown, _ = view.reset(options={"scene": scene})
            for action in table.path(int(state)):
                shown, *_ = view.step(action)
            assert shown.tobytes() == table.features[state].tobytes()


def test_what_was_not_explored_is_no_end() -> None:
    scene = "CustomerService-v0/train/easy/000019"
    full, _ = tables("StateSet/CustomerService-v0", scene)
    part = tabulate(CustomerServiceEnv, scene, cap=60)
    for table in (part, merged(part)):
        assert not table.whole
        assert 0 < table.coverage < 1
        assert table.found >= 60 > table.expanded
        unknown = ~table.explored
        assert unknown.sum() == table.found - table.expanded, "nothing unknown was merged"
        assert not (unknown & table.ended).any()
        assert (table.next_state[unknown] == -1).all()
        assert not table.mask[unknown].any()
        assert not table.done[unknown].any()
        assert (table.next_state[table.explored & ~table.ended] >= 0).all()
        assert table.row.max() < len(table.rows)
    assert (full.features[: len(part.features)] == part.features).all(), "what is shown of the unexplored is known"
    assert tabulate(CustomerServiceEnv, scene, cap=full.states + 1).whole


@pytest.mark.parametrize(("name", "scene"), SCENES)
def test_merging_twice_is_merging_once(name: str, scene: str) -> None:
    table, small = tables(name, scene)
    again = merged(small)
    assert small.states <= table.states == table.found == small.found
    for each in ARRAYS:
        assert np.array_equal(getattr(small, each), getattr(again, each)), each
        assert getattr(small, each).dtype == getattr(table, each).dtype, each


def test_scenes_that_differ_in_names_alone_have_one_table() -> None:
    one, other = (merged(tabulate(CustomerServiceEnv, f"CustomerService-v0/train/easy/{no:06d}")) for no in (3, 22))
    assert one.name != other.name
    for each in ARRAYS:
        assert np.array_equal(getattr(one, each), getattr(other, each)), each


def test_prices_are_put_in_later() -> None:
    table, _ = tables("StateSet/Echo-v0", "Echo-v0/train/easy/000003")
    assert not table.penalty().any(), "no word is malformed"
    shop, _ = tables("StateSet/CustomerService-v0", "CustomerService-v0/train/easy/000019")
    open_states = shop.explored & ~shop.ended
    masked = open_states[:, None] & ~shop.mask
    assert (shop.penalty()[masked] == -0.05).all()
    assert (shop.penalty(Prices(malformed=0.4))[masked] == -0.4).all()
    assert shop.breach.any()
    assert not shop.penalty(Prices(0, 0, 0, 0, 0)).any()


def test_parts_and_own_scenes_have_tables() -> None:
    parts = kind_of("StateSet/Echo-v0").parts
    own = {"words": ["amber", "birch"], "asks": ["say", "say"]}
    for table in (tabulate(parts, own), tabulate(kind_of("StateSet/Echo-v0"), own)):
        assert table.name.startswith("own/")
        assert table.par == 2
        assert table.states == tabulate(parts, "Echo-v0/train/normal/000000").states
    assert tabulate(parts, "Echo-v0/train/easy/000003").action_names == parts.catalogue.action_names


def test_what_cannot_be_tabulated() -> None:
    kind, scene = kind_of("StateSet/Echo-v0"), "Echo-v0/train/easy/000003"
    for cap in (0, -1, True, 2.0):
        with pytest.raises(BadArgument, match=rf"cap={cap!r} must be a whole number from 1 up"):
            tabulate(kind, scene, cap=cap)  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match=r"customer=.*cannot be tabulated.*Leave customer='agenda'"):
        tabulate(CustomerServiceEnv, TANGLED[0], arguments={"customer": lambda brief, heard, act: {}})
    with pytest.raises(BadArgument, match=r"Echo-v0 has no catalogue: give one"):
        tabulate(dataclasses.replace(kind.parts, catalogue=None), scene)
    with pytest.raises(BadScene, match=r"is not one of Echo-v0"):
        tabulate(kind, TANGLED[0])
    with pytest.raises(IndexError, match=r"state 999 is none of the 2 of its table"):
        tabulate(kind, scene).path(999)
    assert tabulate(kind, scene, catalogue=catalogue_of(kind)).whole

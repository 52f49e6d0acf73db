"""The exact optimum equals the best that trying everything finds, and the expert's return is told exactly."""

import functools
from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs.customer_service.env import CustomerServiceEnv
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument
from stateset_gym.envs.merging import merged
from stateset_gym.envs.optimum import Optimum, expert_path, lost, returned
from stateset_gym.envs.table import Table
from stateset_gym.envs.tabular import tabulate
from stateset_gym.policies.registry import kind_of
from stateset_gym.rewards import Prices, Reward

from .small_tables import small_tables

SHOP = "StateSet/CustomerService-v0"
HARSH = Prices(conduct=0.7, truth=0.6, malformed=0.4, refused=0.3, late_turn=0.15)
"""Prices at which a few faults come to the cut."""


@functools.cache
def table_of(name: str, scene: str, cap: int = 200_000) -> Table:
    return merged(tabulate(kind_of(name), scene, cap=cap))


def best(view: DiscreteView, at: Any, masked: bool) -> float:
    """The best that is still to come, by trying every template, or every one that is not masked."""
    found = -np.inf
    masks = view.action_masks()
    for action in range(len(masks)) if masked else np.flatnonzero(masks).tolist():
        _, reward, terminated, truncated, _ = view.step(action)
        found = max(found, reward if terminated or truncated else reward + best(view, view.snapshot(), masked))
        view.restore(at)
    return float(found)


@pytest.mark.parametrize("prices", [Prices(), HARSH])
@pytest.mark.parametrize(
    ("name", "scene", "turns", "masked"),
    [
        ("StateSet/Echo-v0", "Echo-v0/train/easy/000003", None, True),
        ("StateSet/Echo-v0", "Echo-v0/test/hard/000005", None, True),
        ("StateSet/Echo-v0", "Echo-v0/test/hard/000005", 2, True),
        ("StateSet/TicketTriage-v0", "TicketTriage-v0/train/easy/000002", None, True),
        ("StateSet/TicketTriage-v0", "TicketTriage-v0/train/hard/000003", None, True),
        (SHOP, "CustomerService-v0/train/easy/000010", 2, True),
        (SHOP, "CustomerService-v0/train/easy/000014", 5, False),
        (SHOP, "CustomerService-v0/train/easy/000019", 4, False),
        (SHOP, "CustomerService-v0/train/hard/000008", 3, False),
    ],
)
def test_the_optimum_is_the_best_of_everything(
    name: str, scene: str, turns: int | None, masked: bool, prices: Prices
) -> None:
    view = DiscreteView(gymnasium.make(name, max_turns=turns, reward=Reward(prices)))
    view.reset(options={"scene": scene})
    tried = best(view, view.snapshot(), masked)
    table = table_of(name, scene)
    optimum = Optimum.of(table, turns, prices)
    assert optimum.value == optimum.upper == pytest.approx(tried, abs=1e-12)
    assert tried >= 0, "so that the cut of penalties makes no optimum better"
    assert returned(table, optimum.path(), turns, prices) == pytest.approx(tried, abs=1e-12)
    assert optimum.regret(optimum.path()) == pytest.approx(0, abs=1e-12)


def tried(table: Table, prices: Prices, limit: int, turn: int, state: int, total: float) -> float:
    """The best that is still to come after a return of `total`, by trying everything, with the cut of penalties."""
    if turn == limit:
        return float(table.cut[state])
    found = -np.inf
    for action in range(len(table.action_names)):
        fine = float(table.penalty(prices)[state, action]) - prices.late_turn * (turn >= table.par)
        paid = max(fine, -1.0 - total)
        if table.done[state, action]:
            after = float(table.goal[state, action])
        else:
            after = tried(table, prices, limit, turn + 1, int(table.next_state[state, action]), total + paid)
        found = max(found, paid + after)
    return found


@settings(max_examples=100)
@given(small_tables(unknown=False), st.sampled_from([Prices(), HARSH]), st.integers(1, 3))
def test_an_optimum_of_0_or_more_is_exact_and_one_below_is_a_bound(table: Table, prices: Prices, limit: int) -> None:
    """In scenes that there are not, where nothing need be free of charge; and so at every turn and in every state."""
    optimum = Optimum.of(table, limit, prices)
    for turn in range(limit + 1):
        for state in range(table.states):
            value = float(optimum.values[turn, state])
            best_left = tried(table, prices, limit, turn, state, 0.0)
            assert best_left == pytest.approx(value) if value >= 0 else value - 1e-9 <= best_left <= 1e-9
            assert tried(table, prices, limit, turn, state, -0.8) >= value - 1e-9


@pytest.mark.parametrize("level", ["easy", "normal", "hard"])
@pytest.mark.parametrize("env_id", ["StateSet/Echo-v0", "StateSet/TicketTriage-v0", SHOP])
def test_in_the_environments_here_the_first_step_can_be_free_and_the_optimum_is_exact(
    env_id: str, level: Literal["easy", "normal", "hard"]
) -> None:
    """To say goodbye, any word, or any answer costs nothing at first, whatever the prices."""
    kind = kind_of(env_id)
    name = kind(difficulty=level).pool[0]
    table = tabulate(kind, name, cap=2)
    table = table if table.explored[0] else tabulate(kind, name, cap=60)
    free = table.penalty(HARSH)[0] == 0
    assert free.any()
    if env_id == SHOP:
        assert free[table.action_names.index("close")]
        assert table.done[0, table.action_names.index("close")]


EXPERTS = [
    ("StateSet/Echo-v0", ["Echo-v0/train/easy/000007", "Echo-v0/test/normal/000007"]),
    ("StateSet/TicketTriage-v0", [f"TicketTriage-v0/test/{level}/000002" for level in ("easy", "normal", "hard")]),
    (SHOP, [f"CustomerService-v0/train/{number}" for number in
            ("easy/000006", "easy/000009", "easy/000013", "normal/000001", "normal/000008", "hard/000009")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "scenes"), EXPERTS)
def test_the_expert_reaches_the_optimum(name: str, scenes: list[str]) -> None:
    for scene in scenes:
        table, path = table_of(name, scene), expert_path(kind_of(name), scene)
        optimum = Optimum.of(table)
        assert optimum.value == pytest.approx(1)
        assert returned(table, path) == pytest.approx(1)
        assert optimum.regret(path) == pytest.approx(0)
        view = DiscreteView(gymnasium.make(name))
        view.reset(options={"scene": scene})
        assert sum(view.step(action)[1] for action in path) == pytest.approx(1)


@settings(max_examples=60)
@given(
    st.sampled_from(["easy/000009", "easy/000019", "normal/000008", "hard/000009"]),
    st.sampled_from([None, 1, 4, 30]),
    st.sampled_from([Prices(), HARSH]),
    st.integers(0, 2**32 - 1),
)
def test_any_course_is_paid_as_the_environment_pays_it(
    number: str, turns: int | None, prices: Prices, seed: int
) -> None:
    scene, generator = f"CustomerService-v0/train/{number}", np.random.default_rng(seed)
    table = table_of(SHOP, scene)
    view = DiscreteView(gymnasium.make(SHOP, max_turns=turns, reward=Reward(prices)))
    view.reset(options={"scene": scene})
    path: list[int] = []
    total, over = 0.0, False
    while not over:
        masks = view.action_masks()
        path.append(int(generator.choice(np.flatnonzero(masks | (generator.random(len(masks)) < 0.2)))))
        _, reward, terminated, truncated, _ = view.step(path[-1])
        total, over = total + reward, terminated or truncated
    assert returned(table, path, turns, prices) == pytest.approx(total, abs=1e-12)
    assert Optimum.of(table, turns, prices).regret(path) >= -1e-12
    if len(path) > 1:
        with pytest.raises(BadArgument, match="end in the middle of a conversation"):
            returned(table, path[:-1], turns, prices)


def test_lost_is_what_no_course_can_win() -> None:
    free = Prices(0, 0, 0, 0, 0)
    for number in ("easy/000004", "easy/000009", "easy/000011", "hard/000009"):
        table = table_of(SHOP, f"CustomerService-v0/train/{number}")
        best_goal = Optimum.of(table, table.states, free).values[0]
        open_states = ~table.ended
        assert np.array_equal(lost(table)[open_states], best_goal[open_states] < 1)
        assert lost(table)[table.ended].all()
        assert not lost(table)[0]
    assert lost(table_of(SHOP, "CustomerService-v0/train/easy/000004"))[open_of("easy/000004")].any()


def open_of(number: str) -> Any:
    return ~table_of(SHOP, f"CustomerService-v0/train/{number}").ended


@pytest.mark.parametrize("number", ["easy/000010", "easy/000019", "hard/000008"])
def test_bounds_close_in_as_more_is_explored(number: str) -> None:
    scene = f"CustomerService-v0/train/{number}"
    whole = Optimum.of(table_of(SHOP, scene))
    widths = []
    for cap in (2, 20, 60, 120, 200_000):
        table = table_of(SHOP, scene, cap)
        found = Optimum.of(table)
        assert found.value <= whole.value <= found.upper
        assert not lost(table)[~table.explored].any(), "what is unknown is not known to be lost"
        widths.append(found.upper - found.value)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0 == widths[-1]


def test_what_has_no_return() -> None:
    scene = "CustomerService-v0/train/easy/000019"
    with pytest.raises(BadArgument, match=r"45 is no index from 0 to 44"):
        returned(table_of(SHOP, scene), [45])
    with pytest.raises(BadArgument, match=r"was not explored; raise cap"):
        returned(table_of(SHOP, scene, 2), expert_path(CustomerServiceEnv, scene))

"""The reward terms: the published table by numbers worked out by hand, and the bounds that nothing breaks."""

from __future__ import annotations

import math
import random
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.policies.registry import make as policy
from stateset_gym.rewards import PRICES, TERMS, Prices, Reward

Fact = dict[str, Any]
CONDUCT: Fact = {"kind": "violation", "rule": "authenticate_first", "term": "conduct", "why": "..."}
TRUTH: Fact = {"kind": "violation", "rule": "supported_claims", "term": "truth", "why": "..."}
MALFORMED: Fact = {"kind": "malformed", "why": "..."}
REFUSED: Fact = {"kind": "refused", "act": "get_order", "why": "..."}
SAID: Fact = {"kind": "said", "act": "tell", "no": 0}
RESULT: Fact = {"kind": "result", "act": "get_order", "shows": {}}
DESK = "StateSet/CustomerService-v0"


def end(goal: float) -> Fact:
    return {"kind": "end", "why": "closed", "goal": goal}


def terms(goal: float = 0.0, conduct: float = 0.0, truth: float = 0.0, form: float = 0.0, turns: float = 0.0) -> Any:
    return pytest.approx({"goal": goal, "conduct": conduct, "truth": truth, "format": form, "turns": turns}, abs=1e-12)


TABLE = [
    ([], False, 0.0, terms()),
    ([SAID, RESULT], False, 0.0, terms()),
    ([end(1.0)], False, 0.0, terms(goal=1.0)),
    ([end(0.0)], False, 0.0, terms()),
    ([end(0.25)], False, 0.0, terms(goal=0.25)),
    ([CONDUCT], False, 0.0, terms(conduct=-0.25)),
    ([CONDUCT, CONDUCT, RESULT], False, 0.0, terms(conduct=-0.5)),
    ([TRUTH], False, 0.0, terms(truth=-0.25)),
    ([MALFORMED], False, 0.0, terms(form=-0.05)),
    ([REFUSED], False, 0.0, terms(form=-0.02)),
    ([SAID], True, 0.0, terms(turns=-0.02)),
    ([CONDUCT, TRUTH, REFUSED, end(1.0)], True, -0.1, terms(1.0, -0.25, -0.25, -0.02, -0.02)),
    # What is left of the 1 that penalties may cost together, in the table's order.
    ([CONDUCT] * 5, False, 0.0, terms(conduct=-1.0)),
    ([CONDUCT, TRUTH], True, -0.9, terms(conduct=-0.1)),
    ([CONDUCT, TRUTH], True, -0.6, terms(conduct=-0.25, truth=-0.15)),
    ([MALFORMED], True, -0.94, terms(form=-0.05, turns=-0.01)),
    ([CONDUCT, MALFORMED, end(1.0)], True, -1.0, terms(goal=1.0)),
]


@pytest.mark.parametrize(("facts", "late", "before", "expected"), TABLE)
def test_the_table_by_hand(facts: list[Fact], late: bool, before: float, expected: Any) -> None:
    scored = Reward().score(facts, late, before)
    assert scored == expected
    assert tuple(scored) == TERMS


def test_the_published_prices() -> None:
    assert Prices(conduct=0.25, truth=0.25, malformed=0.05, refused=0.02, late_turn=0.02) == PRICES
    assert TERMS == ("goal", "conduct", "truth", "format", "turns")


def test_prices_of_ones_own() -> None:
    prices = Prices(conduct=0.5, truth=0.125, malformed=0.25, refused=0.0, late_turn=0.0625)
    scored = Reward(prices).score([CONDUCT, TRUTH, MALFORMED, REFUSED], True, 0.0)
    assert scored == terms(0.0, -0.5, -0.125, -0.25, -0.0625)


@pytest.mark.parametrize("name", ["conduct", "truth", "malformed", "refused", "late_turn"])
@pytest.mark.parametrize("price", [-0.1, math.nan])
def test_a_fault_never_pays(name: str, price: float) -> None:
    with pytest.raises(ValueError, match=rf"The price {name}={price!r} must not be negative: a fault costs\."):
        Prices(**{name: price})


def test_an_extra_term_takes_no_name_of_the_table() -> None:
    with pytest.raises(ValueError, match=r"The extra terms \['goal', 'truth'\] bear names of the table .*other names"):
        Reward(extra={"truth": len, "goal": len, "mine": len})


facts = st.lists(st.sampled_from([SAID, RESULT, CONDUCT, TRUTH, MALFORMED, REFUSED]), max_size=6)
steps = st.lists(st.tuples(facts, st.booleans()), max_size=40)
goals = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)
prices = st.builds(Prices, *[st.floats(0.0, 3.0)] * 5)
payments = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=45, max_size=45)


def returns(reward: Reward, episode: list[tuple[list[Fact], bool]], goal: float) -> list[float]:
    """The return after each step of an episode that ends so."""
    total, totals = 0.0, []
    for step, late in [*episode, ([end(goal)], False)]:
        total += sum(reward.score(step, late, total).values())
        totals.append(total)
    return totals


@given(prices, steps, goals)
def test_the_return_lies_in_its_bounds(prices: Prices, episode: list[tuple[list[Fact], bool]], goal: float) -> None:
    totals = returns(Reward(prices), episode, goal)
    assert all(-1.0 - 1e-9 <= total <= 1e-9 for total in totals[:-1])
    assert -1.0 - 1e-9 <= totals[-1] <= goal + 1e-9


@given(steps, goals)
def test_only_a_flawless_episode_is_worth_its_whole_goal(episode: list[tuple[list[Fact], bool]], goal: float) -> None:
    flaws = any(late or any(fact not in (SAID, RESULT) for fact in step) for step, late in episode)
    total = returns(Reward(), episode, goal)[-1]
    assert total < goal if flaws else total == goal


@given(prices, steps, st.sampled_from([0.0, 1.0]), payments, payments)
def test_extra_terms_never_outvote_a_failed_goal(
    prices: Prices, episode: list[tuple[list[Fact], bool]], goal: float, judge: list[float], model: list[float]
) -> None:
    extra = {"judge": lambda facts: judge.pop(), "model": lambda facts: model.pop()}
    totals = returns(Reward(prices, extra), episode, goal)
    assert all(-1.0 - 1e-9 <= total <= 1e-9 for total in totals[:-1])
    assert -1.0 - 1e-9 <= totals[-1] <= (1.0 if goal else 0.0) + 1e-9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_judge_without_a_number_is_told_so(value: float) -> None:
    with pytest.raises(ValueError, match=rf"The extra term 'judge' gave {value!r}: a term is a finite number"):
        Reward(extra={"judge": lambda facts: value}).score([end(1.0)], False, 0.0)


def test_extra_terms_are_paid_in_what_is_left() -> None:
    paid = {"a": 0.3, "b": 5.0}
    reward = Reward(extra={name: lambda facts, name=name: paid[name] for name in paid})
    assert reward.score([SAID], False, 0.0) == {**dict.fromkeys(TERMS, 0.0), "a": 0.0, "b": 0.0}
    scored = reward.score([end(1.0)], False, -0.5)
    assert (scored["a"], scored["b"]) == (0.3, pytest.approx(0.2))
    paid.update(a=-0.4, b=-9.0)
    scored = reward.score([SAID], False, -0.5)
    assert (scored["a"], scored["b"]) == (-0.4, pytest.approx(-0.1))


def test_extra_terms_are_shown_the_facts_of_their_step() -> None:
    shown: list[Any] = []
    env = gym.make(DESK, reward=Reward(extra={"judge": lambda facts: shown.append(facts) or -0.125}))
    env.reset(seed=0)
    shown.clear()
    _, reward, _, _, info = env.step("Hello!")
    assert len(shown) == 1
    assert [fact["kind"] for fact in shown[0]] == ["malformed"]
    assert info["reward_terms"] == {
        "goal": 0.0,
        "conduct": 0.0,
        "truth": 0.0,
        "format": -0.05,
        "turns": 0.0,
        "judge": -0.125,
    }
    assert reward == pytest.approx(-0.175)


def test_a_reset_pays_no_extra_term_and_says_so() -> None:
    env = gym.make(DESK, reward=Reward(extra={"judge": lambda facts: -0.5}))
    assert set(env.reset(seed=0)[1]["reward_terms"].values()) == {0.0}


@pytest.mark.parametrize("env_id", ["StateSet/Echo-v0", DESK, "StateSet/TicketTriage-v0"])
@pytest.mark.parametrize("prices", [PRICES, Prices(conduct=0.5, malformed=0.2, late_turn=0.1)])
def test_a_trace_is_enough_to_recompute_the_rewards(env_id: str, prices: Prices) -> None:
    env, agent, chance = (
        gym.make(env_id, reward=Reward(prices), max_turns=12),
        policy("expert", env_id),
        random.Random(0),
    )
    for seed in range(8):
        agent.reset()
        observation, info = env.reset(seed=seed)
        total, pending = 0.0, list(info["facts"])
        while not info["outcome"]:
            if junk := chance.random() < 0.2:
                action: Any = chance.choice(["Hello!", '{"type":"get_order","order_id":"O0"}'])
            else:
                action = agent.act(observation, pending)
                pending = []
            observation, reward, _, _, info = env.step(action)
            pending += info["facts"]
            late = observation["turn"] > info["par"]
            scored = Reward(prices).score(info["facts"], late, total)
            assert scored == info["reward_terms"], junk
            assert reward == sum(scored.values())
            total += reward

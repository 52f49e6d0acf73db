"""Traces play again to the same, and their rewards are recomputed from them alone."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import gymnasium
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stateset_gym
from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import runs
from stateset_gym.policies.replay import Difference, recompute, replay
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.trace import Trace, decode, encode
from stateset_gym.rewards import Prices, Reward

ECHO, DESK, TRIAGE = "StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0"
IDS = (ECHO, DESK, TRIAGE)


def traces(env: str, policy: Any, count: int = 1, scenes: Sequence[Any] = (), **arguments: Any) -> list[Trace]:
    """Traces as they come from a file."""
    setting = runs.Setting(env, policy, arguments)
    pool = setting.env().pool
    jobs = [Job(scene) for scene in scenes or [pool[number * 97] for number in range(count)]]
    return [decode(encode(trace)) for trace in runs.serial(setting, jobs)]


def own(env: str) -> list[str]:
    return [name for name in policies.names(env) if name != "human"]


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("env", IDS)
def test_every_policy_is_replayed_and_recomputed(env: str, difficulty: str) -> None:
    for policy in own(env):
        for trace in traces(env, policy, 3, difficulty=difficulty, max_turns=9):
            assert replay(trace) is None, (policy, trace.scene)
            again = recompute(trace)
            assert again.total == trace.total
            assert again.terms == trace.terms
            assert again.steps == [step.terms for step in trace.steps]


GARBAGE = [
    "Hello!",
    "",
    '{"type": "nothing"}',
    '<think>hm</think>{"type":"list_products"}',
    'Sure:\n```json\n{"type": "ask", "field": "email"}\n```',
    '{"type":"get_order","order_id":"O0"}',
    '{"type":"apologise","message":"[list_products]\\nJörg pays 12.00"}',
    '{"type":"inform","claims":[{"about":"O1","field":"status","value":"delivered"}],"message":"O9\\n[end]"}',
    {"type": "ask", "field": "name"},
    {"type": "propose"},
]


@given(st.lists(st.sampled_from(GARBAGE), min_size=1, max_size=20), st.integers(0, 999))
def test_whatever_was_played_is_replayed(actions: list[Any], number: int) -> None:
    given = iter([*actions, *['{"type":"close"}'] * 60])
    (trace,) = traces(
        DESK, lambda observation, facts: next(given), scenes=[f"CustomerService-v0/test/hard/{number:06}"]
    )
    assert replay(trace) is None
    assert recompute(trace).total == trace.total


@pytest.mark.parametrize("action", [(1, 2), b"x", {1: 2}, {"type": "ask", "field": float("nan")}, 10**400])
def test_what_json_does_not_hold_is_replayed_as_malformed(action: Any) -> None:
    (trace,) = traces(DESK, lambda observation, facts: action, max_turns=3)
    assert [step.malformed != "" for step in trace.steps] == [True] * 3
    assert replay(trace) is None
    trace.steps[1].terms["format"] = -0.5
    found = replay(trace)
    assert found is not None
    assert (found.turn, found.what) == (2, "reward_terms")


def test_a_reward_with_other_prices_is_in_the_trace() -> None:
    (trace,) = traces(DESK, "liar", reward=Reward(Prices(truth=0.5, malformed=0.1)))
    assert trace.terms["truth"] < 0
    assert replay(trace) is None
    assert recompute(trace).terms == trace.terms != recompute(trace, Reward()).terms


def test_extra_terms_are_not_in_the_trace() -> None:
    reward = Reward(extra={"brisk": lambda facts: -0.01})
    (trace,) = traces(DESK, "expert", reward=reward)
    for again in (replay, recompute):
        with pytest.raises(BadArgument, match=r"was paid by extra terms, 'brisk', which a trace does not hold: give"):
            again(trace)
    assert recompute(trace, reward).terms == trace.terms
    assert replay(trace, gymnasium.make(DESK, reward=reward)) is None
    other = Reward(extra={"brisk": lambda facts: -0.02})
    found = replay(trace, gymnasium.make(DESK, reward=other))
    assert found is not None
    assert (found.turn, found.what) == (1, "reward_terms")
    assert (found.recorded["brisk"], found.found["brisk"]) == (-0.01, -0.02)


def test_scenes_of_ones_own_are_replayed() -> None:
    (trace,) = traces(ECHO, "expert", scenes=[{"words": ["birch"], "asks": ["say"]}])
    assert trace.own is not None
    assert replay(trace) is None


def test_stores_of_ones_own_are_replayed() -> None:
    for trace in traces(DESK, "expert", 3, store="examples/shop.json"):
        assert "@" in trace.scene
        assert replay(trace) is None


def test_what_the_environment_was_made_with_does_not_hinder() -> None:
    scene = "CustomerService-v0/train/easy/000000"
    arguments = {
        "scenes": [scene],
        "on_invalid": "raise",
        "prompt": "brief",
        "max_turns": 5,
    }
    setting = runs.Setting(DESK, "expert", arguments)
    (trace,) = runs.serial(setting, [Job()])
    assert trace.arguments == arguments
    assert replay(trace) is None


def test_an_episode_that_was_not_measured_is_replayed_as_far_as_it_goes() -> None:
    (trace,) = traces(DESK, "expert")
    cut = msgspec.structs.replace(
        trace,
        steps=trace.steps[:2],
        messages=trace.messages[:6],
        outcome="",
        success=False,
        error="it broke",
        total=0.0,
    )
    cut.terms = recompute(cut).terms
    assert replay(cut) is None


def changed(trace: Trace, what: str) -> Trace:
    """The trace with one thing recorded otherwise at turn 2."""
    trace = decode(encode(trace))
    step = trace.steps[1]
    if what == "facts":
        step.facts[0]["words"] = ["?"]
    elif what == "messages":
        trace.messages[5]["content"] += "?"
    elif what == "reward_terms":
        step.terms["turns"] = -0.5
    elif what == "reward":
        step.reward = 0.5
    elif what == "violations":
        step.violations = ["confirm_first"]
    elif what == "malformed":
        step.malformed = "?"
    return trace


@pytest.mark.parametrize("what", ["facts", "messages", "reward_terms", "reward", "violations", "malformed"])
def test_the_first_difference_is_told(what: str) -> None:
    (trace,) = traces(DESK, "expert")
    found = replay(changed(trace, what))
    assert found is not None
    assert (found.turn, found.what) == (2, what)
    first = ", first in number 6 (user)" if what == "messages" else ""
    assert str(found).startswith(f"turn 2: {what} differ{first}\n  recorded: ")


def marked(found: Difference) -> tuple[str, str, str]:
    """The recorded and the found, and what stands above the mark in both."""
    _, recorded, now, mark, *_ = str(found).splitlines()
    assert mark.strip() == "^"
    place = len(mark) - 1
    assert recorded[12:place] == now[12:place]
    return recorded[12:], now[12:], recorded[place : place + 1] + now[place : place + 1]


def test_of_messages_the_first_that_differs_is_shown_around_where_it_does() -> None:
    (trace,) = traces(DESK, "expert")
    system = trace.messages[0]["content"]
    trace.messages[0]["content"] = f"{system[:700]}%{system[701:]}"
    found = replay(trace)
    assert found is not None
    assert str(found).startswith("at the opening: messages differ, first in number 1 (system)\n")
    recorded, now, both = marked(found)
    assert both == "%" + system[700]
    assert len(recorded) == len(now) == 2 * 60 + 2 * len("...")


def test_a_message_that_is_missing_or_of_another_is_told() -> None:
    one, other, third = ({"role": role, "content": "Good day."} for role in ("user", "assistant", "system"))
    text = str(Difference(3, "messages", [other, one], [other], {}, 4))
    assert "turn 3: messages differ, first in number 6 (user)\n" in text
    assert "found:    null\n" in text
    assert '"role": "system"' in str(Difference(0, "messages", [one], [third]))


@given(st.text(max_size=900), st.text(max_size=900), st.sampled_from(["facts", "outcome", "messages"]))
def test_a_difference_is_short_whatever_differs(recorded: str, found: str, what: str) -> None:
    if recorded == found:
        return
    sides = [[{"role": "user", "content": text}] if what == "messages" else text for text in (recorded, found)]
    text = str(Difference(1, what, *sides))
    assert len(text.split("\n")) == 4 or not text.isprintable()
    assert len(text) < 4 * 340


def test_differences_of_opening_and_end_are_told() -> None:
    (trace,) = traces(DESK, "expert")
    last = len(trace.steps)
    replaced = msgspec.structs.replace
    further = [*trace.messages, *trace.messages[-2:]]
    cases: list[tuple[Trace, int, str]] = [
        (replaced(trace, par=99), 0, "par"),
        (replaced(trace, opening=[]), 0, "facts"),
        (replaced(trace, messages=[{"role": "system", "content": "?"}, *trace.messages[1:]]), 0, "messages"),
        (replaced(trace, success=False), last, "is_success"),
        (replaced(trace, outcome="left"), last, "outcome"),
        (replaced(trace, truncated=True), last, "truncated"),
        (replaced(trace, total=0.0), last, "total"),
        (replaced(trace, terms={"goal": 0.0}), last, "terms"),
        (
            replaced(trace, steps=[*trace.steps, trace.steps[0]], messages=further),
            last,
            "outcome",
        ),
    ]
    for each, turn, what in cases:
        found = replay(each)
        assert found is not None
        assert (found.turn, found.what) == (turn, what)


def test_another_version_is_told_with_the_difference() -> None:
    (trace,) = traces(DESK, "expert")
    old = msgspec.structs.replace(trace, versions={"stateset_gym": "0.0.0", "env": "CustomerService-v0"})
    assert replay(old) is None
    found = replay(changed(old, "facts"))
    assert isinstance(found, Difference)
    assert found.versions == {"stateset_gym": ("0.0.0", stateset_gym.__version__)}
    assert str(found).endswith(f"stateset_gym was 0.0.0, and is {stateset_gym.__version__}")


def moody(seed: int, own_words: bool = True) -> Callable[..., dict[str, Any]]:
    """A customer who does one thing or another, in words of their own or not."""
    random = Random(seed)
    words = [None, "", "Well.", "Look:\n[end] I mean it\n  [x]", "Was für ein Ärger!"]

    def act(brief: dict[str, Any], transcript: list[dict[str, str]], action: dict[str, Any]) -> dict[str, Any]:
        known = sorted(brief["person"].get("values", {}))
        done: dict[str, Any] = random.choice([
            {"act": "tell"},
            {"act": "tell", "how": "correct", "field": random.choice(known)} if known else {"act": "drift"},
            {"act": "tell", "field": "request", "no": 0},
            {"act": "tell", "field": "request", "how": "again"},
            {"act": "cannot_tell", "field": "name"},
            {"act": "accept", "no": 0},
            {"act": "accept", "no": 0, "how": "thanks"},
            {"act": "decline"},
            {"act": "decline", "field": "postcode"} if "postcode" in known else {"act": "decline", "no": 0},
            {"act": "change", "no": 0},
            {"act": "push_back", "how": "refusal"},
            {"act": "drift"},
            {"act": "leave"} if len(transcript) > 12 else {"act": "push_back"},
        ])  # fmt: skip
        return done | ({"message": random.choice(words)} if own_words else {})

    return act


def talk(count: int) -> Iterator[str]:
    """Acts of speech, some of them against the rules."""
    speech = [
        '{"type":"ask","field":"email"}',
        '{"type":"apologise","message":"Ms Nobody\\n[end]"}',
        '{"type":"inform","claims":[{"about":"O1","field":"status","value":"delivered"}]}',
        '{"type":"ask","field":"request"}',
    ]
    yield from (speech[number % len(speech)] for number in range(count))
    yield from ['{"type":"close"}'] * 60


@given(st.integers(0, 10**6), st.integers(0, 999), st.booleans())
def test_a_customer_who_was_played_is_not_asked_again(seed: int, number: int, own_words: bool) -> None:
    spoken = talk(12)
    asked: list[dict[str, Any]] = []
    customer = moody(seed, own_words)

    def counted(brief: Any, transcript: Any, action: Any) -> dict[str, Any]:
        asked.append(customer(brief, transcript, action))
        return asked[-1]

    scene = f"CustomerService-v0/train/hard/{number:06}"
    (trace,) = traces(
        DESK, lambda observation, facts: next(spoken), scenes=[scene], customer=counted, difficulty="hard"
    )
    before = len(asked)
    assert before
    assert replay(trace) is None
    env = gymnasium.make(DESK, customer=counted)
    assert replay(trace, env) is None
    assert len(asked) == before
    env.reset(seed=0)
    env.step('{"type":"ask","field":"email"}')
    assert len(asked) == before + 1  # their own customer is theirs again


@pytest.mark.parametrize(
    "policy", ["expert", "liar-authenticated", "promise-all", "ask-everything", "propose-everything"]
)
def test_every_act_of_the_agenda_can_be_told_by_another(policy: str) -> None:
    """A model chooses among the agenda's acts, and says them in its own words or in the agenda's."""
    for trace in traces(DESK, policy, 24, difficulty="hard"):
        trace.arguments["customer"] = "openai:some-model"
        assert replay(trace) is None, trace.scene


def test_a_played_customer_wants_an_environment_where_one_can_play() -> None:
    (trace,) = traces(DESK, lambda observation, facts: '{"type":"close"}', customer=moody(1))
    with pytest.raises(BadArgument, match=r"the customer was '.*act': give an env with a `customer` too"):
        replay(trace, gymnasium.make(DESK))


def test_a_played_customer_who_no_longer_fits_is_a_difference() -> None:
    spoken = talk(3)
    (trace,) = traces(DESK, lambda observation, facts: next(spoken), customer=lambda *_: {"act": "drift"})
    said = trace.steps[0].facts[-1]
    assert said["act"] == "drift"
    said["no"] = 7
    found = replay(trace)
    assert found is not None
    assert (found.turn, found.what) == (1, "customer")
    assert "The customer's act names request 7: there are requests" in found.found


def test_what_cannot_be_replayed_is_told() -> None:
    (trace,) = traces(DESK, "expert")
    with pytest.raises(BadArgument, match="is played in CustomerService-v0, not in Echo-v0: give an env of its own"):
        replay(trace, gymnasium.make(ECHO))
    trace.arguments["store"] = "no/such/shop.json"
    with pytest.raises(
        BadArgument, match=r"cannot be made from what its trace tells of it, .*shop\.json.*: give an `env`"
    ):
        replay(trace)

"""Turns that are kept and met again are as fresh ones; customers of the user's own."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from typing import Any

import gymnasium as gym
import pytest

from stateset_gym.envs import turns
from stateset_gym.envs.errors import BadArgument, InvalidAction
from stateset_gym.policies.registry import make as policy
from stateset_gym.policies.rollout import rollout
from stateset_gym.rewards import Prices, Reward

from .talks import DESK, DIFFICULTIES, ECHO, IDS, JUNK, conversation, fresh, plain, played, scene, script

# Turns that are kept


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_turns_met_again_are_those_of_a_fresh_tree(env_id: str, difficulty: str) -> None:
    shared = conversation(env_id)
    for index in range(4):
        name = scene(env_id, difficulty, 100 + index)
        for seed in (0, 1, 0, 2, 1):
            texts = script(env_id, name, seed)
            assert played(shared, name, texts) == played(fresh(env_id), name, texts)


def test_a_kept_turn_is_followed_by_whatever_is_done_then() -> None:
    name = scene(DESK, "normal", 31)
    shared = conversation(DESK)
    base = script(DESK, name, 0, share=0.0)
    for _ in range(3):
        played(shared, name, base)
    for cut in range(len(base)):  # turns whose state a later turn has taken over are gone on from
        for text in JUNK[5:9]:
            texts = [*base[:cut], text, *base[cut : cut + 2]]
            assert played(shared, name, texts) == played(fresh(DESK), name, texts)


def test_dicts_and_texts_of_one_action_lead_to_one_turn() -> None:
    name = scene(DESK, "easy", 8)
    texts = script(DESK, name, 0, share=0.0)
    env = fresh(DESK)
    for _ in range(2):
        expected = played(env, name, texts)
        env.reset(options={"scene": name})
        assert [plain(env.step(json.loads(text))) for text in texts] == expected[1:]


def test_a_long_text_is_played_like_any_other() -> None:
    env = conversation(ECHO)
    text = "so " * 2000
    name = scene(ECHO, "easy", 2)
    outcomes = {tuple(played(env, name, [text])) for _ in range(4)}
    assert len(outcomes) == 1
    assert json.loads(outcomes.pop()[1])[0]["messages"][-2]["content"] == text


def test_dropped_turns_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [scene(DESK, "normal", index) for index in range(6)]
    scripts = {name: script(DESK, name, 1) for name in names}
    expected = {name: played(fresh(DESK), name, scripts[name]) for name in names}
    monkeypatch.setattr(turns, "KEPT", 5)
    env = fresh(DESK)
    for _ in range(4):
        for name in names:
            assert played(env, name, scripts[name]) == expected[name]


def test_whoever_stands_in_a_dropped_scene_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 3)
    name = scene(DESK, "hard", 1)
    texts = script(DESK, name, 4)
    expected = played(fresh(DESK), name, texts)
    env = fresh(DESK)
    for _ in range(3):
        env.reset(options={"scene": name})
    env.step(texts[0])
    snapshot = env.snapshot()
    for index in range(10, 20):
        env.reset(options={"scene": scene(DESK, "easy", index)})
    env.restore(snapshot)
    assert [plain(env.step(text)) for text in texts[1:]] == expected[2:]


def test_turns_are_kept_however_many_scenes_were_met_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 60)
    env, built = fresh(ECHO), []
    build = env._build
    monkeypatch.setattr(env, "_build", lambda name: built.append(name) or build(name))
    for index in range(300):
        for _ in range(2):
            env.reset(options={"scene": scene(ECHO, "easy", index)})
    built.clear()
    for index in 5 * [*range(1000, 1005)]:
        env.reset(options={"scene": scene(ECHO, "easy", index)})
    assert len(built) <= 2 * 5 + 5


def test_a_search_from_one_snapshot_keeps_a_bounded_number_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 100)
    env = fresh(DESK)
    for _ in range(2):
        env.reset(options={"scene": scene(DESK)})
    snapshot = env.snapshot()
    before = alive()
    for number in range(1000):
        env.restore(snapshot)
        env.step(f'{{"type": "apologise", "message": "number {number}"}}')
    assert alive() - before < 500


def alive() -> int:
    """How many turns there are in memory."""
    return sum(type(each) is turns.Turn for each in gc.get_objects())


def test_a_kept_turn_of_a_malformed_action_still_raises_where_that_is_asked_for() -> None:
    name, lenient, strict = scene(ECHO, "easy", 900), conversation(ECHO), conversation(ECHO, on_invalid="raise")
    for _ in range(3):
        played(lenient, name, ["Hello!"])
    strict.reset(options={"scene": name})
    with pytest.raises(InvalidAction, match="there is no JSON object"):
        strict.step("Hello!")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (3, "<3>"),
        (["a"], '<["a"]>'),
        ('{"type":"apologise","message":"\ud83d\ude00"}', '{"type":"apologise","message":"\\ud83d\\ude00"}'),
    ],
)
def test_what_is_no_text_is_never_taken_for_the_text_that_describes_it(first: Any, second: str) -> None:
    name, shared = scene(DESK, "easy", 901), conversation(DESK)
    for _ in range(3):
        shared.reset(options={"scene": name})
        shared.step(first)
    assert played(shared, name, [second]) == played(fresh(DESK), name, [second])


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ({"reward": Reward(Prices(malformed=0.5))}, (-0.5, False, False)),
        ({"max_turns": 1}, (-0.05, False, True)),
        ({}, (-0.05, False, False)),
    ],
    ids=["reward", "max_turns", "same"],
)
def test_a_snapshot_restored_elsewhere_changes_nothing_where_it_came_from(
    arguments: dict[str, Any], outcome: tuple[float, bool, bool]
) -> None:
    name, env, other = scene(DESK, "easy", 902), fresh(DESK), conversation(DESK, **arguments)
    for _ in range(3):
        env.reset(options={"scene": name})
    other.restore(env.snapshot())
    assert other.step("other")[1:4] == outcome
    assert env.step("other")[1:4] == (-0.05, False, False)


# A customer of the user's own


def test_a_callable_plays_the_customer() -> None:
    heard: list[Any] = []

    def customer(brief: dict[str, Any], transcript: list[dict[str, str]], act: dict[str, Any]) -> dict[str, Any]:
        heard.append((brief, transcript, act))
        return {"act": "tell", "field": "email", "message": "It is on the card."}

    env = conversation(DESK, customer=customer)
    opening, _ = env.reset(options={"scene": scene(DESK, "hard", 2)})
    observation, *_, info = env.step({"type": "ask", "field": "email", "message": "Your e-mail?"})
    ((brief, transcript, act),) = heard
    assert {"customer", "requests", "person"} <= set(brief)
    assert transcript == opening["messages"]
    assert act == {"type": "ask", "field": "email", "message": "Your e-mail?"}
    told = info["facts"][-1]
    content = observation["messages"][-1]["content"]
    assert content.startswith("It is on the card. "), "what the fact holds is added where the words leave it out"
    assert told["act"] == "tell"
    assert told["words"] == [told["value"]]
    assert told["value"] in content
    env.step({"type": "find_customer", "email": "nobody@post.example"})
    assert len(heard) == 1, "nobody hears an act on the records"


def test_a_customer_may_leave() -> None:
    env = conversation(DESK, customer=lambda brief, transcript, act: {"act": "leave"})
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step({"type": "apologise"})
    assert (reward, terminated, truncated, info["outcome"]) == (0.0, True, False, "left")
    assert observation["messages"][-1]["content"].endswith("[end] the customer has left")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "The customer answered None: give a dict whose 'act' is one of tell, cannot_tell"),
        ({}, "The customer answered {}: give a dict"),
        ({"act": "shout"}, "The customer answered {'act': 'shout'}: give a dict"),
        ({"act": "tell", "filed": "email"}, r"The customer's act 'tell' has \['filed'\]: only act, no, field, how and"),
        ({"act": "tell", "no": 9}, "The customer's act names request 9: there are requests 0 to 0."),
        ({"act": "tell", "no": "first"}, "names request 'first'"),
        ({"act": "accept", "no": -1}, "The customer's act 'accept' needs an open request: give its number as 'no'."),
    ],
)
def test_a_customers_answer_without_meaning_is_refused(answer: Any, message: str) -> None:
    answers = [answer, {"act": "cannot_tell", "field": "email"}]
    env = conversation(DESK, customer=lambda brief, transcript, act: answers.pop(0))
    env.reset(options={"scene": scene(DESK, "easy", 0)})
    with pytest.raises(BadArgument, match=message):
        env.step({"type": "ask", "field": "email"})
    observation, *_ = env.step({"type": "ask", "field": "email"})
    assert observation["turn"] == 1, "what was raised took no turn"


def test_a_callable_is_asked_each_time_and_none_of_it_is_kept() -> None:
    count = 0

    def customer(brief: Any, transcript: Any, act: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"act": "cannot_tell", "field": "email", "message": f"Time {count}."}

    env = conversation(DESK, customer=customer)
    for turn in range(1, 5):
        env.reset(options={"scene": scene(DESK, "easy", 0)})
        assert env.step('{"type": "ask", "field": "email"}')[0]["messages"][-1]["content"] == f"Time {turn}."


def test_an_environment_with_a_callable_can_be_branched() -> None:
    env = conversation(DESK, customer=lambda brief, transcript, act: {"act": "cannot_tell", "field": act["field"]})
    env.reset(options={"scene": scene(DESK, "hard", 0)})
    env.step({"type": "ask", "field": "email"})
    snapshot = env.snapshot()
    first = plain(env.step({"type": "ask", "field": "name"}))
    env.step({"type": "ask", "field": "postcode"})
    env.restore(snapshot)
    assert plain(env.step({"type": "ask", "field": "name"})) == first


def test_close_can_be_called_at_any_time() -> None:
    env = conversation(ECHO, render_mode="ansi")
    env.close()
    env.reset(seed=0)
    env.close()
    env.close()


def test_dicts_and_structs_find_the_turn_that_their_text_leads_to() -> None:
    env = conversation(DESK, reward=Reward())
    name = scene(DESK, "easy", 7)
    for _ in range(5):
        env.reset(options={"scene": name})
        env.step({"type": "list_products"})
        env.step(env.parts.actions.decoder.decode('{"type":"apologise"}'))
    tree = env._tree
    before = tree._count
    for _ in range(20):
        env.reset(options={"scene": name})
        env.step({"type": "list_products"})
    assert tree._count == before


def test_a_text_without_a_utf8_form_stays_within_the_space() -> None:
    env = conversation(DESK)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    observation, *_, info = env.step('{"type":"apologise"} \ud800')
    assert info["malformed"] == ""
    assert observation in env.observation_space


@pytest.mark.parametrize(
    ("arguments", "snapshot", "message"),
    [
        ({}, "none", r"restore\(\) got 'none': give what snapshot\(\) returned"),
        ({"max_turns": 2}, None, r"restore\(\) got turn 3: here a conversation ends after 2 turns"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused(arguments: dict[str, Any], snapshot: Any, message: str) -> None:
    env, other = conversation(DESK), conversation(DESK, **arguments)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    for _ in range(3):
        env.step('{"type":"list_products"}')
    with pytest.raises(BadArgument, match=message):
        other.restore(snapshot or env.snapshot())


def test_the_envelope_of_structured_outputs_is_opened() -> None:
    env = conversation(DESK)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    *_, info = env.step('{"action": {"type": "list_products"}}')
    assert [fact["act"] for fact in info["facts"]] == ["list_products"]
    *_, info = env.step('{"action": {"type": "list_products"}, "more": 1}')
    assert info["malformed"]


@pytest.mark.parametrize("carry", [copy.deepcopy, pickle.dumps])
def test_what_cannot_be_carried_elsewhere_says_what_can(carry: Any) -> None:
    env = conversation(DESK)
    env.reset(seed=0)
    for what in (env, env.snapshot()):
        with pytest.raises(TypeError, match=r"branch with snapshot\(\) and restore\(\), and send the scene's name"):
            carry(what)


def test_what_a_reward_term_does_to_its_facts_changes_nothing_else() -> None:
    def wrecking(facts: Any) -> float:
        for fact in facts:
            fact.clear()
        return 0.0

    (name,) = [gym.make(DESK, difficulty="hard").unwrapped.pool[97]]
    plain = rollout(policy("expert", DESK), gym.make(DESK), name)
    wrecked = rollout(policy("expert", DESK), gym.make(DESK, reward=Reward(extra={"wrecking": wrecking})), name)
    assert (wrecked.facts, wrecked.messages, wrecked.total) == (plain.facts, plain.messages, plain.total)


def test_what_is_done_to_a_restored_observation_changes_no_other_environment() -> None:
    env = gym.make(DESK).unwrapped
    before, _ = env.reset(seed=0)
    words = before["messages"][0]["content"]
    restored, _ = env.restore(env.snapshot())
    restored["messages"][0]["content"] = "wrecked"
    assert gym.make(DESK).reset(seed=0)[0]["messages"][0]["content"] == words

"""TicketTriage: tickets that a reader can sort exactly, graded field by field."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import pytest

import stateset_gym  # noqa: F401
from stateset_gym.envs.errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from stateset_gym.envs.ticket_triage import env as module
from stateset_gym.envs.ticket_triage import expert, phrases, scenes, wording
from stateset_gym.envs.ticket_triage.actions import DETAILS, Triage
from stateset_gym.envs.ticket_triage.rules import PRIORITIES, QUEUES

ID = "StateSet/TicketTriage-v0"
SPLITS = ("train", "test")
DIFFICULTIES = ("easy", "normal", "hard")
each_pool = pytest.mark.parametrize(
    ("split", "difficulty"), [(split, difficulty) for difficulty in DIFFICULTIES for split in SPLITS]
)
OWN = json.loads(scenes.EXAMPLE)


def names(split: str, difficulty: str, count: int) -> Iterator[str]:
    return (f"TicketTriage-v0/{split}/{difficulty}/{index:06d}" for index in range(count))


def text_of(scene: Any) -> str:
    return wording.say(scene, (), 0)


def played(name: str | dict[str, Any], action: Any, **arguments: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    env = gym.make(ID, disable_env_checker=True, **arguments).unwrapped
    env.reset(options={"scene": name})
    return env.step(action)


def own(**changes: Any) -> dict[str, Any]:
    return {**OWN, **changes}


@each_pool
def test_the_expert_returns_exactly_one_and_reads_no_more_than_the_ticket_says(split: str, difficulty: str) -> None:
    env = gym.make(ID, split=split, difficulty=difficulty, disable_env_checker=True).unwrapped
    for name in names(split, difficulty, 2000):
        observation, info = env.reset(options={"scene": name})
        ticket = observation["messages"][-1]["content"]
        assert all(words and words in ticket for fact in info["facts"] for words in fact["words"]), name
        _, reward, terminated, truncated, info = env.step(expert.act(env.memory))
        assert (reward, terminated, truncated) == (1.0, True, False), (name, info["facts"])
        assert info["is_success"]
        assert not info["refused"]
        assert not info["violations"]


def silent(observation: Any, env: Any) -> Any:
    return ""


def random(observation: Any, env: Any) -> Any:
    return env.action_space.sample()


def parrot(observation: Any, env: Any) -> Any:
    return observation["messages"][-1]["content"]


AGENTS: dict[str, Callable[[Any, Any], Any]] = {"silent": silent, "random": random, "parrot": parrot}
AGENTS |= {name: lambda observation, env, answer=answer: answer for name, answer in expert.CHEAP.items()}


def test_each_floor_has_its_agent_and_reason() -> None:
    assert set(module.FLOORS) == set(AGENTS)
    assert all(reason for _, _, reason in module.FLOORS.values())


@pytest.mark.parametrize("agent", AGENTS)
@each_pool
def test_cheap_agents_stay_at_their_floors(split: str, difficulty: str, agent: str) -> None:
    env = gym.make(ID, split=split, difficulty=difficulty, disable_env_checker=True).unwrapped
    env.action_space.seed(7)
    won, paid, count = 0, 0.0, 500
    for name in names(split, difficulty, count):
        observation, _ = env.reset(options={"scene": name})
        _, reward, _, _, info = env.step(AGENTS[agent](observation, env))
        won, paid = won + info["is_success"], paid + reward
    success, mean, _ = module.FLOORS[agent]
    assert won / count <= success
    assert paid / count <= mean


def sentences(text: str) -> set[str]:
    """The sentences of a ticket; the lines that frame a forwarded or quoted message are no one's own."""
    frames = ("From: ", "---------- Forwarded message", "The shop wrote earlier:")
    lines = [line for line in text.replace("Subject: ", "").split("\n") if not line.startswith(frames)]
    return {part.rstrip(".") for line in lines for part in re.split(r"(?<=[a-z0-9]\.) ", line) if " " in part}


def words(text: str) -> set[str]:
    """The words of a text; of an e-mail address, which is an entity, its parts."""
    return {
        part for word in text.split() for part in (re.findall(r"\w+", word) if "@" in word else [word.strip(".,:")])
    }


def masked(text: str, scene: Any) -> str:
    """The text without the values that its facts carry."""
    values = {part.words for part in scene.said if part.field.removeprefix("other_") in (*DETAILS, "name")}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "VALUE")
    return text


def entities(scene: Any) -> set[str]:
    return {str(part.value) for part in scene.said if part.field.removeprefix("other_") in (*DETAILS, "name")}


def shares(difficulty: str, what: Callable[[Any], set[str]]) -> tuple[set[str], set[str]]:
    train, test = (
        set().union(*(what(scenes.build(name)) for name in names(split, difficulty, 4000))) for split in SPLITS
    )
    assert train
    assert test
    return train, test


def test_on_easy_test_recombines_the_words_of_train() -> None:
    train, test = shares("easy", lambda scene: sentences(text_of(scene)))
    assert not train & test
    train, test = shares("easy", entities)
    assert {entity for entity in train & test if not entity.isdigit()} == set()  # sums are numbers, no entities
    train, test = shares("easy", lambda scene: set(words(text_of(scene))))
    assert test <= train


@pytest.mark.parametrize("difficulty", ["normal", "hard"])
def test_beyond_easy_phrases_names_and_products_are_disjoint(difficulty: str) -> None:
    train, test = shares(difficulty, lambda scene: sentences(masked(text_of(scene), scene)))
    assert not train & test
    train, test = shares(difficulty, entities)
    assert not train & test
    train, test = shares(difficulty, lambda scene: {w for e in entities(scene) for w in re.findall("[A-Za-z]{2,}", e)})
    common = {word for word in train & test if word not in {"example", "W"}}
    # Goods of two words can share one of them; whole names, styles and goods do not.
    assert not {word for word in common if word[0].isupper()}
    assert not common & {*(word for word in scenes.STYLES), *(good[0] for good in scenes.GOODS)}


def test_heads_and_tails_of_the_splits_are_told_apart() -> None:
    tables = (phrases.HEADS, phrases.ISSUES, phrases.SUBJECTS, phrases.CIRCUMSTANCES, phrases.TAILS)
    for entries in (*(entries for table in tables for entries in table.values()), phrases.GREETINGS, phrases.CLOSINGS):
        assert len(entries) % 2 == 0
        assert len(entries) >= wording.EASY + 2
        assert len({entry.casefold() for entry in entries}) == len(entries)
    assert set(phrases.ISSUES) == {issue for issues in QUEUES.values() for issue in issues}
    assert set(phrases.CIRCUMSTANCES) == {name for reasons in PRIORITIES.values() for name in reasons}
    assert set(phrases.SUBJECTS) == {*QUEUES, "vague"}


@each_pool
def test_ten_thousand_scenes_repeat_few_openings(split: str, difficulty: str) -> None:
    seen = {text_of(scenes.build(name)) for name in names(split, difficulty, 10_000)}
    assert len(seen) > 9_900


def test_easy_tickets_are_short_and_hard_ones_are_not() -> None:
    easy, hard = ([scenes.build(name) for name in names("train", level, 500)] for level in ("easy", "hard"))
    assert {len(re.findall(r"\.(?: |$)", scene.body)) for scene in easy} <= {1, 2, 3}
    assert sum(len(scene.body) for scene in hard) > 3 * sum(len(scene.body) for scene in easy)
    said = {part.field for scene in hard for part in scene.said}
    assert {"side_issue", "wish", "name", *(f"other_{field}" for field in DETAILS)} <= said
    assert all({field for field in DETAILS if not getattr(scene.answer, field)} for scene in easy)


def test_every_queue_and_priority_turns_up_and_none_is_most() -> None:
    for difficulty in DIFFICULTIES:
        answers = [scenes.build(name).answer for name in names("train", difficulty, 2000)]
        queues = [answer.queue for answer in answers]
        priorities = [answer.priority for answer in answers]
        assert {queues.count(queue) for queue in QUEUES} == {250}
        assert all(200 <= priorities.count(priority) <= 1000 for priority in PRIORITIES)


SAMPLE = """
import hashlib, sys
from stateset_gym.envs.ticket_triage import scenes, wording
digest = hashlib.sha256()
for difficulty in ("easy", "normal", "hard"):
    for index in range(300):
        scene = scenes.build(f"TicketTriage-v0/test/{difficulty}/{index:06d}")
        digest.update(f"{wording.say(scene, (), 0)}|{scene.answer}|{scene.said}".encode())
print(digest.hexdigest())
"""


def test_another_process_and_hash_seed_write_the_same_bytes() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", SAMPLE],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(runs.pop()) == 65


RIGHT = {
    "queue": "returns",
    "priority": "normal",
    "order_id": "W10-200",
    "amount_cents": 4990,
    "product": "classic lamp",
}
TICKET = {
    "subject": "Order W10-200",
    "body": "The classic lamp came broken. I paid $49.90 for W10-200, and W10-201 was fine. Write to a.b@post.example.",
    "answer": RIGHT,
}


@pytest.mark.parametrize(
    ("changes", "goal", "inventions"),
    [
        ({}, 1, 0),
        ({"order_id": " #w10-200.", "product": "The  Classic LAMP"}, 1, 0),
        ({"queue": "shipping"}, 4 / 5, 0),
        ({"queue": "shipping", "priority": "low"}, 3 / 5, 0),
        ({"order_id": "", "amount_cents": 0, "product": ""}, 2 / 5, 0),
        ({"order_id": "W10-201"}, 4 / 5, 0),
        ({"order_id": "W10-20"}, 4 / 5, 1),
        ({"email": "a.b@post.example"}, 5 / 6, 0),
        ({"email": "x.y@post.example"}, 5 / 6, 1),
        ({"amount_cents": 4991}, 4 / 5, 1),
        ({"product": "lamp"}, 4 / 5, 0),
        ({"product": "red lamp", "email": "me"}, 4 / 6, 2),
        ({"email": " ?"}, 1, 0),
    ],
)
def test_each_field_earns_its_share_and_inventions_cost(changes: dict[str, Any], goal: float, inventions: int) -> None:
    _, reward, terminated, _, info = played(TICKET, {"type": "triage", **RIGHT, **changes})
    assert terminated
    assert info["reward_terms"]["goal"] == pytest.approx(goal)
    assert info["violations"] == ["supported_claims"] * inventions
    assert reward == pytest.approx(goal - 0.25 * inventions)
    assert info["is_success"] == (goal == 1)
    marks = next(fact["shows"]["grades"] for fact in info["facts"] if fact["kind"] == "result")
    assert list(marks.values()).count("right") / len(marks) == pytest.approx(goal)


def test_an_invention_is_named_to_the_agent() -> None:
    observation, *_ = played(TICKET, Triage("returns", "normal", "W99-999", "", 4990, "classic lamp"))
    assert observation["messages"][-1]["content"].split("\n") == [
        "[triage] queue right; priority right; order_id wrong; amount_cents right; product right",
        "[supported_claims] The ticket nowhere says the order_id 'W99-999'.",
        "[end] the conversation is closed",
    ]


def test_one_answer_ends_the_episode() -> None:
    env = gym.make(ID, disable_env_checker=True).unwrapped
    observation, _ = env.reset(seed=1)
    assert (observation["turn"], observation["turns_left"]) == (0, 1)
    observation, _, terminated, truncated, info = env.step('{"type": "triage", "queue": "sales", "priority": "low"}')
    assert (terminated, truncated, info["outcome"]) == (True, False, "closed")
    assert (observation["turn"], observation["turns_left"]) == (1, 0)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step("{}")


def test_a_malformed_answer_is_priced_and_a_second_one_can_be_had() -> None:
    _, reward, terminated, truncated, info = played(TICKET, "returns!")
    assert (reward, terminated, truncated, info["outcome"]) == (-0.05, False, True, "out_of_turns")
    env = gym.make(ID, max_turns=2, disable_env_checker=True).unwrapped
    env.reset(options={"scene": TICKET})
    assert env.step("returns!")[1:4] == (-0.05, False, False)
    assert env.step({"type": "triage", **RIGHT})[1] == pytest.approx(0.98)
    with pytest.raises(InvalidAction, match="TicketTriage-v0: malformed action: "):
        played(TICKET, {"type": "triage", "queue": "press", "priority": "low"}, on_invalid="raise")


def test_nobody_is_there_to_be_asked() -> None:
    with pytest.raises(BadArgument, match="TicketTriage-v0 has no customer who answers; leave it out"):
        gym.make(ID, customer=lambda brief, transcript, action: {})


def test_a_ticket_of_ones_own_is_played_with_and_without_what_it_says() -> None:
    env = gym.make(ID, disable_env_checker=True).unwrapped
    for ticket in (OWN, {key: value for key, value in OWN.items() if key != "said"}):
        observation, info = env.reset(options={"scene": ticket})
        assert observation["messages"][-1]["content"] == "Subject: Charge\n\nYou charged me $9.90 twice!"
        assert re.fullmatch("own/[0-9a-f]{16}", info["scene"])
        assert len(info["facts"]) == 2 + len(ticket.get("said", ()))
        assert env.step({"type": "triage", **OWN["answer"]})[1] == 1
    env.reset(options={"scene": OWN})
    assert env.step(expert.act(env.memory))[1] == 1


SAID = OWN["said"]


@pytest.mark.parametrize(
    ("ticket", "message"),
    [
        ({}, "This is no ticket: .*missing required field `subject`.*reads like"),
        (own(colour="red"), "unknown field `colour`"),
        (own(answer={"queue": "press", "priority": "low"}), r"Invalid enum value 'press' - at `\$.answer.queue`"),
        (own(answer={"queue": "sales"}), "missing required field `priority`"),
        (own(said=[{"field": "issue", "value": 1.5, "words": ""}]), r"\$.said\[0\].value"),
        (own(subject=b"x" * 3, extra={1}), "This is no ticket"),
        (
            own(said=[], answer={**OWN["answer"], "order_id": "W1-1"}),
            "order_id is 'W1-1', which stands nowhere .*: write",
        ),
        (own(said=[{**SAID[0], "words": "thrice"}]), r"said\[0\].words 'thrice' are not in the ticket: copy"),
        (own(said=[{**SAID[0], "value": "late"}, SAID[1]]), "answer.queue is 'billing', and .* it is 'shipping': mend"),
        (own(body="9" * 500), r"amount_cents is 990, which stands nowhere"),
        (own(said=[SAID[0]]), "answer.amount_cents is 990, and by what is said it is 0: mend one"),
        (
            own(said=[{**SAID[0], "value": "theft"}]),
            "said gives issue 'theft', not one of its kind: choose one of charged",
        ),
        (own(said=[SAID[0], {**SAID[1], "value": 991}]), "amount_cents 991.*'\\$9.90' says another amount"),
        (own(said=[{"field": "product", "value": "lamp", "words": "me"}]), "product 'lamp'.*'me' says another thing"),
        (own(said=[SAID[1]]), "names no issue: add one, or leave said out"),
        (
            own(said=[*SAID, {"field": "today", "value": True, "words": "twice"}]),
            "priority is 'normal', .* is 'urgent'",
        ),
    ],
)
def test_a_ticket_that_cannot_be_says_why(ticket: dict[str, Any], message: str) -> None:
    with pytest.raises(BadScene, match=message):
        scenes.load(ticket)


def test_the_rule_book_tells_all_that_decides() -> None:
    for prompt in ("full", "brief"):
        book = wording.brief(prompt)
        assert all(words in book for issues in QUEUES.values() for words in issues.values())
        assert all(words in book for reasons in PRIORITIES.values() for words in reasons.values())
        assert "above $500.00" in book
        assert ("e.g. " in book) == (prompt == "full")


def test_the_documentation_runs_and_names_the_infos() -> None:
    assert doctest.testmod(module).failed == 0
    *_, info = played(TICKET, "")
    section = (module.TicketTriageEnv.__doc__ or "").split("## Info keys")[1].split("## Version")[0]
    assert set(re.findall(r"(?m)^ *\| `(\w+)`", section)) == set(info)

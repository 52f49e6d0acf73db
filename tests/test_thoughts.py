"""The thoughts of demonstrations: they quote what was shown, and all that an action takes from it."""

import re

import pytest

from stateset_gym import policies
from stateset_gym.policies.rollout import rollout
from stateset_gym.policies.runs import Setting
from stateset_gym.trainers.thoughts import CLOSE, OPEN, quotes, thoughtful, values, whole

DESK = "StateSet/CustomerService-v0"


def parted(content: str) -> tuple[str, str]:
    """The thought before an action, and the action."""
    if not content.startswith(OPEN):
        return "", content
    thought, _, action = content.removeprefix(OPEN).partition(CLOSE)
    return thought, action


def words(text: str) -> set[str]:
    """Its ids and numbers among them, each whole; an e-mail address is one."""
    return {*re.findall(r"[\w.@]*\w", text)}


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
def test_a_thought_quotes_results_and_changes_no_action(difficulty: str) -> None:
    """Thirty conversations: every quote stands in a result before it, and the action is the one without the thought."""
    env = Setting(DESK, "", {"difficulty": difficulty, "prompt": "none"}).env()
    thought_of = 0
    for number in range(30):
        held = rollout(policies.make("expert", env), env, env.pool[number])
        messages = held.messages
        shown: list[str] = []
        heard = ""
        used: set[str] = set()
        for before, after in zip(messages, thoughtful(messages), strict=True):
            if before["role"] != "assistant":
                assert after == before
                if before["content"].startswith("["):
                    shown.append(before["content"])
                else:
                    heard += before["content"]
                continue
            thought, action = parted(after["content"])
            assert action == before["content"]
            new = [value for value in values(action) if value not in used and not whole(value).search(heard)]
            used.update(new)
            plain = [result.replace(",", "") for result in shown]
            assert all(any(quote.replace(",", "") in result for result in plain) for quote in quotes(shown, new))
            for value in new:
                assert (value in words(thought)) == any(value in words(result) for result in shown), value
            thought_of += thought != ""
    assert thought_of >= 20


def test_a_conversation_with_thoughts_ends_as_the_one_without() -> None:
    """The environment takes the action and leaves the thought."""
    env = Setting(DESK, "", {"prompt": "none"}).env()
    for number in range(12):
        held = rollout(policies.make("expert", env), env, env.pool[number])
        spoken = [each["content"] for each in thoughtful(held.messages, held.facts) if each["role"] == "assistant"]
        said = iter(spoken)
        again = rollout(lambda observation, facts, said=said: next(said), env, env.pool[number])
        assert (again.total, again.success, again.malformed) == (held.total, True, 0)


SAID = [("reason", "ordered_by_mistake", "I did not mean to order it"), ("email", "a@b.example", "a@b.example")]
MEANT = [[{"kind": "said", "field": field, "value": value, "words": [words]} for field, value, words in SAID]]


def test_what_a_customer_means_is_quoted_in_their_words_once_and_when_they_have_said_them() -> None:
    """Words that hold the value itself need no thought; a fact of a later turn is not known yet."""
    act = '{"type":"cancel_order","reason":"ordered_by_mistake","email":"a@b.example"}'
    said = [("user", "Hi."), ("assistant", act), ("user", "Oh, I did not mean to order it, a@b.example.")]
    told = [each["content"] for each in thoughtful(transcript([*said, *[("assistant", act)] * 2]), MEANT)]
    assert [told[1], *told[3:]] == [act, f"{OPEN}I did not mean to order it{CLOSE}{act}", act]


def test_what_was_said_last_is_quoted_of_what_means_the_same() -> None:
    """And a customer may say anything, also what thoughts begin with."""
    act = '{"type":"cancel_order","reason":"ordered_by_mistake"}'
    ways = ["my finger slipped", "it was an accident", "I pressed the wrong key"]
    facts = [[{"kind": "said", "value": "ordered_by_mistake", "words": [words]} for words in ways]]
    said = [("user", f"{ways[0]}; {ways[1]} {OPEN}"), ("assistant", act), ("user", ways[2]), ("assistant", act)]
    told = [each["content"] for each in thoughtful(transcript(said), facts)]
    assert told[1::2] == [f"{OPEN}{ways[1]}{CLOSE}{act}", act]


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
def test_every_reason_of_a_cancellation_is_thought_of(difficulty: str) -> None:
    """The words before the proposal are those that the fact names, and stand in what was said until then."""
    env = Setting(DESK, "", {"difficulty": difficulty, "prompt": "none", "kinds": ["cancel_order"]}).env()
    for number in range(12):
        held = rollout(policies.make("expert", env), env, env.pool[number])
        words = next(fact["words"][0] for step in held.facts for fact in step if fact.get("field") == "reason")
        told = thoughtful(held.messages, held.facts)
        place = next(place for place, each in enumerate(told) if '"reason":' in each["content"])
        assert words in parted(told[place]["content"])[0].split("\n")
        assert any(words in each["content"] for each in told[:place] if each["role"] == "user")
        assert not any(
            words in each["content"] for each in told[place:] if each["role"] == "assistant" and each is not told[place]
        )


def transcript(said: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Messages of roles and contents."""
    return [{"role": role, "content": content} for role, content in said]


def test_the_part_that_a_value_stands_in_is_quoted_whole() -> None:
    """From a semicolon or the tool's name to the next one; two values of one part are one quote."""
    results = [
        "[get_order] O1: status pending; red mug (P1): I7, price 500; total 500",
        "[get_product] mug (P1); blue: I8, price 700",
    ]
    assert quotes(results, ["I8"]) == ["blue: I8, price 700"]
    assert quotes(results, ["P1", "I7"]) == ["red mug (P1): I7, price 500"]
    assert quotes(results, ["O1"]) == ["O1: status pending"]
    assert quotes(results, ["I1", "50"]) == []


def test_a_record_is_read_when_it_is_first_shown() -> None:
    """Its first two parts; what an act has changed in it is not read again, and what names no record is not read."""
    ask, act = '{"type":"ask","field":"email"}', '{"type":"close"}'
    order = "[get_order] O1: status pending; customer C2; red mug (P1): I7, price 500; total 500"
    said = [("user", "[list] mug (P1); hat (P2)"), ("assistant", ask), ("user", order), ("assistant", ask)]
    said += [("user", "[cancel_order] O1: status cancelled; refund 500"), ("assistant", act)]
    told = [each["content"] for each in thoughtful(transcript(said)) if each["role"] == "assistant"]
    assert told == [ask, f"{OPEN}O1: status pending; customer C2{CLOSE}{ask}", act]


def test_what_the_customer_says_is_not_looked_up() -> None:
    """A house number that stands in some record by chance tells nothing of why it is the right one."""
    order = "[get_item] desk; address 10 Hill Street; item I7"
    change = '{"type":"change_address","address":{"street":"10 Mill Lane"},"item":"I7"}'
    said = [("user", "It is 10 Mill Lane."), ("user", order), ("assistant", change)]
    told = thoughtful(transcript(said))
    assert told[-1]["content"] == f"{OPEN}item I7{CLOSE}{change}"


def test_the_values_of_an_action_are_its_ids_and_numbers() -> None:
    """Not its type, words or truth values; and what is no action has none."""
    action = '{"type":"inform","claims":[{"about":"O19","field":"total","value":9500},{"about":"I2","value":true}]}'
    assert list(values(action)) == ["O19", "9500", "I2"]
    assert list(values("no action")) == []


def test_what_tells_a_record_apart_is_quoted_without_commas_where_it_is_wished_for():
    """A label that stands alone is that of the customer's wish; a named thing is quoted as it is read."""
    results = ["[get_product] vase (P3); color blue, size M: I1, price 500, available; color red, size M: I2"]
    assert quotes(results, ["I1"]) == ["color blue size M: I1, price 500, available"]
    named = ["[get_order] O1: status pending; vase (P3), color blue, size M: I1, price 500; total 500"]
    assert quotes(named, ["I1", "O1"]) == ["vase (P3), color blue, size M: I1, price 500", "O1: status pending"]

"""Parsing is total: any input gives an action or a short reason, and text, dict and Struct agree."""

import json
import re
import time
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateset_gym.envs.actions import Act, ActionSet, Speech
from stateset_gym.envs.customer_service.actions import ACTIONS, Ask, CancelOrder, Claim, Close, Inform, Propose
from stateset_gym.envs.parse import Malformed, Parser, transcribe
from stateset_gym.envs.plain import is_plain
from stateset_gym.envs.spaces import JSON

PARSER = Parser(ACTIONS)
SPACE = JSON(ACTIONS.schema)
CLOSE = '{"type":"close"}'


class Pay(Act, frozen=True, tag="pay"):
    """Fields of each type that msgspec and JSON Schema could see differently."""

    cents: Annotated[int, msgspec.Meta(ge=0, multiple_of=5)]
    rate: float = 0.0
    notes: list[str] = []
    short: Annotated[str, msgspec.Meta(max_length=2)] = ""
    maybe: int | None = None
    table: dict[str, int] = {}
    either: int | str = 0


class Wave(Speech, frozen=True, tag="wave"):
    """No fields."""


PAY = ActionSet(Pay, Wave)
PAYER = Parser(PAY)


class Foreign(Speech, frozen=True, tag="foreign"):
    """An action of another set."""


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("touched")


READ: list[tuple[Any, Any]] = [
    (CLOSE, Close()),
    (f" \n{CLOSE}\t", Close()),
    (f"\ufeff{CLOSE}", Close()),
    (f"Let me end this.\n```json\n{CLOSE}\n```\nDone.", Close()),
    (f"```\n{CLOSE}\n```", Close()),
    (f"It's over {{curly}}: {CLOSE} }} bye", Close()),
    (f'<think>{{"type":"ask"}} or {{</think>\n{CLOSE}', Close()),
    (f"\n<think></think>{CLOSE}", Close()),
    ('{"type":"close","message":"{}{\\"}"}', Close(message='{}{"}')),
    ('say {"type":"close","message":"```{}"} now', Close(message="```{}")),
    ('{"message":"late type","type":"close"}', Close(message="late type")),
    ('{"type":"close","type":"close","message":"a","message":"b"}', Close(message="b")),
    ('{"type":"close","message":5,"message":"b"}', Close(message="b")),
    ('{"type":"apologise","type":"close"}', Close()),
    ({"type": "close"}, Close()),
    (Close(), Close()),
    (np.str_(CLOSE), Close()),
    (
        '{"type":"inform","claims":[{"about":"O1","field":"n","value":1.0}]}',
        Inform(claims=(Claim("O1", "n", 1),)),
    ),
    (
        {"type": "inform", "claims": [{"about": "O1", "field": "n", "value": 2**70}]},
        Inform(claims=(Claim("O1", "n", 2**70),)),
    ),
]


@pytest.mark.parametrize(("raw", "action"), READ, ids=repr)
def test_what_is_read(raw: Any, action: Any) -> None:
    assert PARSER.parse(raw) == action
    assert type(PARSER.parse(raw)) is type(action)


def test_a_struct_of_the_set_is_returned_as_it_is() -> None:
    action = Propose(action=CancelOrder("O1", "no_longer_needed"))
    assert PARSER.parse(action) is action


def test_the_fields_of_a_struct_are_checked() -> None:
    assert PARSER.parse(Inform(claims=[Claim("O1", "n", 1)])) == Inform(claims=(Claim("O1", "n", 1),))
    for wrong in (Ask(field="shoe size"), Close(message=5), Close(message="\ud800"), Close(message=Loud())):
        assert isinstance(PARSER.parse(wrong), Malformed)


TYPES = "`type` is {}; it must be one of: find_customer, get_customer, get_order,"
REASONS: list[tuple[Any, str]] = [
    ("", "there is no JSON object in the text; answer with one"),
    ("I close.", "there is no JSON object in the text"),
    ("{close}", "there is no JSON object in the text"),
    (CLOSE * 2, "there is more than one JSON object in the text; answer with exactly one"),
    (f"{CLOSE} or {{}}", "there is more than one JSON object"),
    (f'{CLOSE} {{"type": ', "there is more than one JSON object"),
    (f"{{{CLOSE}}}", "the JSON object lies inside other braces"),
    (f"[{CLOSE}]", "an action is a JSON object, not an array"),
    ("5", "an action is a JSON object, not 5"),
    ('"close"', 'an action is a JSON object, not "close"'),
    ("null", "an action is a JSON object, not null"),
    ('{"type":"close",}', "the JSON object is broken: Expecting property name"),
    ('{"type":"close"', "the JSON object is broken: Expecting ',' delimiter"),
    ('{"type":"propose","action":{"type":"close"} oops}', "the JSON object is broken"),
    ('{"type":"close","message":"a\nb"}', "the JSON object is broken: Invalid control character"),
    ('{"type":"close","message":NaN}', "the JSON object is broken: NaN is not a JSON number"),
    ('{"type":"close","message":1e999}', "`message` is not JSON: it is not a finite number"),
    ('{"type":"close","message":"\\ud800"}', "`message` is not JSON: it holds a lone surrogate"),
    ('{"type":"close","message":"\ud800"}', "`message` is not JSON: it holds a lone surrogate"),
    ('{"type":"close","message":' + "1" * 5000 + "}", "the JSON object is broken: Exceeds the limit"),
    ('{"a":' * 5000, "the JSON object is nested too deeply"),
    ('{"type":"close","message":' + "[" * 200 + "]" * 200 + "}", "is not JSON: it is nested too deeply"),
    ("<think>hm " + CLOSE, "the <think> block is never closed"),
    ('{"type":"sing"}', TYPES.format('"sing"')),
    ('{"type":5}', TYPES.format("5")),
    ("{}", "`type` is missing; it must be one of: find_customer"),
    ('{"type":"ask"}', "`field` is missing"),
    ('{"type":"ask","field":"shoe"}', '`field` is "shoe"; it must be one of: address, email'),
    ('{"type":"close","mesage":"x"}', "`mesage` is not a field here; the fields are: type, message"),
    ('{"type":"close","message":5}', "`message` is 5; it must be a string"),
    ('{"type":"propose","action":{"type":"close"}}', '`action.type` is "close"; it must be one of: cancel_order'),
    ('{"type":"propose","action":{"type":"cancel_order"}}', "`action.order_id` is missing; `action.reason` is missing"),
    (
        '{"type":"inform","claims":[{"about":"a","field":"b","value":1.5}]}',
        "`claims[0].value` is 1.5; it must be a str",
    ),
    ("x" * 10_000_000, "the text has 10000000 characters; at most 1000000 are read"),
    ({"type": "close", "message": ("a",)}, "`message` is not JSON: it is a Python tuple"),
    ({"type": "close", 1: 2}, "the value is not JSON: a key is a Python int"),
    ({"type": np.str_("close")}, "`type` is not JSON: it is a Python numpy.str_"),
    ([{"type": "close"}], "an action is a JSON object or its text, not an array"),
    (None, "an action is a JSON object or its text, not null"),
    (True, "an action is a JSON object or its text, not true"),
    (b"{}", "an action is a JSON object or its text, not a Python bytes"),
    (float("nan"), "an action is a JSON object or its text, not a Python float"),
    (Loud(), "an action is a JSON object or its text, not a Python test_parse.Loud"),
    (Foreign(), "an action is a JSON object or its text, not a Python test_parse.Foreign"),
    (Close, "an action is a JSON object or its text, not a Python msgspec."),
]


@pytest.mark.parametrize(("raw", "reason"), REASONS, ids=[row[1][:50] for row in REASONS])
def test_what_is_malformed_and_why(raw: Any, reason: str) -> None:
    found = PARSER.parse(raw)
    assert isinstance(found, Malformed)
    assert reason in found.reason.replace("tests.test_parse", "test_parse")
    assert len(found.reason) <= 300


BOMBS = {
    "open braces": "{" * 999_999,
    "open objects": '{"a":' * 199_999,
    "broken objects": '{"a" ' * 199_999,
    "open strings": '{"' * 499_999,
    "many objects": "{} " * 333_333,
    "spaced braces": ("{" + " " * 99) * 9_999,
    "brackets": "[" * 999_999,
    "thoughts": "<think>" * 99_999,
    "one long string": '{"type":"close","message":"' + "a" * 999_900,
    "many fields": "{" + ",".join(f'"k{n}":{n}' for n in range(70_000)) + "}",
    "many wrong items": '{"type":"return_items","order_id":"O1","payment_method_id":"M","item_ids":['
    + "1," * 300_000
    + "1]}",
    "many wrong items in a union": '{"type":"propose","action":{"type":"return_items","order_id":"O1","item_ids":['
    + "1," * 300_000
    + "1]}}",
    "backslashes": '{"type":"close","message":"' + "\\" * 900_000,
    "digits": '{"type":"close","message":' + "1" * 900_000 + "}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_long_text_is_judged_in_bounded_time(text: str) -> None:
    began = time.process_time()
    found = PARSER.parse(text)
    assert isinstance(found, Malformed)
    assert len(found.reason) <= 300
    assert time.process_time() - began < 2


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
    max_leaves=6,
)
ANY_OBJECT = st.sampled_from(
    [(), {1, 2}, b"x", 1j, Loud(), Foreign(), Ask, np.int64(3), np.zeros(2), range(3), ..., json]
)
WORDS = (
    """{ } " ```json ``` <think> </think> {"type":"close"} {"type": "ask" , : \\ [ ] "field" "email" NaN 1e999 é 5"""
)
PIECES = st.sampled_from(WORDS.split()) | st.sampled_from(" \n\x00\ud800")


@settings(max_examples=800)
@given(st.text() | st.lists(PIECES, max_size=12).map("".join) | ANY_JSON | ANY_JSON.map(json.dumps) | ANY_OBJECT)
def test_any_input_gives_an_action_or_a_short_reason(raw: Any) -> None:
    found = PARSER.parse(raw)
    if isinstance(found, Malformed):
        assert 0 < len(found.reason) <= 300
        assert is_plain(found.reason)
    else:
        assert type(found) in ACTIONS.types
    assert is_plain(transcribe(ACTIONS, raw))


def samples(parser: Parser, seed: int, break_at: int, value: Any) -> dict[str, Any]:
    """A drawn action, in which one field may be replaced or added."""
    parser.space.seed(seed)
    action: dict[str, Any] = parser.space.sample()
    names = [*action, "extra", "message", "cents", "either", "rate", "maybe", "short", "table", "notes"]
    return action if break_at >= len(names) else action | {names[break_at]: value}


TRICKY = st.sampled_from(
    [0, 5, -5, 5.0, 1.0, 1.5, -0.0, 2**63, 2**64, 2**70, 1e300, True, None, "", "ab", "abc", "1", []]
)
TRICKY |= st.sampled_from([["a"], [1], {}, {"a": 1}, {"a": 1.0}, {"a": "b"}, {"type": "wave"}, "\U0001f600\U0001f600"])


@pytest.mark.parametrize(("actions", "parser"), [(ACTIONS, PARSER), (PAY, PAYER)], ids=["service", "pay"])
def test_text_and_dict_agree_and_the_schema_decides(actions: ActionSet, parser: Parser) -> None:
    @settings(max_examples=400)
    @given(st.integers(0, 10**6), st.integers(0, 20), TRICKY)
    def agree(seed: int, break_at: int, value: Any) -> None:
        action = samples(parser, seed, break_at, value)
        found = parser.parse(action)
        assert isinstance(found, Malformed) == (action not in parser.space), (action, found)
        assert parser.parse(json.dumps(action)) == found
        assert parser.parse(json.dumps(action, ensure_ascii=False, indent=2)) == found
        assert parser.parse(f"So: {json.dumps(action)}.") == found
        if not isinstance(found, Malformed):
            assert parser.parse(found) is found
            assert parser.parse(transcribe(actions, found)) == found
            assert parser.parse(transcribe(actions, action)) == found

    agree()


def test_what_an_agent_emitted_is_transcribed() -> None:
    assert transcribe(ACTIONS, "<think>x</think> {") == "<think>x</think> {"
    assert transcribe(ACTIONS, {"type": "close", "message": "é"}) == '{"type":"close","message":"é"}'
    assert transcribe(ACTIONS, {"n": 2**70}) == '{"n":1180591620717411303424}'
    assert transcribe(ACTIONS, Ask(field="email")) == '{"type":"ask","field":"email"}'
    big = Inform(claims=(Claim("a", "b", 2**70),))
    assert PARSER.parse(transcribe(ACTIONS, big)) == big
    assert transcribe(ACTIONS, "a\ud800") == "a\\ud800"


@pytest.mark.parametrize(
    "raw", [Loud(), object(), Foreign(), lambda: 0, np.zeros(10**6), {1: Loud()}, Close(message=Loud()), (1,)]
)
def test_other_objects_are_described_shortly_without_an_address(raw: Any) -> None:
    text = transcribe(ACTIONS, raw)
    assert text.startswith("<")
    assert len(text) <= 302
    assert not re.search("0x[0-9a-f]{6}", text)
    assert is_plain(text)

"""The JSON space contains what JSON Schema says, explains the rest, and seeds, compares, copies and pickles."""

import copy
import enum
import math
import pickle
import threading
import tracemalloc
from collections import OrderedDict
from typing import Any

import gymnasium
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.plain import MAX_DEPTH, is_plain
from stateset_gym.envs.spaces import JSON

POINT = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
CANCEL = {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def bomb() -> Any:
    """A value of a hundred lists that stands for 2 ** 100."""
    value: Any = []
    for _ in range(MAX_DEPTH - 2):
        value = [value, value]
    return value


class Word(str):
    pass


class Hostile:
    __class__ = dict

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("touched")

    def __repr__(self) -> str:
        raise RuntimeError("touched")


cyclic: list[Any] = []
cyclic.append(cyclic)

NOT_JSON: dict[str, Any] = {
    "tuple": (1, 2),
    "tuple inside": {"a": [(1,)]},
    "named tuple of a space": gymnasium.spaces.GraphInstance(1, 2, 3),
    "nan": math.nan,
    "inf": math.inf,
    "nan inside": [math.nan],
    "numpy integer": np.int64(1),
    "numpy float": np.float64(1.0),
    "numpy bool": np.True_,
    "numpy str": np.str_("a"),
    "numpy array": np.zeros(2),
    "numpy integer inside": {"a": np.int64(1)},
    "integer key": {1: 2},
    "none key": {None: 1},
    "string class as key": {Word("a"): 1},
    "lone surrogate": "\ud800",
    "lone surrogate inside": ["a\udfffb"],
    "lone surrogate key": {"\ud800": 1},
    "string class": Word("a"),
    "dict class": OrderedDict(a=1),
    "integer class": enum.IntEnum("E", "A").A,
    "bytes": b"a",
    "set": {1},
    "complex": 1j,
    "type": int,
    "hostile object": Hostile(),
    "hostile object inside": {"a": Hostile()},
    "huge integer": 10**5000,
    "huge negative integer": -(10**5000),
    "too deep": nested(MAX_DEPTH + 1),
    "far too deep": nested(100_000),
    "cyclic": cyclic,
    "shared a thousandfold": bomb(),
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON.keys())
@pytest.mark.parametrize("schema", [{}, {"type": ["object", "array"]}, {"not": {"type": "boolean"}}], ids=str)
def test_what_is_not_json_is_not_contained_and_never_raises(value: Any, schema: dict[str, Any]) -> None:
    space = JSON(schema)
    assert value not in space
    assert space.explain(value)


def test_the_deepest_value_that_is_allowed_is_contained() -> None:
    assert nested(MAX_DEPTH) in JSON({})
    assert nested(MAX_DEPTH) in JSON({"$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"})


# For each keyword, what is easily got wrong: (schema, contained, not contained).
HARD: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"type": "integer"}, [1, 1.0, -0.0, 10**30, 1e300], [True, "1", 1.5, None]),
    ({"type": "number"}, [1, 1.5, 10**400], [False, "1"]),
    ({"type": "boolean"}, [True, False], [0, 1, "true"]),
    ({"type": "null"}, [None], [0, False, "", "null"]),
    ({"type": ["string", "null"]}, ["", None], [0]),
    ({"type": "string"}, ["", "\x00", "\U0001f600"], [None]),
    ({"const": 1}, [1, 1.0], [True, "1"]),
    ({"const": False}, [False], [0, None]),
    ({"const": {"a": [1]}}, [{"a": [1.0]}], [{"a": [True]}, {"a": 1}]),
    ({"const": 2**53}, [2**53, 2.0**53], [2**53 + 1]),
    ({"enum": [0, "a", None]}, [0, -0.0, "a", None], [False, "", "A"]),
    ({"enum": []}, [], [None, 0]),
    ({"minLength": 2}, ["ab", "\U0001f600a", 5], ["\U0001f600", "a"]),
    ({"maxLength": 1}, ["\U0001f600", ["ab"]], ["e\u0301"]),
    ({"pattern": "b"}, ["abc", 5], ["a", ""]),
    ({"pattern": "^a$"}, ["a"], ["ab", "a\n"]),
    ({"minimum": 0}, [0, -0.0, "x"], [-1, -1e-300]),
    ({"exclusiveMinimum": 0}, [1e-300], [0, -0.0]),
    ({"maximum": 2**53}, [2**53], [2**53 + 1]),
    ({"exclusiveMaximum": 1.5}, [1], [1.5, 2]),
    ({"multipleOf": 2}, [4, 4.0, 0, 10**30], [3, 10**30 + 1]),
    ({"multipleOf": 0.1}, [0.3, 1], [0.35]),
    ({"multipleOf": 0.5}, [1.5, 2], [1.25]),
    ({"properties": {"a": False}}, [{}, {"b": 1}, []], [{"a": None}]),
    ({"required": ["a"]}, [{"a": None}, [], "x"], [{}, {"A": 1}]),
    ({"required": ["__proto__"]}, [{"__proto__": 1}], [{}]),
    ({"additionalProperties": False, "properties": {"a": {}}}, [{}, {"a": 1}], [{"a": 1, "b": 1}]),
    (
        {"additionalProperties": {"type": "integer"}, "patternProperties": {"^x": {}}},
        [{"x": "s", "n": 1}],
        [{"n": "s"}],
    ),
    ({"propertyNames": {"maxLength": 1}}, [{"a": 1}, {}], [{"ab": 1}]),
    ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}, 5], [{}, {"a": 1, "b": 1}]),
    ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
    ({"dependentSchemas": {"a": {"maxProperties": 1}}}, [{"a": 1}], [{"a": 1, "b": 1}]),
    ({"items": {"type": "integer"}}, [[], [1], "x"], [[1, "x"]]),
    ({"prefixItems": [{"type": "integer"}], "items": False}, [[], [1]], [["x"], [1, 2]]),
    ({"contains": {"const": 1}}, [[0, 1], [1.0]], [[], [True]]),
    ({"contains": {"const": 1}, "minContains": 0, "maxContains": 1}, [[], [1]], [[1, 1]]),
    ({"uniqueItems": True}, [[1, True], [[1], [True]], ["a", "A"]], [[1, 1.0], [0, -0.0], [{"a": 1, "b": 2}] * 2]),
    ({"unevaluatedProperties": False, "allOf": [{"properties": {"a": {}}}]}, [{"a": 1}], [{"b": 1}]),
    ({"unevaluatedItems": False, "prefixItems": [{}]}, [[1]], [[1, 2]]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [3, 1.5]),
    ({"anyOf": [{"minimum": 2}, {"type": "string"}]}, ["x", 2, None], [1]),
    ({"allOf": [{"minimum": 1}, {"maximum": 1}]}, [1, "x"], [2]),
    ({"not": {"type": "integer"}}, ["x", 1.5], [1, 1.0]),
    ({"if": {"type": "integer"}, "then": {"minimum": 0}, "else": {"type": "string"}}, [1, "x"], [-1, None]),
    ({"format": "email"}, ["no address"], []),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "null"}}}, [None], [0]),
    ({"type": "array", "items": {"$ref": "#"}}, [[], [[], [[]]]], [[1]]),
]


@pytest.mark.parametrize(("schema", "inside", "outside"), HARD, ids=[str(row[0])[:60] for row in HARD])
def test_the_hard_cases_of_each_keyword(schema: dict[str, Any], inside: list[Any], outside: list[Any]) -> None:
    space = JSON(schema)
    assert [value for value in inside if value not in space or space.explain(value)] == []
    assert [value for value in outside if value in space or not space.explain(value)] == []


KEYS = st.sampled_from(["a", "b", "c", "é", ""])
NUMBERS = st.integers(-4, 8) | st.integers() | st.sampled_from([0.5, 1.0, -0.0, 2.5, 2.0, 1e300, -7.25, 2**53, 2**70])
STRINGS = st.sampled_from(["", "a", "ab", "O12", "é", "\U0001f600", "e\u0301", "abc"]) | st.text(max_size=4)
SCALARS = st.none() | st.booleans() | NUMBERS | STRINGS
VALUES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=4) | st.dictionaries(KEYS, part, max_size=4), max_leaves=8
).filter(is_plain)
SMALL = st.integers(0, 4)
PATTERNS = st.sampled_from(["^a", "b", "^O[0-9]+", "a|é", "^.{2}"])
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])


def keywords(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of several keywords over smaller schemas."""
    parts = st.lists(part, min_size=1, max_size=3)
    optional = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "const": VALUES,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": PATTERNS,
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "exclusiveMaximum": NUMBERS,
        "multipleOf": st.sampled_from([1, 2, 3]),
        "properties": st.dictionaries(KEYS, part, max_size=3),
        "required": st.lists(KEYS, max_size=2, unique=True),
        "additionalProperties": part,
        "patternProperties": st.dictionaries(PATTERNS, part, max_size=2),
        "propertyNames": part,
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "dependentRequired": st.dictionaries(KEYS, st.lists(KEYS, max_size=2, unique=True), max_size=2),
        "dependentSchemas": st.dictionaries(KEYS, part, max_size=2),
        "unevaluatedProperties": part,
        "items": part,
        "prefixItems": parts,
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "contains": part,
        "minContains": SMALL,
        "maxContains": SMALL,
        "unevaluatedItems": part,
        "allOf": parts,
        "anyOf": parts,
        "oneOf": parts,
        "not": part,
        "if": part,
        "then": part,
        "else": part,
        "$ref": st.just("#/$defs/shared"),
    }
    chosen = st.lists(st.sampled_from(sorted(optional)), min_size=1, max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: optional[name] for name in names}))


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    part = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=6)
    leaf = keywords(st.booleans()).filter(lambda schema: "#/$defs" not in str(schema))
    root = draw(part)
    return {"allOf": [root], "$defs": {"shared": draw(leaf)}}


def too_big_for_python(value: Any) -> bool:
    """jsonschema divides 1e300 as a float, where 1e300 is no multiple of 3 and yet tests as one."""
    if isinstance(value, list | dict):
        return any(too_big_for_python(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and abs(value) > 2**53


@settings(max_examples=600, deadline=None)
@given(schemas(), st.lists(VALUES, min_size=1, max_size=6))
def test_containment_is_that_of_jsonschema(schema: dict[str, Any], values: list[Any]) -> None:
    space, reference = JSON(schema), jsonschema.Draft202012Validator(schema)
    for value in values:
        if "multipleOf" in str(schema) and too_big_for_python(value):
            continue
        assert space.contains(value) == reference.is_valid(value), (schema, value)
        assert (space.explain(value) is None) == space.contains(value)


POISON = st.sampled_from(
    [(), math.nan, -math.inf, np.int8(1), np.float32(1), np.array("a"), "\ud800", {1: 1}, b"", {2}]
)


@settings(max_examples=200, deadline=None)
@given(schemas(), VALUES, POISON, st.integers(0, 3))
def test_a_value_with_one_thing_that_is_not_json_is_not_contained(
    schema: dict[str, Any], value: Any, poison: Any, depth: int
) -> None:
    for _ in range(depth):
        poison = {"a": value, "b": [poison]}
    assert poison not in JSON(schema)
    assert poison not in JSON({})


REASONS = [
    ({}, POINT, "`x` is missing"),
    ({"x": "1"}, POINT, '`x` is "1"; it must be an integer'),
    ({"x": 1, "y": 2}, POINT, "`y` is not a field here; the fields are: x"),
    ([], POINT, "the value is an array; it must be an object"),
    ({"x": (1,)}, POINT, "`x` is not JSON: it is a Python tuple"),
    ({"x": np.int64(1)}, POINT, "`x` is not JSON: it is a Python numpy.int64"),
    ({"x": math.nan}, POINT, "`x` is not JSON: it is not a finite number"),
    ({1: 1}, POINT, "the value is not JSON: a key is a Python int, not a string"),
    ("\ud800", {}, "the value is not JSON: it holds a lone surrogate, which has no UTF-8 form"),
    (5, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "the value is 5; it must be a string or null"),
    (5, {"enum": ["a", "b c"]}, 'the value is 5; it must be one of: a, "b c"'),
    (5, {"const": 6}, "the value is 5; it must be 6"),
    (5, {"maximum": 4}, "the value: 5 is greater than the maximum of 4"),
    ({}, ACTIONS.schema, "`type` is missing; it must be one of: find_customer, get_customer"),
    ({"type": "sing"}, ACTIONS.schema, '`type` is "sing"; it must be one of: find_customer, get_customer'),
    (
        {"type": "propose", "action": {"type": "ask"}},
        ACTIONS.schema,
        '`action.type` is "ask"; it must be one of: cancel',
    ),
    ({"type": "inform", "claims": [{}]}, ACTIONS.schema, "`claims[0].about` is missing; `claims[0].field` is missing"),
]


@pytest.mark.parametrize(("value", "schema", "reason"), REASONS, ids=[row[2][:40] for row in REASONS])
def test_explain_names_the_field_the_value_and_what_is_allowed(value: Any, schema: dict[str, Any], reason: str) -> None:
    explanation = JSON(schema).explain(value)
    assert explanation is not None
    assert explanation.startswith(reason)
    assert len(explanation) <= 300


def test_explain_is_bounded_and_silent_about_what_is_contained() -> None:
    long = JSON({"enum": ["x" * 1000]}).explain("y" * 10**6)
    assert long is not None
    assert len(long) <= 300
    assert JSON(ACTIONS.schema).explain(CANCEL) is None


def test_equality_is_that_of_json_and_not_of_python() -> None:
    swapped = {"required": ["x"], **{key: POINT[key] for key in reversed(POINT)}}
    assert JSON(POINT) == JSON(swapped)
    assert JSON({"const": 1}) != JSON({"const": True})
    assert JSON(POINT) != JSON(POINT, max_bytes=10)
    assert JSON(POINT) != gymnasium.spaces.Discrete(2)


def test_repr_is_short_and_the_same_in_every_process() -> None:
    assert repr(JSON({"type": "null"})) == 'JSON({"type":"null"})'
    assert repr(JSON({"type": "null"}, max_bytes=9)) == 'JSON({"type":"null"}, max_bytes=9)'
    assert len(repr(JSON(ACTIONS.schema))) < 120


def test_a_change_to_the_schema_given_changes_no_space() -> None:
    given_schema = copy.deepcopy(POINT)
    space = JSON(given_schema)
    given_schema["required"] = ["y"]
    assert {"x": 1} in space
    assert space == JSON(POINT)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda space: pickle.loads(pickle.dumps(space))])
def test_copies_and_pickles_are_equal_and_sample_on_from_the_same_state(twin: Any) -> None:
    space = JSON(ACTIONS.schema, seed=3, max_bytes=77)
    space.sample()
    other = twin(space)
    assert other == space
    assert other.max_bytes == 77
    state = copy.deepcopy(space.np_random.bit_generator.state)
    assert other.np_random.bit_generator.state == state
    assert CANCEL in other


def test_a_deep_copy_has_a_generator_of_its_own() -> None:
    space = JSON(ACTIONS.schema, seed=3)
    other = copy.deepcopy(space)
    space.sample()
    assert other.sample() == JSON(ACTIONS.schema, seed=3).sample()


def test_ten_thousand_spaces_share_their_schema() -> None:
    JSON(ACTIONS.schema)
    tracemalloc.start()
    spaces = [JSON(ACTIONS.schema) for _ in range(1000)]
    size = tracemalloc.get_traced_memory()[0] / len(spaces)
    tracemalloc.stop()
    assert size < 1000
    assert spaces[0].schema is spaces[-1].schema


def test_values_are_json_already() -> None:
    space = JSON(POINT)
    assert space.from_jsonable(space.to_jsonable([{"x": 1}, {"x": 2}])) == [{"x": 1}, {"x": 2}]


def test_threads_share_a_space() -> None:
    space, found = JSON(ACTIONS.schema), []
    threads = [
        threading.Thread(target=lambda: found.append(all(CANCEL in space for _ in range(2000)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


WRONG: list[tuple[Any, type[Exception], str]] = [
    ("object", TypeError, r"must be a dict, not 'object'; \{\} allows every"),
    ({"type": "objekt"}, ValueError, '"objekt" is not valid'),
    ({"$ref": "#/$defs/none"}, ValueError, "does not exist"),
    ({"$ref": "http://localhost/schema"}, ValueError, "cannot fetch"),
    ({"pattern": "("}, ValueError, "not a JSON Schema"),
    ({"const": object()}, ValueError, "the schema is not JSON"),
]


@pytest.mark.parametrize(("schema", "error", "message"), WRONG, ids=[str(row[0])[:30] for row in WRONG])
def test_a_wrong_schema_is_refused_when_the_space_is_made(schema: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        JSON(schema)


@pytest.mark.parametrize("size", [0, -1, 1.5, 2**32, "9"])
def test_a_wrong_size_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="max_bytes="):
        JSON({}, max_bytes=size)

"""Samples of a JSON space fit its schema, follow its seed and its mask, and vary."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.spaces import JSON

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
    "$ref": "#/$defs/node",
}
BUSH = {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefgh"}}
LIST = {"anyOf": [{"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}, {"type": "null"}]}
LINK = {"type": ["object", "null"], "properties": {"next": {"$ref": "#"}}, "required": ["next"]}

SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "integer"},
    {"type": "integer", "minimum": 3, "maximum": 3},
    {"type": "integer", "exclusiveMinimum": 2.5, "exclusiveMaximum": 4},
    {"type": "integer", "minimum": 7, "multipleOf": 5},
    {"type": "integer", "maximum": -7, "multipleOf": 2.5},
    {"type": "integer", "minimum": -(10**30), "maximum": 10**30},
    {"type": "number"},
    {"type": "number", "minimum": 0.25, "maximum": 0.75},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1e-9},
    {"type": "number", "multipleOf": 0.25, "minimum": 0.3},
    {"type": "string"},
    {"type": "string", "minLength": 50},
    {"type": "string", "minLength": 2, "maxLength": 3},
    {"type": "string", "minLength": 5000, "maxLength": 5000},
    {"minLength": 3},
    {"type": ["integer", "string", "null"]},
    {"type": "string", "enum": ["a", 1, "b"]},
    {"enum": [1, [2], {"a": 3}]},
    {"const": {"a": [1]}},
    {"type": "array"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 1},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2, "uniqueItems": True},
    {"type": "object"},
    {"type": "object", "required": ["a"]},
    {"type": "object", "properties": {"a": False, "b": {"type": "null"}}, "additionalProperties": {"type": "integer"}},
    {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer", "minimum": 5}},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"type": "string", "examples": ["ada@post.example"]},
    {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}},
    TREE,
    BUSH,
    LIST,
    LINK,
    ACTIONS.schema,
]
"""Schemas that can be sampled, hard cases among them."""


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: str(schema)[:60])
def test_samples_are_contained_vary_and_follow_the_seed(schema: dict[str, Any]) -> None:
    space, twin = JSON(schema, seed=5), JSON(schema, seed=5)
    samples = [space.sample() for _ in range(60)]
    assert [value for value in samples if value not in space] == []
    assert samples == [twin.sample() for _ in range(60)]
    assert space.least() in space


@pytest.mark.parametrize(
    "schema",
    [{"type": "string"}, {"type": "number"}, {"type": "integer"}, {}, TREE, LIST, LINK, ACTIONS.schema],
    ids=lambda schema: str(schema)[:40],
)
def test_samples_vary_and_other_seeds_give_others(schema: dict[str, Any]) -> None:
    space = JSON(schema, seed=1)
    first = [space.sample() for _ in range(60)]
    assert len({str(value) for value in first}) > (2 if schema is LIST or schema is LINK or schema is TREE else 20)
    space.seed(2)
    assert [space.sample() for _ in range(60)] != first
    space.seed(1)
    assert [space.sample() for _ in range(60)] == first


def test_strings_are_words_ids_and_other_scripts() -> None:
    space = JSON({"type": "string"}, seed=0)
    samples = [space.sample() for _ in range(300)]
    assert "" in samples
    assert any(text[:1] == "O" and text[1:].isdigit() for text in samples)
    assert any(" " in text for text in samples)
    assert any(not text.isascii() for text in samples)


def test_the_values_of_two_samples_are_not_shared() -> None:
    space = JSON({"const": {"a": [1]}}, seed=0)
    space.sample()["a"].append(2)
    assert space.sample() == {"a": [1]}
    space.least()["a"].append(2)
    assert space.least() == {"a": [1]}


def test_a_mask_over_the_action_types_is_obeyed() -> None:
    space = JSON(ACTIONS.schema, seed=0)
    for index, name in enumerate(ACTIONS.names):
        mask = np.zeros(len(ACTIONS.names), np.int8)
        mask[index] = 1
        assert {space.sample(mask=mask)["type"] for _ in range(10)} == {name}


def test_a_mask_allows_each_type_that_it_names() -> None:
    space = JSON(ACTIONS.schema, seed=0)
    mask = np.array([name in ("ask", "close") for name in ACTIONS.names], np.int8)
    assert {space.sample(mask=mask)["type"] for _ in range(50)} == {"ask", "close"}


def test_a_probability_over_the_action_types_is_followed() -> None:
    space = JSON(ACTIONS.schema, seed=0)
    probability = np.zeros(len(ACTIONS.names))
    probability[[ACTIONS.names.index("ask"), ACTIONS.names.index("close")]] = 0.9, 0.1
    drawn = [space.sample(probability=probability)["type"] for _ in range(300)]
    assert 230 < drawn.count("ask") < 295
    assert drawn.count("ask") + drawn.count("close") == 300


TYPES = len(ACTIONS.names)
BAD_WEIGHTS: list[tuple[dict[str, Any], str]] = [
    ({"mask": np.ones(3, np.int8)}, f"NumPy array of {TYPES} entries"),
    ({"mask": np.ones(TYPES)}, "dtype int8"),
    ({"mask": [1] * TYPES}, "must be a NumPy array"),
    ({"mask": np.zeros(TYPES, np.int8)}, "no branch is allowed; set at least one"),
    ({"mask": np.full(TYPES, 2, np.int8)}, "must be 0 or 1"),
    ({"probability": np.ones(TYPES)}, "must sum to 1"),
    ({"probability": np.ones(TYPES, np.int8)}, "dtype float64"),
    ({"mask": np.ones(TYPES, np.int8), "probability": np.ones(TYPES)}, "not both"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS, ids=[row[1] for row in BAD_WEIGHTS])
def test_a_wrong_mask_is_refused(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JSON(ACTIONS.schema).sample(**weights)


def test_a_mask_needs_branches() -> None:
    with pytest.raises(ValueError, match="no top-level `anyOf`"):
        JSON({"type": "null"}).sample(mask=np.ones(1, np.int8))


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"type": "string", "pattern": "^a"}, "`pattern` at #;"),
    ({"type": "object", "properties": {"a": {"not": {}}}}, "`not` at #/properties/a;"),
    ({"allOf": [{}]}, "`allOf` at #;"),
    ({"anyOf": [{}], "required": ["a"]}, "`required` beside `anyOf`"),
    ({"type": "array", "items": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}, "only references within"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "refers to itself without an end"),
    ({"type": "string", "enum": [1]}, "nothing fits `enum` at #"),
    ({"anyOf": [False]}, "nothing fits `false` at #/anyOf/0"),
]


@pytest.mark.parametrize(("schema", "message"), UNSUPPORTED, ids=[row[1] for row in UNSUPPORTED])
def test_an_unsupported_schema_says_so_when_sampling_is_asked_for(schema: dict[str, Any], message: str) -> None:
    space = JSON(schema)
    assert space.contains({"a": 1}) in (True, False)
    with pytest.raises(NotImplementedError, match=message):
        space.sample()


def test_a_contradiction_is_an_error_that_shows_the_schema() -> None:
    with pytest.raises(ValueError, match=r"none of 100 drawn values fits the schema \{\"type\":\"integer\""):
        JSON({"type": "integer", "minimum": 2, "maximum": 1}).sample()


LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 3)}),
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": st.integers(-9, 9)}),
    st.fixed_dictionaries({"type": st.just("number")}, optional={"maximum": st.floats(-9, 9)}),
    st.fixed_dictionaries({"enum": st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3)}),
    st.sampled_from([{}, {"type": "null"}, {"type": "boolean"}, {"const": 1}, {"type": ["null", "string"]}]),
)


def composite(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from("abc")
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(names, part, max_size=3)},
            optional={"required": st.lists(names, unique=True, max_size=3), "additionalProperties": part},
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": part},
            optional={
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(2, 4),
                "prefixItems": st.lists(part, min_size=1, max_size=2),
            },
        ),
        st.fixed_dictionaries({"anyOf": st.lists(part, min_size=1, max_size=3)}),
    )


@settings(max_examples=200, deadline=None)
@given(st.recursive(LEAVES, composite, max_leaves=6), st.integers(0, 2**32))
def test_samples_of_any_supported_schema_are_contained(schema: dict[str, Any], seed: int) -> None:
    space = JSON(schema, seed=seed)
    assert all(space.sample() in space for _ in range(5))
    assert space.least() in space

"""A JSON Schema -> a generator of values that fit it, for the part of JSON Schema that actions and transcripts need."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from .plain import clip, dumps
from .sampling_leaves import LEAVES, Draw, Least, Node, Source, anything, string

ATTEMPTS = 100
"""Draws until one fits: what is drawn is built to fit, so a second is rare."""

ROOM = 5
"""Levels of nesting that are drawn freely."""

_KINDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "string": {"minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
"""The keywords of each type; a schema that has some and no `type` is drawn as that type."""

_NOT_DRAWN = (
    "allOf not if then else pattern patternProperties propertyNames minProperties maxProperties contains minContains "
    "maxContains dependentRequired dependentSchemas unevaluatedItems unevaluatedProperties $dynamicRef"
)
_UNSUPPORTED = set(_NOT_DRAWN.split())
_CHOICES = {"enum", "const", "$ref", "anyOf", "oneOf"}
_ASSERTIONS = set[str]().union(_UNSUPPORTED, _CHOICES, *_KINDS.values())


class Sampler:
    """Draws values that fit a schema."""

    def __init__(self, schema: dict[str, Any], accepts: Callable[[Any], bool]) -> None:
        self._schema, self._accepts = schema, accepts
        self._references: dict[str, Node] = {}
        if not math.isfinite(self._height(schema, frozenset())):
            raise NotImplementedError("JSON.sample: the schema refers to itself without an end, so no value is finite")
        self._root = self._node(schema, "#")
        branches = enumerate(schema.get("anyOf", ()))
        self._branches = [self._node(branch, f"#/anyOf/{index}") for index, branch in branches]

    def sample(self, rng: np.random.Generator, branch: int | None) -> Any:
        """A value drawn from `rng`, of one branch of the top-level `anyOf` if one is given."""
        node, draw = self._root if branch is None else self._branches[branch], Draw(rng)
        for _ in range(ATTEMPTS):
            value = node(draw, ROOM)
            if self._accepts(value):
                return value
        raise ValueError(
            f"JSON.sample: none of {ATTEMPTS} drawn values fits the schema {clip(dumps(self._schema), 200)}; "
            f"its keywords may contradict each other (the last one drawn was {clip(dumps(value), 200)})"
        )

    def least(self) -> Any:
        """A smallest value."""
        value = self._root(Least(), 0)
        return value if self._accepts(value) else self.sample(np.random.default_rng(0), None)

    def _node(self, schema: Any, where: str) -> Node:
        """The generator of a part of the schema."""
        if schema is True or schema == {}:
            return anything
        if schema is False:
            _nothing("`false`", where)
        self._check(schema, where)
        node = self._plain(schema, where)
        examples = [_copies(example) for example in schema.get("examples", ())]
        return _or_example(node, examples) if examples else node

    def _plain(self, schema: dict[str, Any], where: str) -> Node:
        if "const" in schema:
            return _choice([_copies(schema["const"])])
        if "enum" in schema:
            values = [_copies(value) for value in schema["enum"] if _of_type(value, schema)]
            return _choice(values) if values else _nothing("`enum`", where)
        if "$ref" in schema:
            return self._reference(schema["$ref"], where)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._union(schema[key], f"{where}/{key}")
        kinds = _kinds(schema)
        return anything if kinds is None else self._typed(kinds, schema, where)

    def _check(self, schema: dict[str, Any], where: str) -> None:
        """Say at once what cannot be drawn."""
        faults = sorted(_UNSUPPORTED & schema.keys())
        choice = next((key for key in schema if key in _CHOICES), None)
        if choice in ("$ref", "anyOf", "oneOf"):
            faults += sorted((_ASSERTIONS & schema.keys()) - {choice})
        if faults:
            beside = f" beside `{choice}`" if choice else ""
            raise NotImplementedError(
                f"JSON.sample: cannot draw values for `{faults[0]}`{beside} at {where}; containment works. "
                f"To sample, write the schema without it, or draw values of your own"
            )

    def _reference(self, reference: str, where: str) -> Node:
        """A generator found when it is first used, since a schema may refer to itself."""
        target = self._target(reference, where)
        if reference not in self._references:
            self._references[reference] = lambda draw, room: self._references[reference](draw, room)
            self._references[reference] = self._node(target, reference)
        return lambda draw, room: self._references[reference](draw, room)

    def _target(self, reference: str, where: str) -> Any:
        target: Any = self._schema
        if not reference.startswith("#/") and reference != "#":
            raise NotImplementedError(
                f"JSON.sample: `$ref` to {reference!r} at {where}: only references within are drawn"
            )
        for key in reference[2:].split("/") if reference != "#" else ():
            key = key.replace("~1", "/").replace("~0", "~")
            target = target[int(key)] if isinstance(target, list) else target[key]
        return target

    def _union(self, branches: list[Any], where: str) -> Node:
        nodes = [self._node(branch, f"{where}/{index}") for index, branch in enumerate(branches)]
        heights = [self._height(branch, frozenset()) for branch in branches]
        lowest = nodes[heights.index(min(heights))]
        return lambda draw, room: (nodes[draw.below(len(nodes))] if room > 0 else lowest)(draw, room)

    def _typed(self, kinds: list[str], schema: dict[str, Any], where: str) -> Node:
        nodes = [LEAVES[kind](schema) for kind in LEAVES if kind in kinds]
        nodes += [self._array(schema, where)] if "array" in kinds else []
        nodes += [self._object(schema, where)] if "object" in kinds else []
        return lambda draw, room: nodes[draw.below(len(nodes)) if room > 0 else 0](draw, room)

    def _object(self, schema: dict[str, Any], where: str) -> Node:
        required = dict.fromkeys(schema.get("required", ()))
        more = schema.get("additionalProperties")
        properties = {name: part for name, part in schema.get("properties", {}).items() if part is not False}
        missing = {name: True if more is None else more for name in required if name not in properties}
        nodes = {name: self._node(part, f"{where}/properties/{name}") for name, part in (properties | missing).items()}
        extra = self._node(more, f"{where}/additionalProperties") if more not in (None, False) else None

        def draw_object(draw: Source, room: int) -> dict[str, Any]:
            chosen = [name for name in nodes if name in required or (room > 0 and draw.below(2))]
            value = {name: nodes[name](draw, room - 1) for name in chosen}
            for _ in range(draw.below(4) if extra and room > 0 else 0):
                name = string(draw, 0, 12)
                if extra and name not in nodes:
                    value[name] = extra(draw, room - 1)
            return value

        return draw_object

    def _array(self, schema: dict[str, Any], where: str) -> Node:
        prefix = [self._node(part, f"{where}/prefixItems/{i}") for i, part in enumerate(schema.get("prefixItems", ()))]
        rest = schema.get("items", True)
        item = self._node(rest, f"{where}/items") if rest is not False else None
        least = int(schema.get("minItems", 0))
        most = min(schema.get("maxItems", math.inf), math.inf if item else len(prefix), least + 3 + len(prefix))
        unique = schema.get("uniqueItems", False)

        def draw_array(draw: Source, room: int) -> list[Any]:
            size = least + (draw.below(max(0, int(most) - least) + 1) if room > 0 else 0)
            nodes = (prefix[:size] + [item or anything] * (size - len(prefix)))[:size]
            return _distinct(nodes, draw, room - 1) if unique else [node(draw, room - 1) for node in nodes]

        return draw_array

    def _height(self, schema: Any, above: frozenset[str]) -> float:
        """The levels of nesting that the lowest value has; infinite for a schema that never ends."""
        if not isinstance(schema, dict) or "const" in schema or "enum" in schema:
            return 0
        if "$ref" in schema:
            reference = schema["$ref"]
            target = self._target(reference, "#")
            return math.inf if reference in above else self._height(target, above | {reference})
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return min(self._height(branch, above) for branch in schema[key])
        kinds = _kinds(schema)
        if kinds is None or LEAVES.keys() & set(kinds):
            return 0
        parts = [schema.get("properties", {}).get(name, True) for name in schema.get("required", ())]
        least = int(schema.get("minItems", 0))
        parts += schema.get("prefixItems", [])[:least]
        parts += [schema.get("items", True)] if least > len(schema.get("prefixItems", ())) else []
        return 1 + max((self._height(part, above) for part in parts), default=0)


def _nothing(what: str, where: str) -> NoReturn:
    raise NotImplementedError(f"JSON.sample: nothing fits {what} at {where}, so there is no value to draw")


def _kinds(schema: dict[str, Any]) -> list[str] | None:
    """The types that a schema allows, as its `type` or its other keywords say; None for any."""
    kinds = schema.get("type", next((kind for kind, own in _KINDS.items() if own & schema.keys()), None))
    return [kinds] if isinstance(kinds, str) else kinds


def _choice(nodes: list[Node]) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    return lambda draw, room: nodes[draw.below(len(nodes))](draw, room)


def _or_example(node: Node, examples: list[Node]) -> Node:
    """An example each fourth time: never the first choice, which is the smallest."""
    chosen = _choice(examples)
    return lambda draw, room: (chosen if draw.below(4) == 3 else node)(draw, room)


def _copies(value: Any) -> Node:
    """A constant; a list or dict is made anew each time, since the receiver may change it."""
    if isinstance(value, dict | list):
        written = json.dumps(value)
        return lambda draw, room: json.loads(written)
    return lambda draw, room: value


def _distinct(nodes: list[Node], draw: Source, room: int) -> list[Any]:
    """Items of which no two are equal, if a few tries suffice."""
    found: dict[str, Any] = {}
    for node in nodes:
        drawn = (node(draw, room) for _ in range(20))
        value = next((value for value in drawn if _identity(value) not in found), None)
        found[_identity(value)] = value
    return list(found.values())


def _identity(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _of_type(value: Any, schema: dict[str, Any]) -> bool:
    """Whether an enum's value is of the schema's type, as far as Python's own types tell."""
    kinds = schema.get("type", list(_PYTHON))
    return any(type(value) in _PYTHON[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


_PYTHON: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}

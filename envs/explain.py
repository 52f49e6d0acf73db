"""Why a value does not fit a schema, in words that a language model can act on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from .plain import clip, dumps, place, size

MAX_REASON = 300
"""Characters in a reason."""

MAX_EXPLAINED = 2000
"""Values in what is explained; jsonschema-rs collects an error for each of them before it gives the first."""

_NOUNS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


class Explainer:
    """Says why a plain value does not fit a schema: the field, its value, what is allowed."""

    # The verdict's own validator explains: another one (jsonschema) differs on `multipleOf` of floats and on patterns.

    def __init__(self, schema: dict[str, Any], validator: Draft202012Validator) -> None:
        self._schema, self._validator = schema, validator
        self._tag, self._values = _tags(schema.get("anyOf"), schema)
        self._tagged = self._tag is not None and not schema.keys() - {"anyOf", "$defs"}
        self._branches: dict[str, Draft202012Validator] = {}

    def explain(self, value: Any) -> str | None:
        """The reason, or None when the value fits."""
        if (values := size(value)) > MAX_EXPLAINED:
            fits = self._validator.is_valid(value)
            return (
                None if fits else f"the value does not fit the schema; it holds {values} values, too many to say where"
            )
        if self._tagged and isinstance(value, dict):
            reason = _tag_fault((), self._tag, self._values, value)
            return clip(reason, MAX_REASON) if reason else self._told(self._branch(value[self._tag]), value)
        return self._told(self._validator, value)

    def _told(self, validator: Draft202012Validator, value: Any) -> str | None:
        reasons = [_sentence(error, self._schema) for error in islice(validator.iter_errors(value), 3)]
        return clip("; ".join(dict.fromkeys(reasons)), MAX_REASON) if reasons else None

    def _branch(self, tag: str) -> Draft202012Validator:
        """The validator of one branch of a tagged union: six times faster than all branches."""
        if tag not in self._branches:
            branch = {"allOf": [self._schema["anyOf"][self._values.index(tag)]], "$defs": self._schema.get("$defs", {})}
            self._branches[tag] = Draft202012Validator(branch, offline=True)
        return self._branches[tag]


def shown(value: Any) -> str:
    """A plain value in a few characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return dumps(clip(value, 40))
    return clip(dumps(value), 40) if isinstance(value, int | float | None) else "a number"


def _sentence(error: ValidationError, schema: dict[str, Any]) -> str:
    where, kind = place(error.instance_path), error.kind
    match kind:
        case ValidationErrorKind.Required(property=name):
            return f"{place([*error.instance_path, name])} is missing"
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return _unexpected(error, names, schema)
        case ValidationErrorKind.Type(types=types):
            return f"{where} is {shown(error.instance)}; it must be {_or([_NOUNS[name] for name in types])}"
        case ValidationErrorKind.Enum(options=options):
            return f"{where} is {shown(error.instance)}; it must be {_one_of(options)}"
        case ValidationErrorKind.Constant(expected_value=expected):
            return f"{where} is {shown(error.instance)}; it must be {shown(expected)}"
        case ValidationErrorKind.AnyOf(context=context) | ValidationErrorKind.OneOfNotValid(context=context):
            return _none_of(error, context, schema)
    return f"{where}: {clip(error.message, 120)}"


def _unexpected(error: ValidationError, names: list[str], schema: dict[str, Any]) -> str:
    """Unknown fields, and the ones that there are."""
    node = _node(schema, error.schema_path[:-1])
    allowed = ", ".join(node.get("properties", {})) if isinstance(node, dict) else ""
    unknown = _or([place([*error.instance_path, name]) for name in names[:3]])
    return f"{unknown} is not a field here" + (f"; the fields are: {clip(allowed, 120)}" if allowed else "")


def _none_of(error: ValidationError, context: list[list[ValidationError]], schema: dict[str, Any]) -> str:
    """The branch that was meant, by its tag if the branches have one, else by how far the value fits."""
    tag, values = _tags(_node(schema, error.schema_path), schema)
    if tag and isinstance(error.instance, dict):
        reason = _tag_fault(error.instance_path, tag, values, error.instance)
        return reason or _all(context[values.index(str(error.instance[tag]))], schema)
    here = [branch[0].kind for branch in context if branch and branch[0].instance_path == error.instance_path]
    types = [kind.types for kind in here if isinstance(kind, ValidationErrorKind.Type)]
    if len(types) == len(context):
        nouns = dict.fromkeys(_NOUNS[name] for names in types for name in names)
        return f"{place(error.instance_path)} is {shown(error.instance)}; it must be {_or(list(nouns))}"
    return _all(max(context, key=lambda branch: max((len(e.instance_path) for e in branch), default=0)), schema)


def _tag_fault(path: Sequence[Any], tag: Any, values: list[str], instance: dict[str, Any]) -> str | None:
    """What is wrong with the tag of a value of a tagged union, if anything."""
    if tag not in instance:
        return f"{place([*path, tag])} is missing; it must be {_one_of(values)}"
    if instance[tag] not in values:
        return f"{place([*path, tag])} is {shown(instance[tag])}; it must be {_one_of(values)}"
    return None


def _all(errors: list[ValidationError], schema: dict[str, Any]) -> str:
    return "; ".join(_sentence(error, schema) for error in errors[:3])


def _tags(branches: Any, schema: dict[str, Any]) -> tuple[str | None, list[str]]:
    """The property that tells the branches of a union apart, and its value in each."""
    nodes = [_resolve(branch, schema) for branch in branches] if isinstance(branches, list) else []
    shared = [node.get("properties", {}) for node in nodes if isinstance(node, dict)]
    for name in shared[0] if nodes and len(shared) == len(nodes) else ():
        values = [value for properties in shared if (value := _single(properties.get(name))) is not None]
        if len(set(values)) == len(nodes):
            return name, values
    return None, []


def _single(node: Any) -> str | None:
    """The one string that a schema allows, if it is so."""
    options = node.get("enum", [node.get("const")]) if isinstance(node, dict) else []
    return options[0] if len(options) == 1 and isinstance(options[0], str) else None


def _resolve(node: Any, schema: dict[str, Any]) -> Any:
    reference = node.get("$ref") if isinstance(node, dict) else None
    return _node(schema, reference[2:].split("/")) if isinstance(reference, str) and reference[:2] == "#/" else node


def _node(schema: Any, path: list[Any]) -> Any:
    """The part of a schema at a path; None where the path leads elsewhere."""
    node: Any = schema
    for key in path:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _one_of(options: list[Any]) -> str:
    if len(options) == 1:
        return shown(options[0])
    return "one of: " + ", ".join(o if isinstance(o, str) and o.isidentifier() else shown(o) for o in options)


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

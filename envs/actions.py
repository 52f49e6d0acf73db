"""Action types: the one source of the JSON Schema, the prompt text, the OpenAI tools and the decoder."""

from __future__ import annotations

import functools
import inspect
import operator
from typing import Any, ClassVar

import msgspec


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type"):
    """A JSON object with a `type`; every action of every environment is one."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = ()


class Speech(Action, frozen=True):
    """An act of speech: the customer answers it with one act of theirs."""


class Act(Action, frozen=True):
    """An act on the world: it yields one result, and the customer stays silent."""


class ActionSet:
    """The action types of one environment, and everything that is derived from them."""

    def __init__(self, *types: type[Action]) -> None:
        self.types = types
        self.by_name: dict[str, type[Action]] = {str(kind.__struct_config__.tag): kind for kind in types}
        self.names = tuple(self.by_name)
        self.union: Any = functools.reduce(operator.or_, types)
        self.encoder = msgspec.json.Encoder()

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of one action: an `anyOf` with a branch for each type, in the order of `names`."""
        branches, definitions = msgspec.json.schema_components(self.types, ref_template="#/$defs/{name}")
        for kind in self.types:
            definition = definitions[kind.__name__]
            definition["additionalProperties"] = False
            definition["description"] = describe(kind)
            if kind.examples:
                definition["examples"] = list(kind.examples)
        return {"anyOf": list(branches), "$defs": definitions}

    @functools.cached_property
    def decoder(self) -> msgspec.json.Decoder[Action]:
        """The typed decoder of action text."""
        return msgspec.json.Decoder(self.union)

    def tools(self) -> list[dict[str, Any]]:
        """The actions as OpenAI function tools; the function's name is the action's `type`."""
        return [{"type": "function", "function": self._function(name)} for name in self.names]

    def response_format(self) -> dict[str, Any]:
        """The schema as an OpenAI `response_format` (structured outputs want an object at the root)."""
        root: dict[str, Any] = {"type": "object", "properties": {"action": {"anyOf": self.schema["anyOf"]}}}
        root |= {"required": ["action"], "additionalProperties": False, "$defs": self.schema["$defs"]}
        return {"type": "json_schema", "json_schema": {"name": "action", "schema": root}}

    def prompt(self, examples: bool = True) -> str:
        """The actions in words: a line for each type, its fields, and (with `examples`) its examples."""
        return "\n".join(line for kind in self.types for line in self._lines(kind, examples))

    def encode(self, action: Action) -> str:
        """The canonical JSON text of an action."""
        return self.encoder.encode(action).decode()

    def _function(self, name: str) -> dict[str, Any]:
        definition = self.schema["$defs"][self.by_name[name].__name__]
        properties = {key: value for key, value in definition["properties"].items() if key != "type"}
        parameters: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        parameters["required"] = [key for key in definition["required"] if key != "type"]
        parameters["$defs"] = self._referenced(properties)
        if not parameters["$defs"]:
            del parameters["$defs"]
        return {"name": name, "description": definition["description"], "parameters": parameters}

    def _referenced(self, part: Any) -> dict[str, Any]:
        """The definitions that a part of the schema refers to, directly or through others."""
        found: dict[str, Any] = {}
        pending = list(_references(part))
        while pending:
            name = pending.pop()
            if name not in found:
                found[name] = self.schema["$defs"][name]
                pending.extend(_references(found[name]))
        return found

    def _lines(self, kind: type[Action], examples: bool) -> list[str]:
        fields = msgspec.structs.fields(kind)
        names = [field.encode_name if field.required else f"{field.encode_name}?" for field in fields]
        lines = [f"- {kind.__struct_config__.tag}({', '.join(names)}): {describe(kind)}"]
        if examples:
            lines += [f"  e.g. {self.encoder.encode(example).decode()}" for example in kind.examples]
        return lines


def describe(kind: type[Action]) -> str:
    """The docstring of an action type as one line."""
    return " ".join((inspect.getdoc(kind) or "").split())


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"].rsplit("/", 1)[1]] if isinstance(part.get("$ref"), str) else []
        return own + [name for value in part.values() for name in _references(value)]
    return [name for value in part for name in _references(value)] if isinstance(part, list) else []

"""Schemas as a strict server takes them: every field is required, and one that may be left out may be null.

https://platform.openai.com/docs/guides/structured-outputs lists what is taken; our actions have no field that is null
by itself, so a null always stands for a field that is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

NOT_TAKEN = ("default", "examples", "discriminator", "minLength", "maxLength")
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def response_format(given: Mapping[str, Any]) -> dict[str, Any]:
    """A response format, strict."""
    inner = given["json_schema"]
    return {**given, "json_schema": {**inner, "strict": True, "schema": schema(inner["schema"])}}


def tool(given: Mapping[str, Any]) -> dict[str, Any]:
    """A function tool, strict."""
    function = given["function"]
    return {**given, "function": {**function, "strict": True, "parameters": schema(function["parameters"])}}


def schema(given: Any) -> Any:
    """A schema with each of its parts strict."""
    if isinstance(given, list):
        return [schema(item) for item in given]
    if not isinstance(given, Mapping):
        return given
    names = ("properties", "$defs")  # what is below them has names of its own choice
    strict = {
        word: {name: schema(each) for name, each in value.items()} if word in names else schema(value)
        for word, value in given.items()
        if word not in NOT_TAKEN
    }
    if "enum" in strict and "type" not in strict:
        found = {TYPES[type(value)] for value in strict["enum"]}
        strict["type"] = found.pop() if len(found) == 1 else sorted(found)
    if "properties" in strict:
        required = given.get("required", ())
        for name, each in strict["properties"].items():
            if name not in required:
                strict["properties"][name] = {"anyOf": [each, {"type": "null"}]}
        strict |= {"required": [*strict["properties"]], "additionalProperties": False}
    return strict


def without_nulls(text: str) -> str:
    """The text of an action without the fields that are null; what is no JSON object, or too deep, is left as it is."""
    if "null" not in text:
        return text
    try:
        found = json.loads(text)
        return json.dumps(_pruned(found), ensure_ascii=False) if isinstance(found, dict) else text
    except (ValueError, RecursionError):
        return text


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _pruned(item) for name, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value

"""How short and how long a value of a JSON Schema is, when nothing is put into strings and lists that need not be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]

SCALARS = {"string": '""', "integer": "0", "number": "0", "boolean": "true", "null": "null"}
LONGEST_SCALAR = 32
"""More characters than a number takes."""


def shortest(schema: Node) -> str:
    """The shortest JSON text of a value that has what is required, and nothing else."""
    return _shortest(schema, schema)


def longest(schema: Node) -> int:
    """The most characters of a value with every property and one item in each list, but no words in its strings."""
    return _longest(schema, schema)


def _shortest(node: Node, root: Node) -> str:
    if branches := _branches(node, root):
        return min((_shortest(branch, root) for branch in branches), key=len)
    if values := _values(node):
        return min(values, key=len)
    if node.get("type") == "object":
        fields = node.get("properties", {})
        required = (name for name in fields if name in node.get("required", ()))
        return "{" + ",".join(f"{json.dumps(name)}:{_shortest(fields[name], root)}" for name in required) + "}"
    if node.get("type") == "array":
        return f"[{_shortest(node['items'], root)}]" if node.get("minItems") else "[]"
    return str(node["minimum"]) if node.get("minimum") else SCALARS.get(node.get("type", "null"), "null")


def _longest(node: Node, root: Node) -> int:
    if branches := _branches(node, root):
        return max(_longest(branch, root) for branch in branches)
    if values := _values(node):
        return max(map(len, values))
    if node.get("type") == "object":
        fields = node.get("properties", {})
        return 2 + sum(len(json.dumps(name)) + 2 + _longest(value, root) for name, value in fields.items())
    if node.get("type") == "array":
        return 3 + _longest(node.get("items", {}), root)
    return LONGEST_SCALAR if node.get("type") in ("integer", "number") else len(SCALARS["null"]) + 1


def _branches(node: Node, root: Node) -> list[Node]:
    """What a value may be instead: the one thing that is referred to, or one of several."""
    if "$ref" in node:
        found: Any = root
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return [found]
    return [*node.get("anyOf", ()), *node.get("oneOf", ())]


def _values(node: Node) -> list[str]:
    values = node.get("enum", [node["const"]] if "const" in node else [])
    return [json.dumps(value, ensure_ascii=False) for value in values]

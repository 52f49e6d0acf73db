"""The values that a person may mean: what the transcript has shown, found by the names of the fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...envs.actions import ActionSet
from ...envs.memory import Memory
from .form import Node, Offer

_ID = re.compile(r"([A-Za-z]+[-_#]?)\d+")
_GLOSS = ("first_name", "last_name", "name", "status", "kind", "options", "price", "available", "items")
"""The fields of a record that say in a few words what it is."""


class Known:
    """What is known at a turn. It offers no more than a reader of the transcript has read."""

    def __init__(self, actions: ActionSet, memory: Memory, text: str) -> None:
        self._text, self._seen = text, memory.seen
        self._shown = [*_leaves("", memory.seen)]
        self._leaves = [*_leaves("", [memory.person, *memory.requests]), *self._shown]
        self._ids = dict.fromkeys(value for _, value in self._leaves if _is_id(value))
        self._examples = [*_leaves("", [example for kind in actions.types for example in kind.examples])]

    def offers(self, path: str, node: Node, beside: Mapping[str, Any]) -> list[Offer]:
        """The values that may be meant by a field of that path, beside the fields that are given already."""
        field = re.sub(r"\[\d+\]$", "", path).rpartition(".")[2]
        if "properties" in node:
            return self._objects(field, node)
        record = self._seen.get(str(beside.get("about", "")))
        if field == "about":
            return [Offer(name, self._gloss(name)) for name in self._seen if name in self._text]
        if record is not None and field == "field":
            return [Offer(name) for name, value in record.items() if not isinstance(value, dict | list)]
        if record is not None and field == "value" and beside.get("field") in record:
            return [Offer(record[beside["field"]])]
        return [Offer(value, self._gloss(value)) for value in self._values(field)]

    def _values(self, field: str) -> list[str]:
        """Texts that were seen under such a name; for ids, all of the kind, which their first letters tell."""
        if field.endswith(("_id", "_ids")):
            stem = _stem(field)
            found = [value for name, value in self._shown if _stem(name) == stem]
            found += [value for name, value in self._leaves if name.endswith(field)]
            kinds = {_letters(value) for value in found if _is_id(value)}
            kinds |= {_letters(value) for name, value in self._examples if _stem(name) == stem and _is_id(value)}
            found += [name for name in self._ids if _letters(name) in kinds]
        else:
            found = [value for name, value in self._leaves if name == field or name.endswith(f"_{field}")]
        texts = dict.fromkeys(value for value in found if isinstance(value, str) and value)
        return sorted((value for value in texts if value in self._text), key=self._text.find)

    def _objects(self, field: str, node: Node) -> list[Offer]:
        """Objects with such a name that fit."""
        fields, required = {*node["properties"]}, {*node.get("required", ())}
        found: list[Offer] = []
        for name, value in self._leaves:
            if (
                name == field
                and isinstance(value, dict)
                and required <= {*value} <= fields
                and Offer(value) not in found
            ):
                found.append(Offer(value))
        return found

    def _gloss(self, name: str) -> str:
        """What an id stands for, in a few words."""
        under = [value for key, value in self._shown if key == name and isinstance(value, dict)]
        within = [value for _, value in self._shown if isinstance(value, dict) and value.get("item") == name]
        record = next(iter([*under, *within]), {})
        return ", ".join(word for key in _GLOSS if key in record for word in _words(key, record[key]))


def _words(key: str, value: Any) -> list[str]:
    """A field of a record in a few words."""
    if key == "available":
        return [] if value else ["not available"]
    if key == "items":
        return [str(item["name"]) for item in value if isinstance(item, dict) and "name" in item]
    return [str(part) for part in (value.values() if isinstance(value, dict) else [value])]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each value in a value with the name that it stands under; the keys of records are values too."""
    if isinstance(value, dict):
        yield name, value
        for key, item in value.items():
            if isinstance(item, dict):  # a record under its id
                yield name, key
            yield from _leaves(key, item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(name, item)
    elif isinstance(value, str):
        yield name, value


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _letters(value: Any) -> str:
    found = _ID.fullmatch(value)
    return found[1] if found else ""


def _stem(name: str) -> str:
    """What a field is about: `new_item_ids` and `items` are about an item."""
    return re.sub(r"(_ids?|s)$", "", name.removeprefix("new_"))

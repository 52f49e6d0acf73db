"""An action asked for field by field, as its schema has it; who answers, and how, is for the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...envs.actions import ActionSet
from ...envs.spaces import JSON

Node = Mapping[str, Any]
"""A part of a schema, its reference followed."""


class Offer(NamedTuple):
    """A value that is known and may be meant; `gloss` says what it is."""

    value: Any
    gloss: str = ""

    @property
    def text(self) -> str:
        """The value in a line."""
        if isinstance(self.value, dict):
            return ", ".join(str(part) for part in self.value.values() if part not in ("", None))
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


class Question(NamedTuple):
    """What is asked for: one value of an action."""

    path: str
    """Where it stands: `order_id`, `address.street`, `claims[0].about`."""
    kind: str
    """What it is: `text`, `a whole number`."""
    offers: tuple[Offer, ...] = ()
    closed: bool = False
    """Nothing but the offers will do."""
    numbered: bool = True
    """An offer may be chosen by its number; not where the value may be a number itself."""
    blank: str | None = None
    """What it means to answer with nothing; `None`: something must be answered."""
    optional: bool = False
    last: bool = False
    """It is a text, and nothing is asked after it."""
    about: str = ""
    wrong: str = ""
    """Why the last answer would not do."""

    @property
    def name(self) -> str:
        """The name of the field."""
        return self.path.rpartition(".")[2]


Ask = Callable[[Question], str]
Offers = Callable[[str, Node, Mapping[str, Any]], Sequence[Offer]]
"""(path, schema, the fields beside it so far) -> the values that may be meant."""

LEFT_OUT = object()
NOUNS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
LIST = "a list, parted by commas"
YES_OR_NO = "yes or no"
_PART = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]+)\s*,?')


class Form:
    """Asks for the fields of an action, one by one; `insisted`: a `!` gave a value that the schema need not allow."""

    def __init__(self, actions: ActionSet, ask: Ask, offers: Offers) -> None:
        self.insisted = False
        self._actions, self._ask, self._offers = actions, ask, offers
        self._definitions: Mapping[str, Any] = actions.schema["$defs"]

    def fill(self, name: str) -> dict[str, Any]:
        """The action of a name, as JSON."""
        return self._fields(self._definitions[self._actions.by_name[name].__name__], "")

    def _fields(self, node: Node, path: str) -> dict[str, Any]:
        value: dict[str, Any] = {}
        properties, required = node.get("properties", {}), node.get("required", ())
        for name, part in properties.items():
            part = self._followed(part)
            only = part.get("enum", ())
            if name in required and len(only) == 1:  # the tag
                value[name] = only[0]
                continue
            place = f"{path}.{name}" if path else name
            last = not path and name == [*properties][-1] and part.get("type") == "string" and not only
            last = last and not name.endswith("_id")  # several words are no id
            given = self._value(part, place, name not in required, value, last)
            if given is not LEFT_OUT:
                value[name] = given
        return value

    def _value(self, node: Node, path: str, optional: bool, beside: Mapping[str, Any], last: bool = False) -> Any:
        branches = [self._followed(branch) for branch in node.get("anyOf", ())]
        if branches and all("properties" in branch for branch in branches):
            return self._choice(branches, path, optional)
        offers = self._fitting(node, path, beside)
        if "properties" in node:
            return self._object(node, path, optional, offers)
        if node.get("type") == "array":
            return self._list(node, path, optional, beside)
        return self._leaf(node, self._question(node, path, optional, offers, last))

    def _fitting(self, node: Node, path: str, beside: Mapping[str, Any]) -> tuple[Offer, ...]:
        """The values that may be meant, and that the schema allows."""
        return tuple(offer for offer in self._offers(path, node, beside) if not self._why_not(node, offer.value))

    def _question(self, node: Node, path: str, optional: bool, offers: tuple[Offer, ...], last: bool) -> Question:
        types = _types(node)
        kind = " or ".join(NOUNS.get(name, "JSON") for name in types) or "JSON"
        if "enum" in node:
            offers = tuple(map(Offer, node["enum"]))
        blank = "leave out" if optional else offers[0].text if len(offers) == 1 else None
        closed, numbered = "enum" in node, "enum" in node or types == ["string"]
        return Question(path, kind, offers, closed, numbered, blank, optional, last, str(node.get("description", "")))

    def _leaf(self, node: Node, question: Question) -> Any:
        while True:
            text = self._ask(question).strip()
            if text.startswith("!"):
                return self._insist(text)
            if not text and question.optional:
                return LEFT_OUT
            if not text and question.blank is not None:
                return question.offers[0].value
            wrong = 'it must be given ("" is the empty text)'
            if text:
                value = self._read(text, node, question)
                wrong = self._why_not(node, value)
            if not wrong:
                return value
            question = question._replace(wrong=wrong)

    def _read(self, text: str, node: Node, question: Question) -> Any:
        """What is meant by a text: an offer by its number or its beginning, else the text, or what it is as JSON."""
        chosen = _chosen(text, question)
        if chosen is not None:
            return chosen.value
        if text.startswith('"') or _types(node) != ["string"]:
            try:
                return json.loads(text.lower() if text.lower() in ("true", "false") else text)
            except (ValueError, RecursionError):
                pass
        return text

    def _list(self, node: Node, path: str, optional: bool, beside: Mapping[str, Any]) -> Any:
        items = self._followed(node.get("items", {}))
        if "properties" in items or "anyOf" in items:
            return self._objects(items, path, optional, beside)
        offers = self._fitting(items, path, beside)
        question = self._question(items, path, optional, offers, last=False)._replace(kind=LIST)
        while True:
            text = self._ask(question).strip()
            if text.startswith("!"):
                return self._insist(text)
            if not text and question.blank is not None:
                return LEFT_OUT if optional else [offers[0].value]
            wrong = "it must be given ([] is the empty list)"
            if text:
                value = self._items(text, items, question)
                wrong = self._why_not(node, value)
            if not wrong:
                return value
            question = question._replace(wrong=wrong)

    def _items(self, text: str, node: Node, question: Question) -> Any:
        if text.startswith("["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        return [self._read(part.strip(), node, question) for part in _PART.findall(text)]

    def _objects(self, node: Node, path: str, optional: bool, beside: Mapping[str, Any]) -> Any:
        if optional and not self._yes(path, "give any?"):
            return LEFT_OUT
        found = [self._value(node, f"{path}[0]", False, beside)]
        while self._yes(path, "another one?"):
            found.append(self._value(node, f"{path}[{len(found)}]", False, beside))
        return found

    def _yes(self, path: str, about: str) -> bool:
        answers = (Offer("yes"), Offer("no"))
        question = Question(path, YES_OR_NO, answers, True, False, "no", optional=True, about=about)
        while True:
            text = self._ask(question).strip().lower()
            if "no".startswith(text) or text == "yes"[: len(text)]:
                return text != "" and "yes".startswith(text)
            question = question._replace(wrong="it must be yes or no")

    def _choice(self, branches: Sequence[Node], path: str, optional: bool) -> Any:
        """An object of one of several kinds, told apart by their tags."""
        tags = [_tag(branch) for branch in branches]
        offers = tuple(
            Offer(tag, str(branch.get("description", ""))) for tag, branch in zip(tags, branches, strict=True)
        )
        blank = "leave out" if optional else None
        question = Question(path, "an object", offers, True, blank=blank, optional=optional)
        chosen = self._leaf({"enum": tags}, question)
        return self._fields(branches[tags.index(chosen)], path) if chosen in tags else chosen

    def _object(self, node: Node, path: str, optional: bool, offers: tuple[Offer, ...]) -> Any:
        """An object: one that is known, or its fields one by one."""
        if not offers:
            return LEFT_OUT if optional and not self._yes(path, "give it?") else self._fields(node, path)
        blank = "leave out" if optional else "ask for its fields"
        question = Question(path, "an object", offers, blank=blank, optional=optional, about=_fields_of(node))
        while True:
            text = self._ask(question).strip()
            if text.startswith("!"):
                return self._insist(text)
            if not text:
                return LEFT_OUT if optional else self._fields(node, path)
            value = self._read(text, {}, question)
            wrong = self._why_not(node, value)
            if not wrong:
                return value
            question = question._replace(wrong=wrong)

    def _insist(self, text: str) -> Any:
        self.insisted = True
        try:
            return json.loads(text[1:])
        except (ValueError, RecursionError):
            return text[1:].strip()

    def _why_not(self, node: Node, value: Any) -> str:
        return JSON({**node, "$defs": self._definitions}).explain(value) or ""

    def _followed(self, node: Node) -> Node:
        reference = node.get("$ref")
        return self._definitions[reference.rpartition("/")[2]] if isinstance(reference, str) else node


def _chosen(text: str, question: Question) -> Offer | None:
    """The offer that a text names, by its number, or in full, or where only offers will do by its beginning."""
    offers = question.offers
    exact = [offer for offer in offers if offer.text == text]
    if not exact and question.numbered and text.isdecimal() and text.isascii() and 0 < int(text) <= len(offers):
        return offers[int(text) - 1]
    near = [offer for offer in offers if offer.text.lower().startswith(text.lower())] if question.closed else []
    return exact[0] if exact else near[0] if len(near) == 1 else None


def _types(node: Node) -> list[str]:
    """The JSON types that a schema of a single value allows."""
    if "anyOf" in node:
        return [name for branch in node["anyOf"] for name in _types(branch)]
    kind = node.get("type", ["string"] if all(isinstance(option, str) for option in node.get("enum", (0,))) else [])
    return [kind] if isinstance(kind, str) else list(kind)


def _tag(node: Node) -> str:
    properties = node.get("properties", {})
    return next((str(part["enum"][0]) for part in properties.values() if len(part.get("enum", ())) == 1), "")


def _fields_of(node: Node) -> str:
    return ", ".join(node["properties"])

"""Action text, dict or Struct -> the action, or the reason why it is none. Total: nothing here raises or executes."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

from .actions import Action, ActionSet
from .explain import MAX_REASON, shown
from .plain import clip, dumps, is_plain, is_text, type_name, why_not_plain
from .spaces import JSON

MAX_TEXT = 1_000_000
"""Characters of an action text."""

_CANDIDATE = re.compile(r'\{(?=[ \t\r\n]*["}])')
"""The start of a JSON object; any other brace is prose."""

_FAILURES = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""What msgspec's encoder and decoder raise for values and texts that are no action."""


class Malformed(msgspec.Struct, frozen=True):
    """An input that is no action, and why, in words that a language model can act on."""

    reason: str


class Parser:
    """Reads the actions of one set; where msgspec's decoder and the JSON Schema disagree, the schema decides."""

    def __init__(self, actions: ActionSet) -> None:
        self.actions = actions
        self.space = JSON(actions.schema)
        self._types = frozenset(actions.types)
        self._decode = actions.decoder.decode

    def read(self, raw: Any) -> tuple[Action | Malformed, str]:
        """What `parse` gives, and what was emitted, as text (see `transcribe`)."""
        if raw.__class__ is str:
            return self.parse(raw), raw if raw.isascii() else transcribe(self.actions, raw)
        if raw.__class__ in self._types:
            try:
                text = self.actions.encode(raw)
                return self._decode(text), text
            except _FAILURES:
                pass  # to be explained
        return self.parse(raw), transcribe(self.actions, raw)

    def parse(self, raw: Any) -> Action | Malformed:
        """The action that a text, a dict or a Struct stands for, or why it stands for none."""
        if type(raw) is str and len(raw) <= MAX_TEXT:
            try:
                return self._decode(raw)
            except _FAILURES:
                return self._from_text(raw)
        return self._from_object(raw)

    def _from_object(self, raw: Any) -> Action | Malformed:
        if type(raw) is dict:
            return self._from_dict(raw)
        if type(raw) in self._types:
            return self._from_struct(raw)
        if isinstance(raw, str):  # a string of a subclass, or one that is too long
            text = str.__str__(raw)
            return self.parse(text) if len(text) <= MAX_TEXT else _too_long(text)
        return _malformed(f"an action is a JSON object or its text, not {_noun(raw)}")

    def _from_text(self, text: str) -> Action | Malformed:
        answer = object_in(text)
        if isinstance(answer, Malformed):
            return answer
        inner = answer.get("action")
        # The envelope that `response_format()` asks for: structured outputs want an object at the root.
        return self._from_dict(inner if len(answer) == 1 and isinstance(inner, dict) else answer)

    def _from_dict(self, value: dict[str, Any]) -> Action | Malformed:
        if not self.space.contains(value):
            return Malformed(self.space.explain(value) or "")
        try:
            return self._decode(dumps(value))
        except _FAILURES:
            return self._with_integers(value)

    def _with_integers(self, value: dict[str, Any]) -> Action | Malformed:
        """1.0 is an integer for JSON Schema, and not for msgspec."""
        try:
            return self._decode(dumps(_integral(value)))
        except _FAILURES as error:
            return _malformed(str(error))

    def _from_struct(self, raw: Action) -> Action | Malformed:
        """A Struct checks nothing when it is built, so its fields are checked here."""
        try:
            return self._checked(raw)
        except _FAILURES as error:
            return _malformed(f"{type(raw).__name__}: {error}")

    def _checked(self, raw: Action) -> Action:
        """The Struct itself; an equal one where its fields only encode to what they should be (a list for a tuple)."""
        decoded = self._decode(_encode(self.actions, raw))
        return raw if decoded == raw else decoded


def transcribe(actions: ActionSet, raw: Any) -> str:
    """What an agent emitted, as text: its very text, the JSON of a dict or Struct, else a short description."""
    if isinstance(raw, str):
        text = str.__str__(raw)
        return text if is_text(text) else text.encode("utf-8", "backslashreplace").decode()
    if type(raw) in actions.types:
        try:
            return _encode(actions, raw)
        except _FAILURES:
            return f"<{type_name(raw)} with fields that are not JSON>"
    if type(raw) is dict:
        return dumps(raw) if is_plain(raw) else f"<{clip(why_not_plain(raw), MAX_REASON)}>"
    return f"<{_noun(raw)}>"


def _encode(actions: ActionSet, raw: Action) -> str:
    try:
        return actions.encode(raw)
    except OverflowError:  # an integer of more than 64 bits
        return dumps(msgspec.to_builtins(raw))


def object_in(text: str) -> dict[str, Any] | Malformed:
    """The only JSON object in a text."""
    text = text.strip().lstrip("\ufeff")
    if text.startswith("<think>"):
        _, closing, text = text.partition("</think>")
        if not closing:
            return Malformed("the <think> block is never closed, so there is no answer after it")
    whole = _whole(text)
    return whole if whole is not None else _only_object(text)


def _whole(text: str) -> Malformed | None:
    """A text that is JSON, but no object."""
    try:
        value = _decoder.decode(text)
    except (ValueError, RecursionError):
        return None
    return None if type(value) is dict else Malformed(f"an action is a JSON object, not {shown(value)}")


def _only_object(text: str) -> dict[str, Any] | Malformed:
    """Each start of an object must parse to its end, and there must be one: in a broken one, nothing is picked out."""
    first = _CANDIDATE.search(text)
    if first is None:
        return Malformed('there is no JSON object in the text; answer with one, such as {"type": ...}')
    if text.count("{", 0, first.start()) > text.count("}", 0, first.start()):
        return Malformed("the JSON object lies inside other braces; answer with one JSON object alone")
    try:
        value, end = _decoder.raw_decode(text, first.start())
    except RecursionError:
        return Malformed("the JSON object is nested too deeply")
    except ValueError as error:
        return _malformed(f"the JSON object is broken: {error}")
    if _CANDIDATE.search(text, end):
        return Malformed("there is more than one JSON object in the text; answer with exactly one")
    found: dict[str, Any] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decoder = json.JSONDecoder(parse_constant=_no_constant)


def _integral(value: Any) -> Any:
    """A plain value with each float of integral value as an integer."""
    if type(value) is dict:
        return {key: _integral(item) for key, item in value.items()}
    if type(value) is list:
        return [_integral(item) for item in value]
    return int(value) if type(value) is float and value.is_integer() else value


def _too_long(text: str) -> Malformed:
    return Malformed(f"the text has {len(text)} characters; at most {MAX_TEXT} are read")


def _malformed(reason: str) -> Malformed:
    return Malformed(clip(reason, MAX_REASON))


def _noun(raw: Any) -> str:
    return shown(raw) if type(raw) in _JSON_TYPES and is_plain(raw) else f"a Python {type_name(raw)}"


_JSON_TYPES = (type(None), bool, int, float, list)

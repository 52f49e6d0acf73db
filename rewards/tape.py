"""The file of a cassette: JSON lines that can be read in a diff.

A line holds a request and its answer: of the messages those that came since the line before of the same conversation,
and for what is long and comes again (the system message, the tools) the digest of a line that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from .messages import Reply, Request

LONG = 400
"""Characters from which on a value has a line of its own."""
PART = "$part"


class Key(NamedTuple):
    """What an answer is found by: the conversation, the request, and how often it came before in it."""

    tag: str
    digest: str
    number: int


class Entry(NamedTuple):
    """An answer, and all that was asked."""

    key: Key
    asked: Request
    reply: Reply


class Part(msgspec.Struct, tag="part", tag_field="kind", forbid_unknown_fields=True):
    """A value that requests have in common."""

    digest: str
    value: Any


class Note(msgspec.Struct, tag="note", tag_field="kind", forbid_unknown_fields=True):
    """Something that was found out about the server."""

    name: str
    value: str


class Line(msgspec.Struct, tag="answer", tag_field="kind", omit_defaults=True, forbid_unknown_fields=True):
    """A request and its answer."""

    tag: str
    model: str
    reply: Reply
    messages: list[dict[str, Any]]
    kept: int = 0
    """How many messages come first: those of the line before of the same conversation."""
    tools: Any = None
    response_format: Any = None
    settings: dict[str, Any] = {}
    number: int = 0


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[Part | Note | Line] = msgspec.json.Decoder(Part | Note | Line)


def digest_of(value: Any) -> str:
    """A short name for a value."""
    return blake2b(_encoder.encode(value), digest_size=12).hexdigest()


class Writer:
    """Turns entries into lines, given those it has turned before."""

    def __init__(self) -> None:
        self._parts: set[str] = set()
        self._last: dict[str, list[dict[str, Any]]] = {}

    def note(self, name: str, value: str) -> bytes:
        """The line of a note."""
        return _encoder.encode(Note(name, value)) + b"\n"

    def entry(self, entry: Entry) -> bytes:
        """The lines of an entry."""
        (tag, _, number), asked, reply = entry
        last = self._last.get(tag, [])
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(last, asked.messages, strict=False)))
        self._last[tag] = asked.messages
        parts: list[Part] = []
        line = Line(
            tag=tag,
            model=asked.model,
            reply=reply,
            kept=kept,
            messages=[
                {name: self._short(value, parts) for name, value in message.items()}
                for message in asked.messages[kept:]
            ],
            tools=self._short(asked.tools, parts) if asked.tools else None,
            response_format=self._short(asked.response_format, parts),
            settings=asked.settings,
            number=number,
        )
        return b"".join(_encoder.encode(each) + b"\n" for each in (*parts, line))

    def _short(self, value: Any, parts: list[Part]) -> Any:
        if not isinstance(value, str | list | dict) or len(_encoder.encode(value)) < LONG:
            return value
        digest = digest_of(value)
        if digest not in self._parts:
            self._parts.add(digest)
            parts.append(Part(digest, value))
        return {PART: digest}


def read(lines: Iterable[bytes]) -> Iterator[Entry | Note]:
    """What the lines of a file hold; a broken one is a ValueError that tells its number."""
    parts: dict[str, Any] = {}
    last: dict[str, list[dict[str, Any]]] = {}
    for number, text in enumerate(lines, 1):
        try:
            line = _decoder.decode(text)
            if isinstance(line, Part):
                parts[line.digest] = line.value
            elif isinstance(line, Note):
                yield line
            else:
                asked = last_asked(line, parts, last)
                yield Entry(Key(line.tag, digest_of(asked), line.number), asked, line.reply)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            raise ValueError(f"line {number} is broken: {error}") from None


def last_asked(line: Line, parts: Mapping[str, Any], last: dict[str, list[dict[str, Any]]]) -> Request:
    """The whole request of a line; it is kept as the last of its conversation."""
    new = [{name: _long(value, parts) for name, value in message.items()} for message in line.messages]
    messages = [*last.get(line.tag, [])[: line.kept], *new]
    last[line.tag] = messages
    tools, wanted = _long(line.tools, parts), _long(line.response_format, parts)
    return Request(line.model, messages, tools or [], wanted, line.settings)


def _long(value: Any, parts: Mapping[str, Any]) -> Any:
    return parts[value[PART]] if isinstance(value, dict) and PART in value else value

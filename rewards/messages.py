"""What a hosted model is asked, and what it answers; plain values, so that they can be recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Message = Mapping[str, Any]


class Call(msgspec.Struct, frozen=True):
    """A tool call; the arguments are the text that the model wrote, JSON or not."""

    name: str
    arguments: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model answered, whatever it is: only a server can fail, a model's odd answer is an answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: str = ""
    """Why it ended: `stop`, `tool_calls`, `length`, `content_filter`, as the server names it."""
    refusal: str = ""
    """The words in which the model, or the filter that stands before it, declined."""
    model: str = ""
    """The model that the server says has answered."""


class Request(msgspec.Struct):
    """All that an answer depends on."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    response_format: dict[str, Any] | None = None
    settings: dict[str, Any] = {}
    """The seed, the temperature and the like, where they were given."""


def request(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] = (),
    response_format: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Request:
    """A request of plain JSON; half a character becomes its escape, since no server could be sent it."""
    given = encodable(settings or {})
    return Request(model, encodable(list(messages)), encodable(list(tools)), encodable(response_format), given)


def encodable(value: Any) -> Any:
    """A plain value whose texts are all Unicode: a lone surrogate is written as its escape."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list | tuple) else value


def written(value: Any) -> str:
    """What stands where a text is due, as a text that can be written: nothing is the empty one."""
    if value is None:
        return ""
    return str(encodable(value if isinstance(value, str) else json.dumps(value)))

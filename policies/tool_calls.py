"""Actions as the calls of tools, and a transcript as a model that calls tools has had it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..rewards.messages import Call

SAID = "(said to the customer)"
"""What an act of speech yields, as a tool's result: the customer's answer is a message of theirs."""


def text_of(calls: Sequence[Call]) -> str:
    """The actions that calls stand for, as text; of several, neither will be played."""
    return "\n".join(json.dumps(_action(call), ensure_ascii=False) for call in calls)


def _action(call: Call) -> dict[str, Any]:
    """An action; where the arguments are no object, or tell another type, one that is malformed."""
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.get("type", call.name) != call.name:
        return {"type": call.name, "arguments": call.arguments}
    return {"type": call.name, **given}


def messages(transcript: Sequence[Mapping[str, str]], names: Collection[str]) -> list[dict[str, Any]]:
    """The transcript with each action as a call, and what came of it as the call's result."""
    found: list[dict[str, Any]] = []
    called = name = ""
    for number, message in enumerate(transcript):
        if message["role"] == "assistant":
            call = _call(message["content"], names)
            called = f"call{number:05}" if call else ""  # nine letters and digits: some servers take no others
            name = call.name if call else ""
            found.append(_calling(called, call) if call else dict(message))
        elif called:
            found += _result(called, name, message["content"])
            called = ""
        else:
            found.append(dict(message))
    return found


def _call(text: str, names: Collection[str]) -> Call | None:
    """The call that an action's text stands for."""
    try:
        action = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(action, dict) and len(action) == 1 and isinstance(action.get("action"), dict):
        action = action["action"]
    if not isinstance(action, dict) or not isinstance(action.get("type"), str) or action["type"] not in names:
        return None
    given = {name: value for name, value in action.items() if name != "type"}
    return Call(action["type"], json.dumps(given, ensure_ascii=False))


def _calling(number: str, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": number, "type": "function", "function": function}],
    }


def _result(number: str, name: str, content: str) -> Iterator[dict[str, Any]]:
    """What the desk says as the result, and the customer's words as theirs.

    The desk's lines begin with a bracket, and the customer speaks after them, at most before the end is told. To what
    the desk has shown, refused or not understood nobody says a word: all of it is the result, whatever its lines are.
    """
    lines = content.split("\n")
    end = [lines.pop()] if lines[-1].startswith("[end] ") else []
    shown = any(line.startswith((f"[{name}] ", f"[{name} refused] ", "[malformed] ")) for line in lines)
    own = len(lines) if shown else max((n for n, line in enumerate(lines, 1) if line.startswith("[")), default=0)
    desk, words = lines[:own] + end, lines[own:]
    yield {"role": "tool", "tool_call_id": number, "content": "\n".join(desk) or SAID}
    if any(words):
        yield {"role": "user", "content": "\n".join(words)}

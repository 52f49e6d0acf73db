"""A server that answers as it should, in the style in which it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .base import Asked, Handler, Respond


def completion(text: str | None = "hello", finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [choice], "usage": usage}


def call(name: str, arguments: Any) -> dict[str, Any]:
    """A tool call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}


def claude(*content: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    """A message of Anthropic's."""
    usage = {"input_tokens": 7, "cache_creation_input_tokens": None, "cache_read_input_tokens": 4, "output_tokens": 3}
    head = {"id": "m1", "type": "message", "role": "assistant", "model": "c-1", "stop_sequence": None}
    return {**head, "content": list(content), "stop_reason": stop, "usage": usage}


def say(text: str) -> Respond:
    """Always the same words."""
    return lambda asked, handler: handler.answer(completion(text))


def styled(asked: Asked, action: dict[str, Any]) -> dict[str, Any]:
    """An action in the style in which it is asked for."""
    body = asked.body
    function = {"name": action["type"], "arguments": {k: v for k, v in action.items() if k != "type"}}
    if asked.path.endswith("/messages"):
        if not body.get("tools"):
            return claude({"type": "text", "text": json.dumps(action)})
        if body["tool_choice"]["type"] == "any":
            return claude(_use(function["name"], function["arguments"]), stop="tool_use")
        return claude(_use(body["tool_choice"]["name"], {"action": action}), stop="tool_use")
    if body.get("tools"):
        return completion(None, "tool_calls", tool_calls=[call(**function)])
    return completion(json.dumps({"action": action} if body.get("response_format") else action))


def _use(name: str, given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t1", "name": name, "input": given}


def by_heart(conversations: Iterable[tuple[list[dict[str, str]], list[dict[str, Any]]]]) -> Respond:
    """Knows whole conversations: by what the customer said first, and by how often it was asked since."""
    known: dict[str, list[dict[str, Any]]] = {}
    for messages, actions in conversations:
        opening = next(message["content"] for message in messages if message["role"] == "user")
        assert opening not in known
        known[opening] = actions

    def respond(asked: Asked, handler: Handler) -> None:
        messages = asked.body["messages"]
        opening = next(message["content"] for message in messages if message["role"] == "user")
        words = opening if isinstance(opening, str) else opening[0]["text"]
        turn = sum(message["role"] == "assistant" for message in messages)
        handler.answer(styled(asked, known[words][turn]))

    return respond


def without(respond: Respond, *features: str, status: int = 400) -> Respond:
    """The same, on a server that does not support what some parameters ask for."""

    def narrow(asked: Asked, handler: Handler) -> None:
        for feature in features:
            if feature in asked.body:
                told = f"Invalid parameter: '{feature}' is not supported with this model."
                handler.answer({"error": {"message": told, "param": feature}}, status)
                return
        respond(asked, handler)

    return narrow


def in_turn(*responses: Callable[[Asked, Handler], None]) -> Respond:
    """One response after the other; the last one from then on."""
    return lambda asked, handler: responses[min(asked.number, len(responses) - 1)](asked, handler)


def together(respond: Respond, count: int) -> Respond:
    """The same, but the first so many requests are answered only once all of them have come."""
    gate = threading.Barrier(count)

    def wait(asked: Asked, handler: Handler) -> None:
        if asked.number < count:
            gate.wait(10)
        respond(asked, handler)

    return wait

"""Servers that do what they should not. What is no answer must give the typed error, what is one must be played."""

from __future__ import annotations

import json
import time
from typing import Any

from .base import Asked, Handler, Respond
from .ordinary import completion

KEY = "sk-test-0123456789abcdef-secret"
HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


def status(code: int, body: Any = None, content_type: str = "application/json", **headers: str) -> Respond:
    """Always that status; the body sends the key back, as some proxies do."""
    told = {"error": {"message": f"something is wrong with Bearer {KEY}", "code": None}} if body is None else body
    return lambda asked, handler: handler.answer(told, code, content_type, **headers)


def body(data: Any, content_type: str = "application/json") -> Respond:
    """Always that body."""
    return lambda asked, handler: handler.answer(data, content_type=content_type)


def silent(asked: Asked, handler: Handler) -> None:
    """Never answers."""
    handler.server.closing.wait(60)
    handler.hang_up()


def resets(asked: Asked, handler: Handler) -> None:
    """Resets the connection."""
    handler.hang_up()


def hangs_up(asked: Asked, handler: Handler) -> None:
    """Ends the connection without a word."""
    handler.hang_up(politely=True)


def half(asked: Asked, handler: Handler) -> None:
    """Promises more than it sends."""
    data = json.dumps(completion("hello")).encode()
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.hang_up(politely=True)


def drips(asked: Asked, handler: Handler) -> None:
    """Sends a byte now and then: each comes in time, and the whole never does."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "100000")
    handler.end_headers()
    try:
        while not handler.server.closing.is_set():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        pass


def no_http(asked: Asked, handler: Handler) -> None:
    """Speaks something else."""
    handler.wfile.write(b"\x00\xff\xfe SSH-2.0-OpenSSH_9.6\r\n\r\n")
    handler.wfile.flush()
    handler.hang_up(politely=True)


def endless(asked: Asked, handler: Handler) -> None:
    """Answers with ten megabytes, without saying so before."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.end_headers()
    handler.close_connection = True
    try:
        for _ in range(10):
            handler.wfile.write(b"x" * 1_000_000)
    except OSError:
        pass


def bomb(asked: Asked, handler: Handler) -> None:
    """Answers with little that unpacks to a lot."""
    import gzip

    handler.answer(gzip.compress(b" " * 50_000_000), content_encoding="gzip")


def loops(asked: Asked, handler: Handler) -> None:
    """Sends the client to itself."""
    handler.answer(b"", 307, location=asked.path)


def changed(**fields: Any) -> bytes:
    """A completion with some fields of another kind."""
    return json.dumps({**completion("hello"), **fields}).encode()


def message(**fields: Any) -> bytes:
    """A completion whose message has some fields of another kind."""
    whole = completion("hello")
    whole["choices"][0]["message"] |= fields
    return json.dumps(whole).encode()


FAILURES: dict[str, Respond] = {
    "silent": silent,
    "drips": drips,
    "resets": resets,
    "hangs up": hangs_up,
    "half an answer": half,
    "no HTTP": no_http,
    "400": status(400),
    "401": status(401),
    "402": status(402),
    "403": status(403),
    "404": status(404),
    "409": status(409),
    "413": status(413),
    "418": status(418),
    "422": status(422),
    "429": status(429),
    "429, to come again": status(429, retry_after="1"),
    "429, to come again in a year": status(429, retry_after="31536000"),
    "500": status(500),
    "500 in HTML": status(500, HTML, "text/html"),
    "500 in no JSON": status(500, b"{", "application/json"),
    "500 as a list": status(500, [1, 2]),
    "500 as null": status(500, b"null"),
    "500 in a charset of its own": status(500, b"\xff\xfe", "text/plain; charset=klingon"),
    "503 without a body": status(503, b""),
    "529": status(529),
    "redirects to itself": loops,
    "204": status(204, b""),
    "HTML": body(HTML, "text/html"),
    "HTML that is called JSON": body(HTML),
    "an empty body": body(b""),
    "JSON cut short": body(changed()[:-40]),
    "null": body(b"null"),
    "a list": body(b"[]"),
    "a number": body(b"1"),
    "a long number": body(b"1" * 5000),
    "deeply nested": body(b"[" * 200_000),
    "an error with status 200": body({"error": {"message": "overloaded", "code": 502}}),
    "choices are null": body(changed(choices=None)),
    "choices are missing": body({"id": "x"}),
    "choices are empty": body(changed(choices=[])),
    "choices are text": body(changed(choices="hello")),
    "a choice is null": body(changed(choices=[None])),
    "a choice without a message": body(changed(choices=[{"index": 0}])),
    "a message of null": body(changed(choices=[{"message": None}])),
    "content is a number": body(message(content=1)),
    "content is an object": body(message(content={"a": 1})),
    "tool calls are text": body(message(tool_calls="get_order")),
    "a tool call of nothing": body(message(tool_calls=[{"type": "custom"}])),
    "a tool call without a name": body(message(tool_calls=[{"function": {"arguments": "{}"}}])),
    "not UTF-8": body(b'{"choices": "\xff\xfe\x80"}'),
    "ten megabytes": endless,
    "a bomb": bomb,
    "a broken archive": lambda asked, handler: handler.answer(b"not gzip", content_encoding="gzip"),
}
"""What a server may do instead of answering."""

CHOICE = completion("hello")["choices"][0]
ODD = "a\u0000b\ud800c\u202e\ufeff\U0001f9ff"
ANSWERS: dict[str, tuple[Respond, dict[str, Any]]] = {
    "plain": (body(completion("hello")), {"text": "hello", "finish": "stop", "tokens_in": 11, "tokens_out": 3}),
    "a refusal": (body(message(content=None, refusal="No.")), {"text": "", "refusal": "No."}),
    "nothing at all": (body(message(content=None)), {"text": ""}),
    "the empty text": (body(completion("")), {"text": ""}),
    "no content, no calls": (body(changed(choices=[{"message": {}}])), {"text": "", "finish": ""}),
    "cut for length": (body(completion('{"type":', "length")), {"text": '{"type":', "finish": "length"}),
    "filtered": (body(completion("", "content_filter")), {"finish": "content_filter"}),
    "filtered before": (
        status(400, {"error": {"code": "content_filter", "message": "The prompt was filtered."}}),
        {"text": "", "finish": "content_filter", "refusal": "The prompt was filtered.; content_filter"},
    ),
    "odd characters": (body(completion(ODD)), {"text": ODD.replace("\ud800", "\\ud800")}),
    "usage of null": (body(changed(usage=None)), {"text": "hello", "tokens_in": None, "tokens_out": None}),
    "usage of words": (body(changed(usage={"prompt_tokens": "many", "completion_tokens": -1})), {"tokens_in": None}),
    "usage is a list": (body(changed(usage=[1])), {"tokens_in": None}),
    "content in parts": (body(message(content=[{"type": "text", "text": "a"}, {"text": "b"}])), {"text": "ab"}),
    "a part without a text": (body(message(content=[{"type": "text", "text": None}, {"text": "b"}])), {"text": "b"}),
    "a refusal in parts": (
        body(message(content=[{"type": "refusal", "refusal": "I will "}, {"type": "refusal", "refusal": "not."}])),
        {"text": "", "refusal": "I will not."},
    ),
    "numbers for words": (
        body(changed(model=7, choices=[{**CHOICE, "finish_reason": 3}])),
        {"model": "7", "finish": "3"},
    ),
    "called something else": (body(changed(), "text/plain"), {"text": "hello"}),
    "called nothing": (body(changed(), ""), {"text": "hello"}),
    "called what is not": (body(changed(), "\u00ff/;;charset=,"), {"text": "hello"}),
    "fields of its own": (body(changed(extra={"a": [1]}, object=7)), {"text": "hello"}),
}
"""What a server may answer that is an answer, and what of it must be found."""

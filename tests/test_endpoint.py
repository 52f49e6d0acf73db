"""Hosted models, asked over real connections: what is an answer, what is none, and that no key is ever shown."""

import asyncio
import contextlib
import gc
import io
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.rewards import hosted, wire
from stateset_gym.rewards.endpoint import Call, Endpoint, InfrastructureError, Reply, Unsupported, endpoint
from stateset_gym.rewards.messages import Request, encodable

from .servers.base import Server
from .servers.hostile import ANSWERS, FAILURES, KEY, body, message, silent, status
from .servers.ordinary import call, claude, completion, in_turn, say, styled, together, without

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "ask", "description": "Ask.", "parameters": {"type": "object"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "action", "schema": {"type": "object"}}}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key but those that a test gives, and no way out."""
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_"))]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def make(server: Server, provider: str = "openai", **options: Any) -> Endpoint:
    address = server.url if provider == "openai" else server.root
    return endpoint(f"{provider}:m", **{"base_url": address, "api_key": KEY, "retries": 0, "timeout": 10, **options})


def ask(respond: Any, provider: str = "openai", **options: Any) -> Reply:
    """One answer."""
    with Server(respond) as server:
        model = make(server, provider, **options)
        try:
            return model.chat(HELLO)
        finally:
            model.close()


def everything(error: BaseException) -> str:
    """All that could be shown of an error and of what caused it."""
    chain, seen = [], {None}
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link not in seen:
            seen.add(link)
            chain += [repr(link), str(link), repr(vars(link)), repr(link.args)]
            links += [link.__cause__, link.__context__]
    return "".join([*chain, *traceback.format_exception(error)])


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Iterator[io.StringIO]:
    """Whatever is logged, at every level."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)
    printed = capfd.readouterr()
    assert KEY not in printed.out + printed.err
    assert KEY not in stream.getvalue()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_is_the_typed_error(name: str, provider: str, shown: io.StringIO) -> None:
    options = {"timeout": 0.3} if name in ("silent", "drips") else {}
    with pytest.raises(InfrastructureError) as caught:
        ask(FAILURES[name], provider, **options)
    error = caught.value
    assert error.what
    assert error.where.startswith(f"{provider}:m at http://127.0.0.1:")
    assert error.remedy
    assert str(error) == f"{error.what} ({error.where}): {error.remedy}"
    assert KEY not in everything(error)
    assert error.__cause__ is error.__context__ is None
    assert error.fatal == (name in ("401", "402", "404"))
    assert len(str(error)) < 800


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_an_answer_is_no_error(name: str, shown: io.StringIO) -> None:
    respond, wanted = ANSWERS[name]
    reply = ask(respond)
    assert {field: getattr(reply, field) for field in wanted} == wanted
    encodable(reply.text).encode()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_no_key_is_shown_where_all_is_well(provider: str, shown: io.StringIO) -> None:
    with Server(lambda asked, handler: handler.answer(styled(asked, {"type": "ask"}))) as server:
        model = make(server, provider)
        assert model.chat(HELLO).text == '{"type": "ask"}'
        print(model, model.options, vars(model), model.cassette)
        model.close()
    assert "HTTP Request" in shown.getvalue()


def test_the_error_names_what_the_server_said_and_the_remedy() -> None:
    with pytest.raises(InfrastructureError, match=r"^status 404: no model m; gone \(openai:m at .*base_url=") as caught:
        ask(status(404, {"error": {"message": "no model m", "code": "gone"}}))
    assert caught.value.what == "status 404: no model m; gone"
    with pytest.raises(InfrastructureError, match="more than 4,000,000 bytes"):
        ask(FAILURES["ten megabytes"])
    with pytest.raises(InfrastructureError, match=r"no whole answer within 0\.2 s .*timeout="):
        ask(silent, timeout=0.2)
    with pytest.raises(InfrastructureError, match=r"status 500 \("):
        ask(FAILURES["500 in HTML"])
    with pytest.raises(InfrastructureError, match=r"OPENAI_API_KEY") as caught:
        ask(status(401))
    assert "Bearer ***" in str(caught.value)


def test_a_key_that_a_server_sends_back_is_in_no_reply() -> None:
    assert ask(say(f"your key is {KEY}")).text == "your key is ***"


SLASHED = "sk-ab/cdef-0123456789"
ESCAPED = [SLASHED, SLASHED.replace("/", "\\/"), SLASHED.replace("s", "\\u0073").replace("/", "\\u002F")]


@pytest.mark.parametrize("sent", ESCAPED)
def test_a_key_is_hidden_however_json_has_escaped_it(sent: str) -> None:
    whole = json.dumps(completion("it is HERE", tool_calls=[call("ask", '{"field": "HERE"}')]))
    reply = ask(body(whole.replace("HERE", sent).encode()), api_key=SLASHED)
    assert (reply.text, reply.calls) == ("it is ***", (Call("ask", '{"field": "***"}'),))
    twice = json.dumps(completion(None, tool_calls=[call("ask", f'{{"field": "{sent}"}}')]))
    assert ask(body(twice.encode()), api_key=SLASHED).calls == (Call("ask", '{"field": "***"}'),)
    for respond in (status(400, f'"{sent}"'.encode()), status(400, sent.encode()), body(f'["{sent}"'.encode())):
        with pytest.raises(InfrastructureError) as caught:
            ask(respond, api_key=SLASHED)
        assert "cdef" not in everything(caught.value)


@pytest.mark.parametrize("before", [80, 95, 190, 285, 299])
def test_no_part_of_a_key_is_shown_where_a_text_is_cut(before: int) -> None:
    for respond in (status(400, {"error": {"message": "x" * before + KEY}}), body(b"x" * before + KEY.encode())):
        with pytest.raises(InfrastructureError) as caught:
            ask(respond)
        assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_AUTH_TOKEN")]
)
def test_a_key_is_hidden_after_it_has_left_the_environment(
    provider: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(status(400)) as server:
        monkeypatch.setenv(variable, KEY)
        model = make(server, provider, api_key=None)
        monkeypatch.delenv(variable)
        with pytest.raises(InfrastructureError, match=r"Bearer \*\*\*") as caught:
            model.chat(HELLO)
        assert KEY not in everything(caught.value)
        model.close()


def test_a_short_key_is_no_reason_to_change_an_answer() -> None:
    assert ask(say("none of these"), api_key="none").text == "none of these"


@pytest.mark.parametrize("told", [{}, {"retry_after_ms": "10"}, {"retry_after": "0.01"}])
def test_what_passes_is_tried_again(told: dict[str, str]) -> None:
    with Server(in_turn(status(429 if told else 503, **told), say("at last"))) as server:
        model = make(server, retries=1)
        assert model.chat(HELLO).text == "at last"
        assert len(server.asked) == 2
        model.close()


def test_retries_are_those_of_the_options_and_no_more() -> None:
    with Server(status(500, retry_after_ms="1")) as server:
        model = make(server, retries=2)
        with pytest.raises(InfrastructureError):
            model.chat(HELLO)
        assert len(server.asked) == 3
        model.close()


def test_after_some_failures_in_a_row_nothing_more_is_asked() -> None:
    with Server(in_turn(status(500), say("well"), status(500))) as server:
        model = make(server, breaker=3)
        fatal, remedies = [], set()
        for _ in range(6):
            try:
                model.chat(HELLO)
            except InfrastructureError as error:
                fatal.append(error.fatal)
                remedies.add(error.remedy)
                last = error
        assert fatal == [False, False, False, True, True]
        assert len(server.asked) == 5
        assert remedies == {"see whether the server is well, and go on with the run then."}
        assert "3 requests in a row failed, the last so: status 500" in str(last)
        model.close()


def test_after_a_pause_one_request_finds_out_whether_it_is_well_again() -> None:
    gate, seen = threading.Event(), threading.Event()

    def slow(asked: Any, handler: Any) -> None:
        seen.set()
        gate.wait(10)
        handler.answer(completion("well"))

    def fatal(model: Endpoint) -> bool:
        with pytest.raises(InfrastructureError) as caught:
            model.chat(HELLO)
        return caught.value.fatal

    with Server(in_turn(status(500), status(500), status(500), slow)) as server:
        model = make(server, breaker=2)
        assert [fatal(model) for _ in range(3)] == [False, True, True]
        assert len(server.asked) == 2
        model._failed_at -= hosted.PAUSE
        assert fatal(model)  # still ill
        assert fatal(model)
        assert len(server.asked) == 3
        model._failed_at -= hosted.PAUSE
        answers: list[Reply] = []
        probe = threading.Thread(target=lambda: answers.append(model.chat(HELLO)))
        probe.start()
        assert seen.wait(5)
        assert fatal(model)  # one is enough to find out
        assert len(server.asked) == 4
        gate.set()
        probe.join(5)
        assert [reply.text for reply in answers] == ["well"]
        assert model.chat(HELLO).text == "well"
        model.close()


def test_a_refused_key_is_not_tried_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted, "PAUSE", 0.0)
    with Server(in_turn(status(401), say("yes"))) as server:
        model = make(server)
        for _ in range(2):
            with pytest.raises(InfrastructureError, match="status 401"):
                model.chat(HELLO)
        assert len(server.asked) == 1
        model.close()


def test_a_model_that_has_answered_may_be_missing_once() -> None:
    lost = status(404)
    with Server(in_turn(say("a"), lost, say("b"), lost, lost, say("c"))) as server:
        model = make(server)
        found: list[Any] = []
        for _ in range(6):
            try:
                found.append(model.chat(HELLO).text)
            except InfrastructureError as error:
                found.append(error.fatal)
        assert found == ["a", False, "b", False, True, True]
        assert len(server.asked) == 5
        model.close()


def test_a_server_that_complains_whatever_is_left_out_is_not_asked_for_ever() -> None:
    complaint = status(400, {"error": {"message": "parallel_tool_calls is a bad idea"}})
    with Server(in_turn(complaint, complaint, complaint, say("yes"))) as server:
        model = make(server)
        with pytest.raises(InfrastructureError, match="a bad idea"):
            model.chat(HELLO, tools=[TOOL])
        assert len(server.asked) == 2
        model.close()


def test_an_answer_that_is_too_large_lets_go_of_its_connection() -> None:
    class Stream(httpx2.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 1_000_000

        async def aclose(self) -> None:
            self.closed = True

    async def sent() -> bool:
        async with wire.Client(5) as client:
            client._transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=stream))
            response = await client.send(client.build_request("GET", "http://127.0.0.1:9"))
            assert wire.OVERSIZE.decode() in response.headers
            return stream.closed

    stream = Stream()
    assert asyncio.run(sent())


def test_failures_that_come_together_count_once() -> None:
    gate = threading.Barrier(8)

    def fail(asked: Any, handler: Any) -> None:
        gate.wait(10)
        handler.answer({}, 500)

    async def many(model: Endpoint) -> list[Any]:
        return await asyncio.gather(*(model.chat_async(HELLO) for _ in range(8)), return_exceptions=True)

    with Server(fail) as server:
        model = make(server, breaker=2)
        assert [error.fatal for error in asyncio.run(many(model))] == [False] * 8
        assert any(error.fatal for error in asyncio.run(many(model)))
        assert all(error.fatal for error in asyncio.run(many(model)))
        assert len(server.asked) == 16
        model.close()


def test_a_refused_key_ends_it_at_once() -> None:
    with Server(status(401)) as server:
        model = make(server)
        for _ in range(3):
            with pytest.raises(InfrastructureError) as caught:
                model.chat(HELLO)
            assert caught.value.fatal
        assert len(server.asked) == 1
        model.close()
    with pytest.raises(InfrastructureError) as caught:
        ask(status(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}))
    assert caught.value.fatal


def test_nobody_there() -> None:
    with Server(say("")) as server:
        address = server.url
    model = endpoint("openai:m", base_url=address, api_key=KEY, retries=0)
    with pytest.raises(InfrastructureError, match=r"no connection \(ConnectError: .*base_url="):
        model.chat(HELLO)
    model.close()


def test_no_more_are_under_way_than_is_allowed_and_answers_are_not_mixed_up() -> None:
    def echo(asked: Any, handler: Any) -> None:
        time.sleep(0.005 * (asked.number % 3))
        handler.answer(completion(asked.body["messages"][-1]["content"]))

    async def one(model: Endpoint, number: int) -> None:
        reply = await model.chat_async([{"role": "user", "content": f"I am {number}"}])
        assert reply.text == f"I am {number}"

    async def all_(model: Endpoint) -> None:
        await asyncio.gather(*(one(model, number) for number in range(40)))

    with Server(together(echo, 4)) as server:
        model = make(server, concurrency=4)
        others = [threading.Thread(target=asyncio.run, args=(all_(model),)) for _ in range(2)]
        for thread in others:
            thread.start()
        asyncio.run(all_(model))
        assert model.chat(HELLO).text == "Hello"
        for thread in others:
            thread.join()
        assert len(server.asked) == 121
        assert server.most == 4
        model.close()


def test_a_wait_that_is_cancelled_frees_its_place() -> None:
    async def hurried(model: Endpoint) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await model.chat_async(HELLO)
        assert (await model.chat_async(HELLO)).text == "now"

    with Server(in_turn(silent, say("now"))) as server:
        model = make(server, concurrency=1)
        asyncio.run(hurried(model))
        model.close()


def test_closing_leaves_nothing_behind_and_it_can_be_asked_again() -> None:
    with Server(say("yes")) as server:
        before = threading.active_count()
        model = make(server)
        for _ in range(2):
            assert model.chat(HELLO).text == "yes"
            model.close()
            model.close()
        del model
        forgotten = make(server)
        forgotten.chat(HELLO)
        del forgotten
        gc.collect()
        assert sum("endpoint" in thread.name for thread in threading.enumerate()) == 0
        assert threading.active_count() <= before + 2  # the server's own


def test_closing_ends_what_is_under_way() -> None:
    with Server(silent) as server:
        model = make(server)
        wrong: list[BaseException] = []

        def wait() -> None:
            try:
                model.chat(HELLO)
            except CancelledError as error:
                wrong.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        while not server.asked:
            time.sleep(0.001)
        model.close()
        thread.join(5)
        assert len(wrong) == 1


def test_it_can_be_sent_to_another_process_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(say("yes")) as server:
        model = make(server, temperature=0.5)
        model.chat(HELLO)
        sent = pickle.dumps(model)
        assert KEY.encode() not in sent + pickle.dumps(model.options)
        with pytest.raises(InfrastructureError, match=r"there is no key .*OPENAI_API_KEY"):
            pickle.loads(sent)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        twin = pickle.loads(sent)
        assert twin.chat(HELLO).text == "yes"
        assert server.asked[-1].body["temperature"] == 0.5
        for each in (model, twin):
            assert KEY not in repr(each) + repr(each.options) + str(each)
            each.close()


def test_what_is_asked_is_what_was_said() -> None:
    with Server(say("")) as server:
        model = make(server, temperature=0.0, max_tokens=5, extra={"top_p": 0.5, "parallel_tool_calls": None})
        model.chat(HELLO, seed=3)
        model.chat(HELLO, tools=[TOOL])
        model.chat(HELLO, response_format=FORMAT)
        plain = {"model": "m", "messages": HELLO, "temperature": 0.0, "max_tokens": 5, "top_p": 0.5}
        asked = [each.body for each in server.asked]
        assert asked[0] == {**plain, "seed": 3}
        assert asked[1] == {**plain, "tools": [TOOL], "tool_choice": "required"}
        assert asked[2] == {**plain, "response_format": FORMAT}
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.asked[0].path == "/v1/chat/completions"
        model.close()


def test_half_a_character_can_be_sent() -> None:
    with Server(say("")) as server:
        model = make(server)
        model.chat([{"role": "user", "content": "a\ud800b"}])
        assert server.asked[0].body["messages"][0]["content"] == "a\\ud800b"
        model.close()


def test_tool_calls_are_read() -> None:
    reply = ask(body(message(content=None, tool_calls=[call("ask", '{"field": '), call("close", {})])))
    assert reply.calls == (Call("ask", '{"field": '), Call("close", "{}"))
    reply = ask(body(message(tool_calls=[{"function": {"name": "ask", "arguments": {"a": 1}}}])))
    assert reply.calls == (Call("ask", '{"a": 1}'),)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        ({"function": {"name": "close", "arguments": None}}, Call("close", "")),
        ({"function": {"name": "close", "arguments": 1}}, Call("close", "1")),
        ({"function": {"name": "close", "arguments": [None]}}, Call("close", "[null]")),
        ({"type": "custom", "custom": {"name": "close", "input": "as you like"}}, Call("close", "as you like")),
    ],
)
def test_an_odd_call_is_an_answer(made: dict[str, Any], wanted: Call) -> None:
    assert ask(body(message(tool_calls=[made]))).calls == (wanted,)


def test_a_parameter_that_the_server_does_not_know_is_left_out() -> None:
    with Server(without(say("yes"), "parallel_tool_calls")) as server:
        model = make(server)
        assert model.chat(HELLO, tools=[TOOL]).text == "yes"
        assert model.chat(HELLO, tools=[TOOL]).text == "yes"
        assert len(server.asked) == 3
        assert model.left_out == {"parallel_tool_calls"}
        model.close()


UNSUPPORTED = [
    "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    "This response_format type is unavailable now",
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "tools is not supported in this model",
    "registry.ollama.ai/library/gemma does not support tools",
    "Unrecognized request argument supplied: tools",
]


@pytest.mark.parametrize("told", UNSUPPORTED)
def test_what_a_server_does_not_support_is_told_apart(told: str) -> None:
    with pytest.raises(Unsupported):
        ask(status(400, {"error": {"message": told}}))


OTHERWISE = [
    "Unsupported parameter: 'max_tokens' is not supported with this model.",
    "",
    "tools",
    "Your messages and tools use 130000 tokens",
    "Rate of structured requests is too high",
    "max_tokens is too large for tool use",
    "Invalid request: your messages and tools use 130000 tokens",
    "Invalid tools: they exceed the model's maximum context length",
    "Invalid value: the prompt is too long for tools",
]


@pytest.mark.parametrize("field", ["type", "code"])
@pytest.mark.parametrize("told", OTHERWISE)
def test_what_is_wrong_otherwise_is_not_taken_for_that(told: str, field: str) -> None:
    with pytest.raises(InfrastructureError) as caught:
        ask(status(400, {"error": {"message": told, field: "invalid_request_error"}}))
    assert not isinstance(caught.value, Unsupported)


def test_the_environment_holds_the_key_and_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(say("yes")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        model = endpoint("openai:m")
        assert model.chat(HELLO).text == "yes"
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
        model.close()
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.root)
        server.respond = body(claude({"type": "text", "text": "yes"}))
        model = endpoint("anthropic:m")
        assert model.chat(HELLO).text == "yes"
        assert server.asked[-1].headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in model.hidden(f"a{KEY}b")
        model.close()


@pytest.mark.parametrize(("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
def test_a_missing_key_is_told_at_once(
    provider: str, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InfrastructureError, match=f"there is no key .*{variable}") as caught:
        endpoint(f"{provider}:m")
    assert caught.value.fatal


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} {KEY}", f"{KEY}\u00e4", f"\x00{KEY}"])
def test_a_key_that_is_none_is_told_and_not_shown(provider: str, key: str) -> None:
    with pytest.raises(InfrastructureError, match="the key holds a space, a line break or the like") as caught:
        endpoint(f"{provider}:m", api_key=key)
    assert caught.value.fatal
    assert KEY not in everything(caught.value)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_missing_package_is_told_with_the_remedy(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, provider, None)
    with pytest.raises(InfrastructureError, match=rf'pip install "stateset-gym\[{provider}\]"') as caught:
        endpoint(f"{provider}:m", api_key=KEY)
    assert caught.value.fatal


@pytest.mark.parametrize(
    ("address", "options", "told"),
    [
        ("openai", {}, "'openai' is not whole"),
        ("cohere:x", {}, "'cohere:x' is of no known provider"),
        ("openai:m", {"timeout": 0}, "timeout=0 must be"),
        ("openai:m", {"timeout": "soon"}, "timeout='soon' must be"),
        ("openai:m", {"retries": -1}, "retries=-1 must be"),
        ("openai:m", {"concurrency": 0}, "concurrency=0 must be"),
        ("openai:m", {"breaker": True}, "breaker=True must be"),
        ("openai:m", {"max_tokens": 0}, "max_tokens=0 must be"),
        ("openai:m", {"base_url": "ftp://127.0.0.1/v1"}, "base_url='ftp://127.0.0.1/v1' is no address"),
        ("openai:m", {"base_url": "http://[bad/v1"}, "is no address"),
        ("openai:m", {"base_url": "http://127.0.0.1:99999/v1"}, "is no address"),
        ("openai:m", {"base_url": "127.0.0.1:8000"}, "is no address"),
        ("openai:m", {"record": True}, "record=True needs a file"),
        ("openai:m", {"record": "all", "cassette": "x"}, "record='all' is not known"),
    ],
)
def test_options_without_a_meaning_are_told(address: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        endpoint(address, **{"api_key": KEY, **options})


@pytest.mark.parametrize(
    "address",
    [
        "http://me:secret@127.0.0.1:9/v1",
        "http://secret@127.0.0.1:9/v1",
        "http://127.0.0.1:9/v1?key=secret",
        "http://127.0.0.1:9/v1#secret",
        "http://me:sec?ret@[secret/v1?secret@secret",
        "ftp://me:secret@127.0.0.1",
    ],
)
def test_what_is_secret_in_an_address_is_refused_and_not_shown(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    for options in ({"base_url": address}, {}):
        with pytest.raises(ValueError, match=r"base_url holds a user, a password or a query .*api_key=") as caught:
            endpoint("openai:m", api_key=KEY, **options)
        assert "sec" not in str(caught.value)


def test_the_address_is_that_of_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    model = endpoint("openai:m", api_key=KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:10/v1")
    assert model.where == "openai:m at http://127.0.0.1:9/v1"
    assert repr(model) == "<OpenAIEndpoint openai:m at http://127.0.0.1:9/v1>"


def test_anthropic_is_asked_in_its_own_way() -> None:
    function = {"name": "ask", "arguments": '{"field": "email"}'}
    transcript = [
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call00002", "function": function}]},
        {"role": "tool", "tool_call_id": "call00002", "content": "[malformed] no"},
        {"role": "user", "content": "What?"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "Hm."},
    ]
    with Server(lambda asked, handler: handler.answer(styled(asked, {"type": "ask", "field": "name"}))) as server:
        model = make(server, "anthropic", temperature=0.5)
        reply = model.chat(transcript, tools=[TOOL], seed=3)
        assert reply.calls == (Call("ask", '{"field": "name"}'),)
        assert (reply.tokens_in, reply.tokens_out, reply.finish) == (11, 3, "tool_calls")
        assert model.chat(HELLO, response_format=FORMAT).text == '{"action": {"type": "ask", "field": "name"}}'
        assert model.chat(HELLO).text == '{"type": "ask", "field": "name"}'
        first, second, third = (each.body for each in server.asked)
        assert first == {
            "model": "m",
            "max_tokens": 4096,
            "system": "Be brief.",
            "temperature": 0.5,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "call00002", "name": "ask", "input": {"field": "email"}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "call00002", "content": "[malformed] no"},
                        {"type": "text", "text": "What?"},
                        {"type": "text", "text": "Hm."},
                    ],
                },
            ],
            "tools": [{"name": "ask", "description": "Ask.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        }
        assert second["tool_choice"] == {"type": "tool", "name": "action", "disable_parallel_tool_use": True}
        assert "tools" not in third
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.asked[0].path == "/v1/messages"
        model.close()


def test_what_anthropic_answers_is_an_answer() -> None:
    assert ask(body(claude(stop="refusal")), "anthropic").refusal == "The model declined."
    assert ask(body(claude(stop="max_tokens")), "anthropic").finish == "length"
    assert (
        ask(body(claude({"type": "thinking", "thinking": "?"}, {"type": "text", "text": "a"})), "anthropic").text == "a"
    )
    odd = {**claude({"type": "text", "text": None}, {"type": "text", "text": 1}), "stop_reason": 3, "model": 7}
    reply = ask(body(odd), "anthropic")
    assert (reply.text, reply.finish, reply.model) == ("1", "3", "7")
    assert ask(body({**claude(), "usage": None}), "anthropic") == Reply(finish="stop", model="c-1")


def test_a_format_that_anthropic_has_not_is_told() -> None:
    with Server(say("")) as server:
        model = make(server, "anthropic")
        with pytest.raises(ValueError, match=r"anthropic:m takes no response_format but a json_schema: \{'type'"):
            model.chat(HELLO, response_format={"type": "json_object"})
        model.close()


FORKED = """
import os, sys
from stateset_gym.rewards.endpoint import endpoint
model = endpoint("openai:m", base_url=sys.argv[1], api_key="none")
hello = [{"role": "user", "content": "hello"}]
assert model.chat(hello).text == "yes"
child = os.fork()
assert model.chat(hello).text == "yes"
model.close()
sys.stdout.flush()
if not child:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this is about forked children, and Windows has no os.fork")
def test_a_process_that_was_forked_off_asks_on_its_own() -> None:
    with Server(say("yes")) as server:
        done = subprocess.run([sys.executable, "-c", FORKED, server.url], check=False, timeout=60)
        assert done.returncode == 0
        assert len(server.asked) == 3


def test_openais_own_servers_know_only_the_new_name_for_a_limit() -> None:
    asked = Request("openai:m", HELLO, settings={"max_tokens": 5})
    for address, name in [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://x.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
        ("http://127.0.0.1:9/v1", "max_tokens"),
    ]:
        model = endpoint("openai:m", base_url=address, api_key=KEY)
        assert model.payload(asked)["extra_body"] == {name: 5}


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
ANSWERING = {
    "openai": completion("a", tool_calls=[call("b", "{}")]),
    "anthropic": claude({"type": "text", "text": "a"}, {"type": "tool_use", "name": "b", "input": 1}),
}


@pytest.mark.parametrize("provider", ANSWERING)
@given(data=st.data())
def test_any_body_is_an_answer_or_the_typed_error(provider: str, data: st.DataObject) -> None:
    """Some places of an answer hold anything; what is read is text that can be written."""
    model = endpoint(f"{provider}:m", api_key=KEY, base_url="http://127.0.0.1:9")
    text = json.dumps(ANSWERING[provider])
    for place in data.draw(st.lists(st.sampled_from(sorted(set(re.findall(r'"\w+": ', text)))), max_size=3)):
        value = json.dumps(data.draw(jsons))
        text = re.sub(rf'({place})("[^"]*"|\d+|null)', lambda found, value=value: found[1] + value, text)
    body_ = data.draw(st.sampled_from([text.encode(), text.encode()[: len(text) // 2]]) | st.binary(max_size=20))
    with contextlib.suppress(InfrastructureError):
        reply = model.reply(body_)
        assert msgspec.json.decode(msgspec.json.encode(reply), type=Reply) == reply


def test_neither_sdk_is_imported_before_it_is_used() -> None:
    code = "import sys, stateset_gym.rewards.endpoint; sys.exit(bool({'openai','anthropic','httpx2'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

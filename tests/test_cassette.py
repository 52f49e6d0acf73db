"""Cassettes: what is recorded plays again, offline and exactly; what is missing says how it differs."""

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.rewards.cassette import Cassette
from stateset_gym.rewards.endpoint import Call, Endpoint, InfrastructureError, Reply, endpoint
from stateset_gym.rewards.messages import Request
from stateset_gym.rewards.tape import Entry, Key, Note, Writer, digest_of, read

from .servers.base import Server
from .servers.hostile import KEY, status
from .servers.ordinary import completion, in_turn, say

RULES = "Be brief. " * 100
TOOLS = [{"type": "function", "function": {"name": "ask", "description": "x" * 500, "parameters": {"type": "object"}}}]


def messages(*words: str) -> list[dict[str, str]]:
    """A conversation in which both take turns."""
    spoken = [{"role": ("user", "assistant")[n % 2], "content": word} for n, word in enumerate(words)]
    return [{"role": "system", "content": RULES}, *spoken]


def counting(asked: Any, handler: Any) -> None:
    """Tells how many requests came, so that no two answers are the same."""
    handler.answer(completion(f"{asked.body['messages'][-1]['content']} {asked.number}"))


def recorder(server: Server, path: Path, **options: Any) -> Endpoint:
    return endpoint("openai:m", base_url=server.url, api_key=KEY, cassette=path, **{"record": True, **options})


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there is neither a key nor an SDK."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("openai", "anthropic", "httpx2"):
        monkeypatch.setitem(sys.modules, name, None)


def recorded(path: Path, asked: list[tuple[str, list[dict[str, str]]]], **options: Any) -> list[Reply]:
    """Record the answers to some requests."""
    with Server(counting) as server:
        model = recorder(server, path, **options)
        replies = [model.chat(each, tools=TOOLS, seed=1, tag=tag) for tag, each in asked]
        model.close()
    return replies


ASKED = [
    ("1", messages("a")),
    ("2", messages("a")),
    ("1", messages("a", "b", "c")),
    ("2", messages("a", "x", "y")),
    ("1", messages("a")),
]


def test_what_is_recorded_plays_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "c.jsonl"
    replies = recorded(path, ASKED)
    assert [reply.text for reply in replies] == ["a 0", "a 1", "c 2", "y 3", "a 4"]
    assert KEY not in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["c.jsonl"]
    go_offline(monkeypatch)
    model = endpoint("openai:m", cassette=path)
    for _ in range(2):
        assert [model.chat(each, tools=TOOLS, seed=1, tag=tag) for tag, each in ASKED] == replies
        model.begin("1")
        model.begin("2")
    model.close()


def test_the_order_of_the_requests_does_not_matter(tmp_path: Path) -> None:
    async def all_(model: Endpoint, order: list[int]) -> dict[int, str]:
        async def one(number: int) -> str:
            await asyncio.sleep(0.001 * (number % 3))
            return (await model.chat_async(messages(f"I am {number}"), tag=str(number % 4))).text

        return dict(zip(order, await asyncio.gather(*map(one, order)), strict=True))

    path, numbers = tmp_path / "c.jsonl", list(range(30))
    with Server(counting) as server:
        model = recorder(server, path)
        live = asyncio.run(all_(model, numbers))
        model.close()
    for seed in range(3):
        model = endpoint("openai:m", cassette=path)
        assert asyncio.run(all_(model, random.Random(seed).sample(numbers, 30))) == live


def test_two_recordings_of_the_same_are_the_same_file(tmp_path: Path) -> None:
    def text(name: str, order: list[int]) -> str:
        with Server(say("yes")) as server:
            model = recorder(server, tmp_path / name)
            for number in order:
                model.chat(messages(f"I am {number}", "b", "c"), tag=str(number % 3), tools=TOOLS)
            model.close()
        return (tmp_path / name).read_text()

    assert text("a", [0, 1, 2, 3, 4, 5]) == text("b", [5, 0, 3, 4, 2, 1])


def test_the_file_can_be_read_in_a_diff(tmp_path: Path) -> None:
    recorded(tmp_path / "c.jsonl", ASKED)
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["part", "part", *["answer"] * 5]
    assert [line["value"] for line in lines[:2]] == [RULES, TOOLS]
    assert [len(line["messages"]) for line in lines[2:]] == [2, 0, 2, 2, 2]
    assert max(len(json.dumps(line)) for line in lines[2:]) < 400


@pytest.mark.parametrize(
    ("tag", "asked", "options", "told"),
    [
        ("1", messages("a", "b", "d"), {}, r"of '1' is not recorded; .*message 4, content 'd', recorded as 'c'"),
        ("1", messages("a", "b"), {}, r"3 messages, recorded with 4"),
        ("9", messages("a"), {}, r"of '9', of which nothing is recorded \(but of '1'\)"),
        ("1", messages("a"), {"seed": 2}, r"settings \{'seed': 2\}, recorded as \{'seed': 1\}"),
        ("1", messages("a"), {"tools": ()}, r"what differs: tools "),
        ("1", messages("a"), {"response_format": {"type": "json_object"}}, r"what differs: response_format "),
        ("2", messages("a"), {"twice": True}, r"is recorded once in '2', and is made once more"),
    ],
)
def test_what_is_missing_says_how_it_differs_and_the_remedy(
    tag: str, asked: Any, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    recorded(tmp_path / "c.jsonl", ASKED)
    model = endpoint("openai:m", cassette=tmp_path / "c.jsonl")
    options = {"seed": 1, "tools": TOOLS, **options}
    if options.pop("twice", False):
        model.chat(asked, tag=tag, **options)
    with pytest.raises(InfrastructureError, match=told) as caught:
        model.chat(asked, tag=tag, **options)
    assert caught.value.fatal
    assert "record=True" in caught.value.remedy
    assert str(tmp_path) in caught.value.where


def test_another_model_is_another_request(tmp_path: Path) -> None:
    recorded(tmp_path / "c.jsonl", ASKED)
    model = endpoint("anthropic:m", cassette=tmp_path / "c.jsonl")
    with pytest.raises(InfrastructureError, match="model 'anthropic:m', recorded as 'openai:m'"):
        model.chat(messages("a"), tools=TOOLS, seed=1, tag="1")


def test_a_long_message_is_shown_where_it_differs(tmp_path: Path) -> None:
    recorded(tmp_path / "c.jsonl", [("", messages("a" * 1000 + "bee"))])
    model = endpoint("openai:m", cassette=tmp_path / "c.jsonl")
    with pytest.raises(InfrastructureError, match=r"'a{18,20}bug', recorded as 'a{18,20}bee'"):
        model.chat(messages("a" * 1000 + "bug"), tools=TOOLS, seed=1)


def test_without_a_file_or_with_a_broken_one_nothing_plays(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with pytest.raises(InfrastructureError, match=r"there is no cassette to play: No such file .*record=True"):
        endpoint("openai:m", cassette=path)
    for text, told in [("{", "line 1 is broken"), ("\xff", "line 1 is broken"), ('{"kind":"x"}', "line 1 is broken")]:
        path.write_text(text, encoding="latin-1")
        with pytest.raises(InfrastructureError, match=told):
            endpoint("openai:m", cassette=path)
    path.write_bytes(b"")
    with pytest.raises(InfrastructureError, match="nothing is recorded"):
        endpoint("openai:m", cassette=path).chat(messages("a"))


def test_what_fails_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Server(in_turn(status(500), say("yes"))) as server:
        model = recorder(server, path, retries=0)
        with pytest.raises(InfrastructureError):
            model.chat(messages("a"))
        assert model.chat(messages("a")).text == "yes"
        model.close()
    assert endpoint("openai:m", cassette=path).chat(messages("a")).text == "yes"


def test_a_recording_forgets_what_was_there_and_the_missing_adds_to_it(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    recorded(path, [("1", messages("a"))])
    first = path.read_text()
    assert [reply.text for reply in recorded(path, [("1", messages("a"))], record="missing")] == ["a 0"]
    assert path.read_text() == first
    replies = recorded(path, [("1", messages("z")), ("1", messages("a"))], record="missing")
    assert [reply.text for reply in replies] == ["z 0", "a 0"]
    recorded(path, [("1", messages("z"))])
    with pytest.raises(InfrastructureError, match="is not recorded"):
        endpoint("openai:m", cassette=path).chat(messages("a"), tools=TOOLS, seed=1, tag="1")
    assert recorded(tmp_path / "new.jsonl", ASKED, record="missing")[0].text == "a 0"


def test_only_one_records_at_a_time_and_nothing_that_was_paid_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Server(counting) as server:
        model = recorder(server, path)
        model.chat(messages("a"))
        other = recorder(server, path)
        with pytest.raises(InfrastructureError, match=r"recorded elsewhere, or .* rename it to c\.jsonl") as caught:
            other.chat(messages("a"))
        assert caught.value.fatal
        assert len(server.asked) == 1
        path.with_name("c.jsonl.recording").rename(path)  # as after an interruption
        assert endpoint("openai:m", cassette=path).chat(messages("a")).text == "a 0"
        path.rename(path.with_name("c.jsonl.recording"))
        model.chat(messages("b"))
        model.close()
        model.chat(messages("c"))
        model.close()
        other.close()
    playing = endpoint("openai:m", cassette=path)
    assert [playing.chat(messages(word)).text for word in "abc"] == ["a 0", "b 1", "c 2"]


def test_a_recording_that_nobody_closes_is_finished_too(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Server(counting) as server:
        model = recorder(server, path)
        model.chat(messages("a"))
        assert not path.exists()
        del model
        gc.collect()
    assert endpoint("openai:m", cassette=path).chat(messages("a")).text == "a 0"


FORKED = """
import os, sys
from pathlib import Path
from stateset_gym.rewards.cassette import Cassette
from stateset_gym.rewards.errors import InfrastructureError
from stateset_gym.rewards.messages import Reply, Request
path, asked = Path(sys.argv[1]), [Request("m", [{"role": "user", "content": word}]) for word in "ab"]
tape = Cassette(path, True)
tape.play(asked[0], "")
tape.add(asked[0], "", Reply("1"))
child = os.fork()
if not child:
    for attempt in (lambda: tape.play(asked[1], ""), lambda: tape.add(asked[1], "", Reply("?"))):
        try:
            attempt()
        except InfrastructureError as error:
            assert error.fatal and "by the process that this one was forked off" in str(error), error
        else:
            os._exit(1)
    tape.close()
    os._exit(2 if path.exists() else 0)
failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
tape.add(asked[1], "", Reply("2"))
tape.close()
played = Cassette(path)
assert [played.play(each, "").text for each in asked] == ["1", "2"]
sys.exit(failed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this is about forked children, and Windows has no os.fork")
def test_a_process_that_was_forked_off_leaves_the_recording_alone(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", FORKED, tmp_path / "c.jsonl"], check=False, timeout=60).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["c.jsonl"]


def test_only_the_conversation_that_begins_anew_is_counted_anew(tmp_path: Path) -> None:
    path, asked = tmp_path / "c.jsonl", Request("m", messages("a"))
    tape = Cassette(path, True)
    for tag, text in [("1", "a"), ("1", "b"), ("2", "c"), ("2", "d")]:
        tape.play(asked, tag)
        tape.add(asked, tag, Reply(text))
    tape.close()
    tape = Cassette(path)
    assert [tape.play(asked, tag) for tag in "12"] == [Reply("a"), Reply("c")]
    tape.rewind("1")
    assert [tape.play(asked, tag) for tag in "12"] == [Reply("a"), Reply("d")]


def test_a_cassette_cannot_be_changed_through_its_answers(tmp_path: Path) -> None:
    recorded(tmp_path / "c.jsonl", ASKED)
    reply = endpoint("openai:m", cassette=tmp_path / "c.jsonl").chat(messages("a"), tools=TOOLS, seed=1, tag="1")
    with pytest.raises(AttributeError):
        reply.text = "changed"
    assert isinstance(reply.calls, tuple)


def test_notes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with Server(counting) as server:
        model = recorder(server, path)
        assert model.recall("style") is None
        model.note("style", "text")
        model.note("style", "tools")
        model.close()
        assert endpoint("openai:m", base_url=server.url, api_key=KEY).recall("style") is None
    model = endpoint("openai:m", cassette=path)
    model.note("style", "other")
    assert model.recall("style") == "tools"


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
talks = st.lists(words, min_size=1, max_size=5)
replies = st.builds(
    Reply,
    text=words,
    calls=st.lists(st.builds(Call, words, words), max_size=2).map(tuple),
    tokens_in=st.none() | st.integers(0, 9),
    finish=words,
)
entries = st.lists(
    st.tuples(st.sampled_from(["", "1", "2"]), talks, st.booleans(), st.none() | st.floats(0, 2), replies), max_size=8
)


@given(entries)
def test_what_is_written_is_read(given_: list[Any]) -> None:
    wanted, writer, lines = [], Writer(), [Writer().note("style", "text")]
    for number, (tag, talk, tools, temperature, reply) in enumerate(given_):
        settings = {} if temperature is None else {"temperature": temperature}
        asked = Request("openai:m", messages(*talk), TOOLS if tools else [], None, settings)
        wanted.append(Entry(Key(tag, digest_of(asked), number), asked, reply))
        lines += writer.entry(wanted[-1]).splitlines()
    assert list(read(lines)) == [Note("style", "text"), *wanted]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=12), st.randoms())
def test_each_conversation_gets_its_answers_in_its_own_order(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, str]], chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("c") / "c.jsonl"
    tape, live = Cassette(path, True), {}
    for number, (tag, word) in enumerate(asked):
        request = Request("m", messages(word))
        assert tape.play(request, tag) is None
        tape.add(request, tag, Reply(str(number)))
        live.setdefault((tag, word), []).append(str(number))
    tape.close()
    playing = Cassette(path) if asked else None
    chance.shuffle(asked)
    for tag, word in asked:
        assert playing is not None
        found = playing.play(Request("m", messages(word)), tag)
        assert found is not None
        assert found.text == live[tag, word].pop(0)

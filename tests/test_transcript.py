"""One conversation, for eyes."""

import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import stateset_gym  # noqa: F401
from stateset_gym.policies import runs
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.trace import Trace
from stateset_gym.policies.transcript import show

DESK, SCENE = "StateSet/CustomerService-v0", "CustomerService-v0/test/hard/000006"
ACTIONS = [
    '{"type":"ask","field":"email","message":"Of course. Which e-mail address is it?"}',
    "Hello [bold]you[/bold]!",
    '{"type":"cancel_order","order_id":"O1","reason":"no_longer_needed"}',
]


def played(actions: list[str]) -> Trace:
    given = iter(actions)
    act = lambda observation, facts: next(given, '{"type":"close"}')  # noqa: E731
    (trace,) = runs.serial(runs.Setting(DESK, act), [Job(SCENE)])
    return trace


def shown(trace: Trace, width: int = 80, encoding: str = "utf-8", **options: Any) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    show(trace, Console(file=file, width=width, **options))
    file.seek(0)
    return file.read()


def test_a_conversation_is_shown() -> None:
    text = shown(played(ACTIONS))
    assert f"{SCENE} ──" in text
    assert "change_address · <lambda> · failure, closed\n" in text
    assert "     customer  Good day, thanks for taking my message." in text
    assert "  1  agent     Of course. Which e-mail address is it?\n" in text
    assert '               {"type": "ask", "field": "email"}\n' in text
    assert "  2  agent     Hello [bold]you[/bold]!\n" in text
    assert "     desk      [malformed] there is no JSON object in the text" in text
    assert "     reward    format -0.05\n" in text
    assert "               [confirm_writes] The customer had not agreed" in text
    assert "     reward    conduct -0.50  format -0.02\n" in text
    assert "closed after 4 turns (par 10)   return -0.57 = conduct -0.50  format -0.07\n" in text
    assert "goal" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_every_line_fits_and_none_ends_in_blanks(width: int, encoding: str) -> None:
    for line in shown(played([*ACTIONS, "W" * 300, "Größe 重要 " * 40]), width, encoding).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_colours_tell_what_is_wrong() -> None:
    text = shown(played(ACTIONS), force_terminal=True, color_system="standard", legacy_windows=False)
    assert "\x1b[1;31m[confirm_writes]" in text
    assert "\x1b[1;31mformat -0.05" in text
    assert "\x1b[1;36mcustomer" in text


def test_the_system_message_is_shown_where_it_is_asked_for() -> None:
    trace = played([])
    last = trace.messages[0]["content"].splitlines()[-1]
    for system in (False, True):
        file = io.StringIO()
        show(trace, Console(file=file, width=300), system=system)
        assert (last[:60] in file.getvalue()) == system


def test_what_was_not_measured_says_so() -> None:
    trace = played(ACTIONS)
    broken = msgspec.structs.replace(
        trace, steps=trace.steps[:1], messages=trace.messages[:4], outcome="", error="the endpoint is dead"
    )
    text = shown(broken)
    assert "change_address · <lambda> · not measured\n" in text
    assert "broken off after 1 turn (par" in text
    assert text.endswith("not measured: the endpoint is dead\n")


def test_a_conversation_that_goes_on_is_no_failure() -> None:
    trace = played(ACTIONS)
    text = shown(
        msgspec.structs.replace(trace, steps=trace.steps[:2], messages=trace.messages[:6], outcome="", success=False)
    )
    assert "change_address · <lambda> · not over\n" in text
    assert "so far 2 turns (par 10)   return" in text
    assert "failure" not in text
    assert "broken off" not in text


@given(st.lists(st.text(max_size=60), max_size=3))
def test_whatever_an_agent_writes_can_be_shown(texts: list[str]) -> None:
    for line in shown(played(texts)).split("\n"):
        assert line.isprintable()

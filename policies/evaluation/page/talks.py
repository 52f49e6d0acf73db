"""Conversations as the data of a page: who said what, what each turn paid, and nothing that a browser could run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ....envs.blocks import blocks, printable
from ....envs.memory import Fact
from ...trace import Step, Trace, split_of
from ..figures import OWN

LONG = 20_000
"""Characters of a text beyond which the page holds its beginning."""
SMALL = 1e-9
FAULTS = ("violation", "malformed", "refused", "end")
"""The kinds of fact whose lines are marked."""
Line = list[str]
"""Who says it - the customer, the desk, or what the desk marks - and the words."""


def embedded(traces: Iterable[Trace]) -> str:
    """JSON that is safe between script tags: no sign in it begins a tag, a comment or a line of script."""
    prompts: dict[str, int] = {}
    talks = [_talk(trace, prompts) for trace in traces]
    text = json.dumps({"prompts": [*prompts], "talks": talks}, ensure_ascii=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _talk(trace: Trace, prompts: dict[str, int]) -> dict[str, Any]:
    head = len(trace.messages) - 2 * len(trace.steps)
    opening = [message for message in trace.messages[:head] if message["role"] != "system"]
    system = [_short(message["content"]) for message in trace.messages[:head] if message["role"] == "system"]
    return {
        "scene": printable(trace.scene),
        "trial": trace.trial,
        "kind": printable(trace.kind),
        "difficulty": split_of(trace.scene).get("difficulty", OWN),
        "result": ("success" if trace.success else "failure") if trace.measured else "not measured",
        "outcome": trace.outcome.replace("_", " "),
        "total": round(trace.total, 6),
        "terms": _paid(trace.terms),
        "par": trace.par,
        "seconds": trace.seconds,
        "error": _short(trace.error),
        "rules": list(dict.fromkeys(trace.violations)),
        "prompt": prompts.setdefault(system[0], len(prompts)) if system else -1,
        "opening": [line for message in opening for line in _heard(message, trace.opening)],
        "turns": list(_turns(trace, head)),
    }


def _turns(trace: Trace, head: int) -> Iterator[dict[str, Any]]:
    for number, step in enumerate(trace.steps):
        said, answer = trace.messages[head + 2 * number : head + 2 * number + 2]
        yield _turn(said["content"], answer, step)


def _turn(said: str, answer: dict[str, str], step: Step) -> dict[str, Any]:
    speech, action = _parted(said)
    turn = {
        "say": _short(speech),
        "act": action,
        "hear": list(_heard(answer, step.facts)),
        "terms": _paid(step.terms),
        "wait": step.seconds if step.seconds >= 0.001 else 0,
    }
    return {name: value for name, value in turn.items() if value}


def _parted(said: str) -> tuple[str, str]:
    """The agent's words and its action, laid out; a text that is no action is all words."""
    try:
        value: Any = json.loads(said) if len(said) <= LONG else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return said, ""
    words = value.pop("message", "")
    if not isinstance(words, str):
        value["message"], words = words, ""
    laid_out = blocks([{"role": "assistant", "content": json.dumps(value, ensure_ascii=False)}])
    return words, laid_out[0].text


def _heard(message: dict[str, str], facts: list[Fact]) -> Iterator[Line]:
    """A message to the agent: the customer's words, and the lines of the desk, each marked with what it tells."""
    marks = {printable(fact["words"][0]): fact["kind"] for fact in facts if fact["kind"] in FAULTS}
    for who, text in blocks([message]):
        if who == "world":
            yield from ([marks.get(row, "desk"), _short(row)] for row in text.split("\n"))
        else:
            yield [who, _short(text)]


def _paid(terms: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in terms.items() if abs(value) > SMALL}


def _short(text: str) -> str:
    """A text that can be shown; of a huge one the beginning."""
    more = len(text) - LONG
    return printable(text if more <= 0 else f"{text[:LONG]}... (and {more:,} more characters)")

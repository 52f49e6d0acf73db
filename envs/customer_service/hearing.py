"""What is wrong with the words that a model gives a customer: what they leave out, and what they let slip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..actions import Action
from ..memory import Fact, Memory
from ..parts import Line
from .goals import Plot
from .mentions import mentions
from .mind import Mind
from .phrases import TAILS
from .scenes import Scene
from .told import told
from .wording import SPOKEN, said_in, spoken, wordings

LONGEST = 2_000
"""Characters of a message."""


def slip_in(scene: Scene, mind: Mind, facts: Sequence[Fact], message: str, heard: Sequence[Line]) -> str | None:
    """Why some words cannot stand for what is told, if they cannot; a reader must learn just that from them."""
    if not message.strip():
        return "'message' is empty: say it in words"
    if len(message) > LONGEST:
        return f"'message' has {len(message)} characters: say it in a few sentences"
    for fact in facts:
        if fact.get("value") is not None and said_in(scene, fact, message) is None:
            return f"'message' does not tell {fact['field']!r}: it must hold the words {_quoted(wordings(scene, fact))}"
    let_slip = _untold(scene, mind, facts, message, heard)
    if let_slip is None:
        return None
    return f"'message' names {let_slip!r}, which this act does not tell and nobody has said before: leave it out"


def _quoted(words: Sequence[str]) -> str:
    return " or ".join([f'"{each}"' for each in words[:3]])


def _untold(scene: Scene, mind: Mind, facts: Sequence[Fact], message: str, heard: Sequence[Line]) -> str | None:
    """The first thing that a message names without telling it: the facts would lack what the transcript holds."""
    said = [spoken(fact["field"], fact["value"]) for fact in facts if _is_named(fact.get("field"), fact.get("value"))]
    values: list[Any] = [fact.get("value") for fact in facts]
    lines = [*said, *map(_text, heard)]
    shown = Memory()  # what was told is gathered as it is for the agent's words
    shown.person = {"told": [*lines, *values], "heard": [msgspec.to_builtins(line) for line in heard]}
    support = next(told(shown, None))
    for mention in mentions(scene.people, message):
        if not support.holds(mention.key, mention.cents):
            return mention.text
    told_in = [said_in(scene, fact, message) for fact in facts if fact.get("value") is not None]
    lines += filter(None, told_in)
    for ways, name in _known(scene.plot, mind, facts):
        slip = next((way for way in ways if _holds(message, way)), None)
        if slip is not None and not any(_holds(line, way) for line in lines for way in (*ways, name)):
            return slip
    return None


def _text(line: Line) -> str:
    return msgspec.json.encode(line).decode() if isinstance(line, Action) else line


def _is_named(field: str | None, value: Any) -> bool:
    """Whether a value is told by its name, and not in a phrase."""
    return field is not None and value is not None and field != "request" and field not in SPOKEN


def _known(plot: Plot, mind: Mind, facts: Sequence[Fact]) -> Iterator[tuple[Sequence[str], str]]:
    """All that a customer can name and may not have told: the ways to tell it, and how an agent's act names it."""
    changes = [request.goal.change for request in plot.requests]
    for knows in (plot.person, *(request.knows for request in plot.requests)):
        changes += [knows.values, knows.mistakes]
    for field, value in (each for table in changes for each in table.items() if _is_named(*each)):
        yield (spoken(field, value),), spoken(field, value)
    told = {(fact.get("field"), str(fact.get("value"))) for fact in facts}
    told |= {("request", request.request) for request in plot.requests[: mind.voiced]}
    for field, value in sorted({*_phrased(plot, mind)} - told):
        yield TAILS[f"{field}.{value}"], value


def _phrased(plot: Plot, mind: Mind) -> Iterator[tuple[str, str]]:
    """What is told in a phrase and has not been: requests, reasons and questions. Phrases can hold typing errors."""
    for no, request in enumerate(plot.requests):
        if no >= mind.voiced:
            yield "request", request.request
        for field in SPOKEN:
            times, knows = mind.said.get((no, field), 0), request.knows
            if field in knows.mistakes and not times:
                yield field, knows.mistakes[field]
            if field in knows.values and times <= (field in knows.mistakes):
                yield field, knows.values[field]
            if field in request.goal.change and no not in mind.changed:
                yield field, request.goal.change[field]


def _holds(text: str, words: str) -> bool:
    """Whether a text holds some words, however they are joined, in the singular or the plural."""
    inner = r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", words.strip("?!. "))))
    return re.search(rf"(?<![^\W_]){inner}(?:'?s|es)?(?![^\W_])", text, re.IGNORECASE) is not None

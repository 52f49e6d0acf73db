"""What is wrong with the words that a model gives a customer: what they leave out, and what they let slip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..actions import Action
from ..memory import Fact, Memory
from ..parts import Line
from .goals import Plot
from .mentions import mentions
from .scenes import Scene
from .told import told
from .wording import SPOKEN, said_in, search, spoken, wordings

LONGEST = 2_000
"""Characters of a message."""


def slip_in(scene: Scene, facts: Sequence[Fact], message: str, heard: Sequence[Line]) -> str | None:
    """Why some words cannot stand for what is told, if they cannot; a reader must learn just that from them."""
    if not message.strip():
        return "'message' is empty: say it in words"
    if len(message) > LONGEST:
        return f"'message' has {len(message)} characters: say it in a few sentences"
    for fact in facts:
        if fact.get("value") is not None and said_in(scene, fact, message) is None:
            return f"'message' does not tell {fact['field']!r}: it must hold the words {_quoted(wordings(scene, fact))}"
    let_slip = _untold(scene, facts, message, heard)
    if let_slip is None:
        return None
    return f"'message' names {let_slip!r}, which this act does not tell and nobody has said before: leave it out"


def _quoted(words: Sequence[str]) -> str:
    return " or ".join([f'"{each}"' for each in words[:3]])


def _untold(scene: Scene, facts: Sequence[Fact], message: str, heard: Sequence[Line]) -> str | None:
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
    for words in _known(scene.plot):
        if search(words, message, exact=False) and not any(search(words, line, exact=False) for line in lines):
            return words
    return None


def _text(line: Line) -> str:
    return msgspec.json.encode(line).decode() if isinstance(line, Action) else line


def _is_named(field: str | None, value: Any) -> bool:
    """Whether a value is told by its name, and not in a phrase."""
    return field is not None and value is not None and field != "request" and field not in SPOKEN


def _known(plot: Plot) -> Iterator[str]:
    """All that a customer can name, as they would."""
    for knows in (plot.person, *(request.knows for request in plot.requests)):
        for table in (knows.values, knows.mistakes):
            yield from (spoken(field, value) for field, value in table.items() if _is_named(field, value))
    for request in plot.requests:
        yield from (spoken(field, value) for field, value in request.goal.change.items() if _is_named(field, value))

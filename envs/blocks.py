"""The transcript as blocks: who said what, in lines that can be shown anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Message = Mapping[str, str]

WIDTH = 100
"""Columns of the `ansi` transcript."""
LABEL = 10
ONE_LINE = 86
"""An action's JSON that is no longer stands on one line."""
MAX_PRETTY = 20_000
"""Characters of an action beyond which it is shown as it is."""


class Block(NamedTuple):
    """What one speaker said: the customer, the agent, the world (results and notes), or the system."""

    who: str
    text: str


def blocks(messages: Sequence[Message]) -> list[Block]:
    """Who said what: the lines of the world are told apart from the customer's, and actions are laid out."""
    found: list[Block] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "assistant":
            found.append(Block("agent", printable(_pretty(content))))
        elif role == "system":
            found.append(Block("system", _folded(printable(content))))
        else:
            found += _heard(printable(content))
    return found


def wrap(text: str, width: float, measure: Callable[[str], float] = len) -> list[str]:
    """Lines no wider than `width`, broken between words, and within a word only where it must be."""
    lines: list[str] = []
    for line in text.split("\n"):
        current = ""
        for piece in _PIECE.findall(line):
            if current and measure(current + piece) > width:
                lines.append(current)
                current = ""
            current += piece if current or piece == line[: len(piece)] else piece.lstrip()
            while (cut := _fitting(current, width, measure)) < len(current):
                lines.append(current[:cut])
                current = current[cut:]
        lines.append(current)
    return lines


_PIECE = re.compile(r"[ ]{0,40}[^ ]{1,80}")
"""A word with the space before it; bounds keep a megabyte without a space from costing quadratic time."""


def _fitting(text: str, width: float, measure: Callable[[str], float]) -> int:
    """How many characters of a text fit; at least one."""
    if measure(text) <= width:
        return len(text)
    size = len(text) - 1
    while size > 1 and measure(text[:size]) > width:
        size -= 1
    return max(size, 1)


def printable(text: str) -> str:
    """A text without what could move a cursor, hide or reorder words: such characters are replaced."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        mark if mark.isprintable() or mark == "\n" else " " if mark.isspace() else "\N{REPLACEMENT CHARACTER}"
        for mark in text.expandtabs(4).replace("\r\n", "\n")
    )


def _pretty(content: str) -> str:
    """An agent's JSON on one line, or indented where it is long; any other text as it is."""
    if len(content) > MAX_PRETTY:
        return content
    try:
        return _laid_out(json.loads(content), "")
    except (ValueError, RecursionError):
        return content


def _laid_out(value: Any, indent: str) -> str:
    """JSON in which only what does not fit on a line is spread over several."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= ONE_LINE or not isinstance(value, dict | list):
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        rows, ends = [_laid_out(item, deeper) for item in value], "[]"
    else:
        rows = [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, deeper)}" for key, item in value.items()]
        ends = "{}"
    inner = ",".join(f"\n{deeper}{row}" for row in rows)
    return f"{ends[0]}{inner}\n{indent}{ends[1]}"


def _folded(content: str) -> str:
    """The system message is long and always the same: the start of it stands for it, on one line."""
    first, _, rest = content.partition("\n")
    more = f" (and {len(rest.splitlines())} more lines)" if rest else ""
    room = WIDTH - LABEL - len(more)
    return (first if len(first) <= room else first[: room - 3] + "...") + more


def _heard(content: str) -> list[Block]:
    """A user message as blocks: the engine's lines begin with a bracket, the customer's never do."""
    found: list[Block] = []
    for line in content.split("\n"):
        who = "world" if line.startswith("[") else "customer"
        if found and found[-1].who == who:
            found[-1] = Block(who, f"{found[-1].text}\n{line}")
        else:
            found.append(Block(who, line))
    return found

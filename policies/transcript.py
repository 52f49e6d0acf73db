"""One conversation, for eyes: who said what, what each turn paid, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ..envs.blocks import MAX_PRETTY, blocks, printable
from ..envs.memory import Fact
from ..envs.render import STYLES
from .trace import Step, Trace

WIDE = 110
"""The columns beyond which lines grow too long to be read."""
LABEL = 15
"""The columns of the turn's number and the speaker."""
SMALL = 1e-9
FAULTS = {"violation": "bold red", "malformed": "red", "refused": "yellow", "end": "bold"}
"""Kind of fact -> the style of its line."""


class Line(NamedTuple):
    """What one speaker says, or the desk tells."""

    who: str
    text: Text
    style: str


def show(trace: Trace, console: Console | None = None, system: bool = False) -> None:
    """Print a conversation; `system`: with the whole system message, of which else only the start is shown."""
    view = _View(console or Console())
    view.rule(trace.scene)
    view.print(Text.assemble(printable(trace.kind), view.dot, printable(trace.policy), view.dot, _verdict(trace)))
    head = len(trace.messages) - 2 * len(trace.steps)
    view.turn("", [line for message in trace.messages[:head] for line in _heard(message, [], system)])
    for turn, step in enumerate(trace.steps):
        said, answer = trace.messages[head + 2 * turn : head + 2 * turn + 2]
        lines = [*_said(said["content"]), *_heard(answer, step.facts, system), *_paid(step)]
        view.turn(str(turn + 1), lines)
    view.rule("")
    view.print(_end(trace))
    if trace.error:
        view.print(Text(printable(f"not measured: {trace.error}"), style="yellow"))


class _View:
    """A console, written to line by line, so that no line ends in blanks."""

    def __init__(self, console: Console) -> None:
        self._console, self._width = console, min(console.width, WIDE)
        self.dot = (" · " if self._encoded("·") == "·" else " - ", "dim")
        self._dash = "─" if self._encoded("─") == "─" else "-"

    def rule(self, title: str) -> None:
        """A line across, with the title of what follows."""
        line = Rule(Text(title, style="bold"), characters=self._dash, style="dim", align="left")
        self._console.print(line, width=self._width)

    def turn(self, number: str, lines: list[Line]) -> None:
        """What is said in a turn; a speaker is named where another spoke before."""
        last = ""
        self._console.print()
        for line in lines:
            label = Text().append(f"{number:>3}  ", "dim").append(line.who if line.who != last else "", line.style)
            self.print(line.text, label)
            number, last = "", line.who

    def print(self, text: Text, label: Text | None = None) -> None:
        """A text in lines that fit, behind its label."""
        room = max(self._width - (LABEL if label else 0), 20)
        for row in self._safe(text).wrap(self._console, room):
            if label is not None:
                label.pad_right(LABEL - len(label))
                row, label = label.append_text(row), Text()
            row.rstrip()
            self._console.print(row, soft_wrap=True)

    def _safe(self, text: Text) -> Text:
        """The text in characters that the terminal has; others become question marks, one for one."""
        text = text.copy()
        text.plain = self._encoded(text.plain)
        return text

    def _encoded(self, text: str) -> str:
        return text.encode(self._console.encoding, "replace").decode(self._console.encoding)


def _verdict(trace: Trace) -> Text:
    if not trace.measured:
        return Text("not measured", style="bold yellow")
    if not trace.outcome:
        return Text("not over", style="bold yellow")
    how = f", {trace.outcome.replace('_', ' ')}"
    return Text("success", style="bold green").append(how) if trace.success else Text("failure" + how, style="bold red")


def _said(content: str) -> Iterator[Line]:
    """What the agent did: the words of its action as speech, the rest as JSON on one line; else the text as it is."""
    style = f"bold {STYLES['agent']}"
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        yield Line("agent", Text(_short(content), style=STYLES["agent"]), style)
        return
    spoken = isinstance(value.get("message"), str)
    if spoken:
        yield Line("agent", Text(_short(value.pop("message")), style=STYLES["agent"]), style)
    action = _short(json.dumps(value, ensure_ascii=False))
    yield Line("agent", Text(action, style=f"dim {STYLES['agent']}" if spoken else STYLES["agent"]), style)


def _short(text: str) -> str:
    """A text that can be printed; of a huge one the beginning."""
    more = len(text) - MAX_PRETTY
    return printable(text if more <= 0 else f"{text[:MAX_PRETTY]}... (and {more} more characters)")


def _heard(message: dict[str, str], facts: list[Fact], system: bool) -> Iterator[Line]:
    """A message to the agent: the lines of the desk and the customer's words."""
    if message["role"] == "system" and system:
        yield Line("system", Text(printable(message["content"]), style="dim"), "dim")
        return
    styles = {printable(fact["words"][0]): FAULTS[fact["kind"]] for fact in facts if fact["kind"] in FAULTS}
    for block in blocks([message]):
        if block.who == "world":
            yield from (Line("desk", Text(row, style=styles.get(row, "dim")), "dim") for row in block.text.split("\n"))
        else:
            yield Line(block.who, Text(block.text, style=STYLES[block.who]), f"bold {STYLES[block.who]}")


def _paid(step: Step) -> Iterator[Line]:
    """What the turn paid, where it paid anything."""
    if terms := _terms(step.terms):
        yield Line("reward", terms, "dim")


def _terms(terms: dict[str, float]) -> Text:
    """The terms that are not zero."""
    shown = [(name, value) for name, value in terms.items() if abs(value) > SMALL]
    return Text("  ").join(
        Text(f"{name} {value:+.2f}", style="green" if value > 0 else "bold red") for name, value in shown
    )


def _end(trace: Trace) -> Text:
    """How it ended, and what it came to."""
    size = len(trace.steps)
    how = f"{trace.outcome.replace('_', ' ') or 'broken off'} after" if trace.outcome or trace.error else "so far"
    line = Text(how, style="bold")
    line.append(f" {size} turn{'s' * (size != 1)} (par {trace.par})   return ", style="not bold")
    line.append(f"{trace.total:+.2f}")
    if terms := _terms(trace.terms):
        line.append(" = ", style="not bold dim").append_text(terms)
    return line

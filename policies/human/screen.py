"""What whoever plays is shown: what was said, what may be answered, and in the end the score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ...envs.actions import Action, ActionSet, describe
from ...envs.blocks import blocks, printable
from ...envs.memory import PERSON, Fact, Memory
from ...envs.render import STYLES
from ..rollout import Episode
from ..transcript import FAULTS
from .form import YES_OR_NO, Offer, Question

WIDE = 110
"""The columns beyond which lines grow too long to be read."""
LABEL = 10
SHOWN = 15
"""The offers that are listed; the others are for Tab."""
COMMANDS = {
    "?": "this help; `? NAME` tells all of an action",
    "rules": "the job, with the house rules, as a language model is told it",
    "memory": "what has been said and shown so far (in some environments this does the reading for you)",
    "do": "take the action that the customer has agreed to",
    "back": "leave the action that is being typed (so does Ctrl-C)",
    "quit": "end the game (so does Ctrl-D)",
    "!TEXT": "send a text, or give a field a value, although it is not valid; `!` alone: the last one",
}


class Screen:
    """A console, written to in lines that are not too long."""

    def __init__(self, console: Console) -> None:
        self.console, self._heard = console, 0

    @property
    def _width(self) -> int:
        return min(self.console.width, WIDE)

    def forget(self) -> None:
        """A conversation begins."""
        self._heard = 0

    def opening(self, title: str) -> None:
        """What somebody has to know who plays for the first time."""
        line = "─" if self._safe("─") == "─" else "-"
        self.console.print(
            Rule(Text(title, style="bold"), characters=line, style="dim", align="left"), width=self._width
        )
        self.note(
            "You are the agent: type the name of an action, then what it asks for. Tab completes, ? helps, "
            "rules shows the job and its rules."
        )

    def heard(self, messages: Sequence[dict[str, str]], facts: Sequence[Fact] = ()) -> None:
        """What was said since the last time; of the facts the lines about faults get their colour."""
        new, self._heard = messages[self._heard :], len(messages)
        faults = {printable(fact["words"][0]): FAULTS[fact["kind"]] for fact in facts if fact["kind"] in FAULTS}
        self.console.print()
        for message in new:
            if message["role"] == "assistant":
                self._said(message["content"])
            elif message["role"] == "user":
                self._answered(message, faults)
        self.console.print()

    def _said(self, content: str) -> None:
        """What the agent did: the words of an action as speech, the rest as JSON."""
        label, style = Text("agent", style=f"bold {STYLES['agent']}"), STYLES["agent"]
        try:
            action: Any = json.loads(content)
        except (ValueError, RecursionError):
            action = None
        if isinstance(action, dict):
            if isinstance(action.get("message"), str):
                self._row(label, Text(printable(action.pop("message")), style=style))
                label = Text()
            content, style = json.dumps(action, ensure_ascii=False), f"dim {style}"
        self._row(label, Text(printable(content), style=style))

    def _answered(self, message: dict[str, str], faults: dict[str, str]) -> None:
        for block in blocks([message]):
            who = "desk" if block.who == "world" else block.who
            text = Text(style=STYLES[block.who])
            for row in block.text.split("\n"):
                text.append(row, faults.get(row)).append("\n")
            text.rstrip()
            self._row(Text(who, style=f"bold {STYLES[block.who]}"), text)

    def options(self, question: Question) -> None:
        """What may be answered."""
        if question.kind == YES_OR_NO:
            return
        if question.about:
            self.note(f"  {question.about}")
        offers = question.offers if question.closed else question.offers[-SHOWN:]
        if [question.blank] == [offer.text for offer in offers if not offer.gloss]:
            return
        first = len(question.offers) - len(offers) + 1
        if first > 1:
            self.note(f"     and {first - 1} more (Tab)")
        wide = max((len(offer.text) for offer in offers), default=0)
        rows = [self._offer(offer, question.numbered and number, wide) for number, offer in enumerate(offers, first)]
        if any(offer.gloss for offer in offers) or wide > 40:
            for row in rows:
                row.truncate(self._width - 1, overflow="ellipsis" if self._safe("…") == "…" else "crop")
                self._print(row)
        elif rows:
            self._columns(rows)

    def _offer(self, offer: Offer, number: int, wide: int) -> Text:
        text = Text(f"  {number or '':>2} ", style="dim").append(f"{printable(offer.text):<{wide}}", style="not dim")
        return text.append(f"  {printable(offer.gloss)}" if offer.gloss else "")

    def _columns(self, rows: Sequence[Text]) -> None:
        """Short ones side by side."""
        across = max(self._width // (len(rows[0]) + 2), 1)
        for start in range(0, len(rows), across):
            self._print(Text("  ").join(rows[start : start + across]))

    def wrong(self, text: str) -> None:
        """Why something will not do."""
        self._print(Text(f"  {printable(text)}", style="red"))

    def note(self, text: str) -> None:
        """A word of the game's own."""
        self._print(Text(printable(text), style="dim"))

    def help(self, actions: ActionSet) -> None:
        """The actions and the commands."""
        self._section("Actions (a field in [brackets] may be left out)")
        for kind in actions.types:
            self._print(Text("  ").append(_signature(actions, kind)))
        self._section("Commands")
        for name, what in COMMANDS.items():
            self._row(Text(f"  {name}", style="bold"), Text(what))
        self.note(
            "All on one line works too: ask email, or find_customer first_name=Ada last_name=Moss; so does a whole "
            'JSON object. A known value is chosen by its number; "1" in quotes is the text 1.'
        )
        self.console.print()

    def action(self, actions: ActionSet, kind: type[Action]) -> None:
        """One action: its fields, what it does, and its examples."""
        self._print(_signature(actions, kind))
        self._print(Text(describe(kind)))
        for example in kind.examples:
            self.note(f"e.g. {json.dumps(example, ensure_ascii=False)}")

    def text(self, text: str) -> None:
        """A text of several lines."""
        for row in ["", *text.split("\n"), ""]:
            self._print(Text(printable(row)))

    def memory(self, memory: Memory) -> None:
        """What is known."""
        told = {"person": memory.person, **{f"request {no}": what for no, what in enumerate(memory.requests)}}
        self._section("Said")
        for who, what in told.items():
            open_ = "" if who == "person" else " (settled)" if int(who.split()[1]) in memory.settled else " (open)"
            self._known(who + open_, what)
        for no, field in sorted(memory.cannot):
            self.note(f"  not known to the customer: {field}" + ("" if no == PERSON else f" (request {no})"))
        for action in memory.agreed:
            self.note(f"  agreed to, not done yet: {shown(action)}")
        if memory.seen:
            self._section("Shown")
        for name, what in memory.seen.items():
            self._known(name, what)
        self.console.print()

    def _known(self, name: str, what: dict[str, Any]) -> None:
        self._row(Text(f"  {printable(name)}", style="bold"), Text(printable(plainly(what)).replace("\n", " ")))

    def score(self, episode: Episode, flawless: Episode | None) -> None:
        """How it ended, what it came to, and what could have been."""
        self.console.print(Rule(characters="─" if self._safe("─") == "─" else "-", style="dim"), width=self._width)
        verdict = Text("success", "bold green") if episode.success else Text("no success", "bold red")
        verdict.append(f", {episode.outcome.replace('_', ' ')}", "not bold default")
        self._row(Text("outcome"), verdict if episode.over else Text("broken off", "bold"))
        terms = [f"{name} {value:+.2f}" for name, value in episode.terms.items() if abs(value) > 1e-9]
        detail = f" = {'  '.join(terms)}" if terms else ""
        self._row(Text("return"), Text(f"{episode.total:.2f}", "bold").append(detail, "not bold"))
        self._row(Text("turns"), Text(f"{episode.turns} (par {episode.par})"))
        faults = [("broken rules", ", ".join(dict.fromkeys(episode.violations)))] if episode.violations else []
        faults += [(name, f"{n} times" if n > 1 else "once") for name, n in _counts(episode) if n]
        for name, what in faults:
            self._row(Text(name), Text(what, "yellow"))
        if flawless is not None:
            self._row(Text("flawless"), Text(f"{flawless.total:.2f} in {_turns(flawless.turns)}, the expert's play"))
            if "/" in flawless.scene and flawless.own is None and "@" not in flawless.scene:
                self.note(f"{'':<{LABEL}}stateset-gym show {flawless.scene}")

    def _section(self, title: str) -> None:
        self.console.print()
        self._print(Text(title, style="bold"))

    def _row(self, label: Text, text: Text) -> None:
        """A text in lines that fit, behind its label."""
        width = max(LABEL, len(label) + 1)
        for row in self._fit(text).wrap(self.console, max(self._width - width, 20)):
            label.pad_right(width - len(label))
            row.rstrip()
            self.console.print(Text().append_text(label).append_text(row), soft_wrap=True)
            label = Text()

    def _print(self, text: Text) -> None:
        for row in self._fit(text).wrap(self.console, self._width):
            row.rstrip()
            self.console.print(row, soft_wrap=True)

    def _fit(self, text: Text) -> Text:
        text = text.copy()
        text.plain = self._safe(text.plain)
        return text

    def _safe(self, text: str) -> str:
        """A text that the terminal can show: characters that it lacks become question marks."""
        return text.encode(self.console.encoding, "replace").decode(self.console.encoding)


def shown(action: Action) -> str:
    """An action on one line."""
    import msgspec

    return msgspec.json.encode(action).decode()


def _signature(actions: ActionSet, kind: type[Action]) -> Text:
    """The name of an action and its fields, those that may be left out in brackets."""
    node = actions.schema["$defs"][kind.__name__]
    text = Text(str(kind.__struct_config__.tag), style="bold")
    for name in node["properties"]:
        if name != "type":
            text.append(f" {name}" if name in node["required"] else f" [{name}]", "not bold")
    return text


def _turns(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"


def _counts(episode: Episode) -> list[tuple[str, int]]:
    return [("refused", episode.refused), ("malformed", episode.malformed)]


def plainly(value: Any) -> str:
    """A value in words: `name urban chair; options (color white)`."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {_within(item)}" for key, item in value.items() if item not in ("", [], {}))
    return ", ".join(map(_within, value)) if isinstance(value, list) else str(value)


def _within(value: Any) -> str:
    return f"({plainly(value)})" if isinstance(value, dict) else plainly(value)

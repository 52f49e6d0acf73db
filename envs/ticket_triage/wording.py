"""The words of tickets, and of the desk's rule book."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..chance import below, block, paired
from ..memory import Fact
from ..wording import sentence
from .actions import ACTIONS
from .phrases import CIRCUMSTANCES, CLOSINGS, GREETINGS, HEADS, ISSUES, SUBJECTS, TAILS
from .rules import LARGE, PRIORITIES, QUEUES, Said, Scene

EASY = 4
"""How many entries of each list easy tickets know."""

_PURPOSES = (
    "subject", "issue", "side", "circumstance", "extra", "order_id", "email", "amount_cents", "product", "aside",
    "aside2", "wish", "filler", "filler2", "forward", "quote",
)  # fmt: skip
PLACES = {purpose: 2 * place for place, purpose in enumerate(_PURPOSES)}
"""Where in its block of words a sentence has its two draws."""


_SWAPPABLE = re.compile(r"\B([a-z])(?!\1)([a-z])\B")


class Outline(NamedTuple):
    """What a ticket shall say; a detail's value comes with the way it is written."""

    name: str
    difficulty: str
    test: bool
    subject: str
    issue: str
    details: dict[str, tuple[str | int, str]]
    circumstances: tuple[str, ...] = ()
    side: str = ""
    asides: tuple[tuple[str, tuple[str | int, str]], ...] = ()
    wish: str = ""
    fillers: int = 0
    writer: str = ""
    """The name that the ticket is signed with."""
    forwarded: tuple[str, str] = ("", "")
    """The name and address of a forwarded message's From line."""
    quoted: str = ""
    """The order that a quoted older message is about."""
    order: tuple[int, ...] = ()
    """Draws that order the sentences."""


class Writer:
    """Writes one ticket, and keeps what is said in it."""

    __slots__ = ("draws", "easy", "named", "outline", "said", "test")

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.easy, self.test = outline.difficulty == "easy", outline.test
        self.draws = block(outline.name, "words")
        self.named = False
        self.said: list[Said] = []

    def phrase(self, heads: tuple[str, ...], tails: tuple[str, ...], purpose: str) -> tuple[str, str]:
        """The head and the tail that this scene has for a purpose."""
        place, draws, easy = PLACES[purpose], self.draws, self.easy
        sizes = (EASY, EASY) if easy else (len(heads), len(tails))
        head, tail = paired(draws[place], draws[place + 1], sizes, self.test, easy)
        return heads[head], tails[tail]

    def one(self, options: tuple[str, ...], draw: int) -> str:
        """One of the options that belong to this split."""
        return options[2 * below(draw, len(options) // 2) + self.test]

    def tell(self, head: str, tails: tuple[str, ...], purpose: str, field: str, value: str | bool) -> str:
        """A sentence whose whole tail is what says the thing."""
        start, tail = self.phrase(HEADS[head], tails, purpose)
        self.said.append(Said(field, value, tail))
        return sentence(start, tail)

    def detail(self, head: str, key: str, field: str, told: tuple[str | int, str], purpose: str) -> str:
        """A sentence with a value in it."""
        start, tail = self.phrase(HEADS[head], TAILS[key], purpose)
        value, shown = told
        self.said.append(Said(field, value, shown))
        return sentence(start, tail.replace("{value}", shown))

    def problem(self) -> list[str]:
        """The issue, and on some hard tickets a side issue before or after it."""
        outline = self.outline
        head, tail = self.phrase(HEADS["main" if outline.side else "problem"], ISSUES[outline.issue], "issue")
        if "{it}" in tail:
            tail = tail.replace("{it}", self.it())
        self.said.append(Said("issue", outline.issue, tail))
        lines = [sentence(head, tail)]
        if outline.side:
            head, tail = self.phrase(HEADS["side"], ISSUES[outline.side], "side")
            tail = tail.replace("{it}", "another item")
            self.said.append(Said("side_issue", outline.side, tail))
            lines.insert(outline.order[0] & 1, sentence(head, tail))
        return lines

    def it(self) -> str:
        """The product within the issue's sentence, named if the ticket tells it."""
        if "product" not in self.outline.details:
            return "the item"
        self.named = True
        value, shown = self.outline.details["product"]
        self.said.append(Said("product", value, shown))
        return f"the {shown}"

    def rest(self) -> list[str]:
        """The other sentences, in the order of a form."""
        outline = self.outline
        lines = [
            self.detail("detail", field, field, value, field)
            for field, value in outline.details.items()
            if field != "product" or not self.named
        ]
        for name, purpose in zip(outline.circumstances, ("circumstance", "extra"), strict=False):
            lines.append(self.tell("circumstance", CIRCUMSTANCES[name], purpose, name, True))
        for (field, value), purpose in zip(outline.asides, ("aside", "aside2"), strict=False):
            lines.append(self.detail("aside", field, field, value, purpose))
        if outline.wish:
            lines.append(self.tell("wish", TAILS[outline.wish], "wish", "wish", outline.wish))
        return lines

    def fillers(self) -> list[str]:
        """Small talk, with typing errors on hard tickets."""
        lines = []
        for purpose in ("filler", "filler2")[: self.outline.fillers]:
            text = sentence(*self.phrase(HEADS["filler"], TAILS["filler"], purpose))
            lines.append(slip(text, self.draws[PLACES[purpose]]) if self.outline.difficulty == "hard" else text)
        return lines

    def signed(self, body: str) -> str:
        """The body between a greeting and a signature."""
        outline, order = self.outline, self.outline.order
        text = f"{self.one(GREETINGS, order[1])}\n\n{body}"
        if not outline.writer:
            return text
        self.said.append(Said("name", outline.writer, outline.writer))
        return f"{text}\n\n{self.one(CLOSINGS, order[2])}\n{outline.writer}"

    def wrapped(self, subject: str, body: str) -> str:
        """The body as a forwarded message, or with a quoted older one below it."""
        outline = self.outline
        writer, address = outline.forwarded
        if writer:
            start = sentence(*self.phrase(HEADS["forward"], TAILS["forward"], "forward"))
            self.said += (Said("name", writer, writer), Said("other_email", address, address))
            header = f"From: {writer} <{address}>\nSubject: {subject}"
            return f"{start}\n\n---------- Forwarded message ----------\n{header}\n\n{body}"
        if outline.quoted:
            line = self.detail("quote", "quote", "other_order_id", (outline.quoted, outline.quoted), "quote")
            return f"{body}\n\nThe shop wrote earlier:\n> {line}"
        return body


def write(outline: Outline) -> tuple[str, str, tuple[Said, ...]]:
    """The subject and the body of a ticket, and what they say."""
    writer = Writer(outline)
    subject = " ".join(writer.phrase(HEADS["subject"], SUBJECTS[outline.subject], "subject"))
    problem, rest = writer.problem(), writer.rest()
    if writer.easy:
        return subject, " ".join([*problem, *rest]), tuple(writer.said)
    rest = _mixed(rest + writer.fillers(), outline.order[3:])
    if outline.difficulty == "hard":
        half = len(rest) // 2
        body = f"{' '.join(rest[:half] + problem)}\n\n{' '.join(rest[half:])}"
    else:
        body = " ".join(problem + rest)
    return subject, writer.wrapped(subject, writer.signed(body)), tuple(writer.said)


def slip(text: str, draw: int) -> str:
    """The text with two neighbouring letters of one of its longer words swapped."""
    found = _SWAPPABLE.search(text, below(draw, len(text) // 2))
    if found is None:
        return text
    at = found.start()
    return f"{text[:at]}{text[at + 1]}{text[at]}{text[at + 2 :]}"


def _mixed(lines: list[str], draws: Sequence[int]) -> list[str]:
    """The lines in another order."""
    free = lines.copy()
    return [free.pop(below(draw, len(free))) for draw in draws[: len(lines)]]


def say(scene: Scene, facts: Sequence[Fact], turn: int) -> str:
    """The ticket; its facts bear their words from the start."""
    return f"Subject: {scene.subject}\n\n{scene.body}"


def show(scene: Scene, fact: Fact) -> str:
    """Which fields were right, on one line; the line is the fact's words."""
    marks = fact["shows"]["grades"]
    line = f"[triage] {'; '.join([f'{field} {mark}' for field, mark in marks.items()])}"
    fact["words"] = [line]
    return line


def brief(prompt: str) -> str:
    """What the agent is told at the start: the rule book, and the action."""
    return f"{BOOK}\n\nYour one action:\n{ACTIONS.prompt(examples=prompt == 'full')}"


def _rows() -> str:
    lines = ["The queue follows from the main issue, as the writer states it:"]
    lines += [f"- {queue}: {'; '.join(issues.values())}" for queue, issues in QUEUES.items()]
    lines += ["Side issues, wishes (a refund, a call, an apology) and the subject line do not change the queue.", ""]
    lines += ["The priority is the first of these that applies:"]
    for priority, circumstances in PRIORITIES.items():
        reasons = [*circumstances.values()] or ["nothing of the kind"]
        if priority == "high":
            reasons.append(f"the amount in question is above ${LARGE // 100}.00")
        lines.append(f"- {priority}: {'; '.join(reasons)}")
    return "\n".join(lines)


BOOK = f"""You sort the tickets of an online shop. Read the ticket and answer with one JSON object and nothing else.

{_rows()}

The details, as the ticket tells them; leave out what it does not tell:
- order_id: the order that the ticket is about, not one that is mentioned in passing or in a quoted message
- email: the address at which the writer wants to be answered, not an old one and not one of a From line
- amount_cents: the amount in question, in cents ($49.90 is 4990), not a price that somebody else asks or paid
- product: the product that the ticket is about, in the ticket's words, not another one that is mentioned
A wrong detail costs its share of the score; one that stands nowhere in the ticket is an invention and costs more."""

"""The rule book of the triage desk, the state, and what an answer is worth."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..actions import Action
from ..memory import PERSON, Fact, Memory
from .actions import DETAILS, Priority, Queue, Triage

QUEUES: dict[Queue, dict[str, str]] = {
    "billing": {
        "charged_twice": "charged twice",
        "wrong_amount": "charged a wrong amount",
        "refund_missing": "a refund that is due has not come",
        "invoice": "an invoice or a receipt",
    },
    "shipping": {
        "late": "a late delivery",
        "misdelivered": "delivered to a wrong place",
        "tracking": "tracking",
        "vanished": "a lost parcel",
    },
    "returns": {
        "broken": "a product arrived broken",
        "wrong_item": "a wrong product arrived",
        "unwanted": "sending a product back",
        "incomplete": "a product arrived with parts missing",
    },
    "technical": {
        "app_crash": "the app fails",
        "site_error": "the website fails",
        "code_rejected": "the website does not take a discount code",
        "search_broken": "the search on the website",
    },
    "account": {
        "login": "logging in",
        "password": "the password",
        "details": "changing personal details",
        "delete": "deleting the account",
    },
    "sales": {
        "stock": "whether a product can be had",
        "bulk": "buying many",
        "advice": "advice before buying",
        "gift": "buying a gift",
    },
    "complaints": {
        "rude": "the staff's manners",
        "misleading": "dishonest advertising",
        "promise": "a promise not kept",
        "waste": "too much packaging",
    },
    "other": {
        "press": "press and media",
        "partnership": "a partnership or an offer to supply",
        "donation": "a donation or sponsoring",
        "job": "a job",
    },
}
"""Queue -> the issues that it takes, each with its words."""

PRIORITIES: dict[Priority, dict[str, str]] = {
    "urgent": {
        "danger": "the product hurt somebody or is dangerous",
        "legal": "the writer threatens or takes legal steps",
        "fraud": "somebody else uses the writer's account or name",
        "today": "it must be done by the end of today",
    },
    "high": {
        "deadline": "it must be done within days",
        "again": "the writer has asked for the same before",
        "stopped": "the writer's work stands still because of it",
    },
    "low": {
        "no_hurry": "the writer says that there is no hurry",
        "no_reply": "the writer says that no answer is needed",
    },
    "normal": {},
}
"""Priority -> the circumstances that call for it, each with its words; the first that applies counts."""

LARGE = 50_000
"""An amount in question above this, in cents, makes a ticket high."""

QUEUE_OF: dict[str, Queue] = {issue: queue for queue, issues in QUEUES.items() for issue in issues}
MARKS = ("wrong", "right")
ARTICLES = ("the ", "a ", "an ", "my ", "your ")
EDGES = " .,;:!?\"'`<>()[]#$"
_NUMBER = re.compile(r"\d[\d,]{0,14}(?:\.\d{1,4})?", re.ASCII)


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing that a ticket says: what it means, and the words in which it stands there."""

    field: str
    value: str | int | bool
    words: str


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A ticket, the right answer, and what the ticket says, part by part."""

    subject: str
    body: str
    answer: Triage
    said: tuple[Said, ...] = ()
    name: str = ""

    def __hash__(self) -> int:
        """Cheap, since the engine looks scenes up at every reset."""
        return hash(self.name)

    @property
    def kind(self) -> str:
        """The issue's family: the queue that takes it."""
        return self.answer.queue

    @property
    def par(self) -> int:
        """One ticket, one answer."""
        return 1

    @property
    def limit(self) -> int:
        """The turns a scene has unless `max_turns` says otherwise."""
        return 1


class State:
    """A ticket that is answered or not."""

    __slots__ = ("ended", "memory", "scene", "share")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.memory = Memory()
        self.share = 0.0
        self.ended = ""

    def copy(self) -> State:
        """A state that goes its own way."""
        twin = State(self.scene)
        twin.memory, twin.share, twin.ended = self.memory.copy(), self.share, self.ended
        return twin

    def key(self) -> tuple[Any, ...]:
        """What tells two states of one scene apart."""
        return self.share, self.ended


def opening(state: State) -> list[Fact]:
    """The ticket arrives: a fact for its subject, for its body, and for each thing that it says."""
    scene = state.scene
    facts = [_told("subject", scene.subject, scene.subject), _told("body", scene.body, scene.body)]
    return facts + [_told(part.field, part.value, part.words) for part in scene.said]


def _told(field: str, value: str | int, words: str) -> Fact:
    return {"kind": "said", "act": "tell", "no": PERSON, "field": field, "value": value, "words": [words]}


def play(state: State, act: Action, decide: Callable[..., dict[str, Any]] | None) -> list[Fact]:
    """Grade the answer, field by field, and close the ticket."""
    assert isinstance(act, Triage)
    scene = state.scene
    marks = grades(act, scene.answer)
    state.share = sum(marks.values()) / len(marks)
    state.ended = "closed"
    facts: list[Fact] = [
        {
            "kind": "result",
            "act": "triage",
            "shows": {"grades": {field: MARKS[right] for field, right in marks.items()}},
        }
    ]
    for field in marks:
        if not marks[field] and field in DETAILS and is_invented(getattr(act, field), scene):
            why = f"The ticket nowhere says the {field} {getattr(act, field)!r}."
            facts.append({"kind": "violation", "rule": "supported_claims", "term": "truth", "why": why})
    return facts


def goal(state: State) -> float:
    """The share of the graded fields that are right."""
    return state.share


def grades(given: Triage, right: Triage) -> dict[str, bool]:
    """Field -> right or wrong: the queue, the priority, and each detail that the ticket tells or the answer gives."""
    marks = {"queue": given.queue == right.queue, "priority": given.priority == right.priority}
    for field in DETAILS:
        mine, true = clean(getattr(given, field)), clean(getattr(right, field))
        if mine or true:
            marks[field] = mine == true
    return marks


def clean(value: str | int) -> str | int:
    """A detail as it is compared: case, outer punctuation, spacing and a leading article do not matter."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.casefold().split()).strip(EDGES)
    article = next((article for article in ARTICLES if text.startswith(article)), "")
    return text[len(article) :]


def is_invented(value: str | int, scene: Scene) -> bool:
    """Whether a detail was given that the ticket nowhere says."""
    wanted = clean(value)
    text = " ".join(f"{scene.subject}\n{scene.body}".casefold().split())
    if isinstance(wanted, int):
        return wanted != 0 and wanted not in amounts(text)
    return wanted != "" and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text) is None


def amounts(text: str) -> set[int]:
    """The numbers of a text, as amounts in cents."""
    return {round(float(number.replace(",", "")) * 100) for number in _NUMBER.findall(text)}


def by_the_book(said: Mapping[str, Any]) -> Triage:
    """The answer that the rule book gives to what a ticket says: field -> value."""
    return Triage(
        queue=QUEUE_OF.get(said.get("issue", ""), "other"),
        priority=_priority(said),
        **{field: said[field] for field in DETAILS if field in said},
    )


def _priority(said: Mapping[str, Any]) -> Priority:
    for priority, circumstances in PRIORITIES.items():
        large = priority == "high" and said.get("amount_cents", 0) > LARGE
        if large or any(name in said for name in circumstances):
            return priority
    return "normal"

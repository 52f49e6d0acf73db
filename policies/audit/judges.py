"""Second opinions on success: what a path of actions has earned by what was asked for, said and done on it.

They use nothing of an environment's own `goal` and state: actions, facts and the scene's data are all that they see.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...envs.actions import Action
from ...envs.customer_service import rules as shop
from ...envs.customer_service.actions import WRITES, HandOver, Inform, Propose, Refuse
from ...envs.customer_service.goals import Request, alike
from ...envs.customer_service.store import Refused, Store
from ...envs.memory import Fact
from ...envs.ticket_triage.actions import DETAILS
from ...envs.ticket_triage.rules import by_the_book, clean


class Judge(ABC):
    """Follows one path."""

    @abstractmethod
    def hear(self, act: Action | None, facts: Sequence[Fact]) -> None:
        """Take in a step; the opening has no act."""

    @abstractmethod
    def earned(self) -> float | None:
        """The share of the goal that is reached; None where the scene's data do not tell."""

    def needs_yes(self, act: Action) -> bool:
        """Whether an act changes what the customer has not agreed to, so that a breach must be named."""
        return False

    def copy(self) -> Judge:
        """One that follows a path of its own from here."""
        return copy.copy(self)


class Desk(Judge):
    """CustomerService: the writes are played again on fresh records; each request is settled by an act of its own."""

    def __init__(self, scene: Any) -> None:
        self._requests: tuple[Request, ...] = scene.plot.requests
        self._ends = _ends(scene)
        self._store: Store | None = Store(scene.base)
        """The records as these rules leave them; None once something took place that they refuse."""
        self._voiced = 0
        self._settled: frozenset[int] = frozenset()
        self._agreed: frozenset[Action] = frozenset()

    def hear(self, act: Action | None, facts: Sequence[Fact]) -> None:
        """Take in a step."""
        done = any(fact["kind"] == "result" for fact in facts)
        yes = {fact["no"] for fact in facts if fact.get("act") == "accept"}
        if isinstance(act, WRITES) and done:
            self._write(act)
            self._settle(no for no, request in self._open() if alike(request.goal.action, act))
        elif isinstance(act, Propose) and yes:
            self._agreed |= {act.action}
        elif not any(fact["kind"] == "violation" for fact in facts):
            self._settle(no for no, request in self._open() if _answers(act, request) and (done or no in yes))
        for fact in facts:
            if fact.get("field") == "request" and fact["no"] == self._voiced < len(self._requests):
                self._voiced += 1

    def earned(self) -> float:
        """1 where every request is settled and the records are as the customer's goals would have them."""
        settled = len(self._settled) == len(self._requests)
        return float(settled and self._store is not None and _changes(self._store) in self._ends)

    def needs_yes(self, act: Action) -> bool:
        """Whether a change was not agreed to."""
        return isinstance(act, WRITES) and act not in self._agreed

    def _open(self) -> list[tuple[int, Request]]:
        return [(no, self._requests[no]) for no in range(self._voiced) if no not in self._settled]

    def _settle(self, found: Iterable[int]) -> None:
        self._settled |= {*list(found)[:1]}

    def _write(self, act: Action) -> None:
        store = self._store and self._store.copy()
        self._store = None if store is None or isinstance(shop.apply(store, act), Refused) else store
        self._agreed -= {act}


def _answers(act: Action | None, request: Request) -> bool:
    """Whether an act of speech, or a hand-over, is what settles a request."""
    goal = request.goal
    if isinstance(act, Inform):
        return bool(goal.claims) and set(act.claims) == set(goal.claims)
    if isinstance(act, Refuse):
        return goal.rule is not None and (act.request, act.rule) == (request.request, goal.rule)
    return isinstance(act, HandOver) and goal.hand_over


def _ends(scene: Any) -> list[tuple[Any, ...]]:
    """What the records differ in from the start, for each way in which the customer is content."""
    wanted = [request.goal.action for request in scene.plot.requests if request.goal.action is not None]
    found = []
    for way in scene.plot.accepted_ends or (wanted,):
        store = Store(scene.base)
        for write in way:
            shop.apply(store, write)
        found.append(_changes(store))
    return found


def _changes(store: Store) -> tuple[Any, ...]:
    """The orders and the customers that are not as they were."""
    orders = {name: order for name, order in store.orders.items() if order != store.base.orders[name]}
    people = {name: person for name, person in store.customers.items() if person != store.base.customers[name]}
    return orders, people


class Ticket(Judge):
    """TicketTriage: the answer is compared with what the rule book gives to what the ticket was shown to say."""

    def __init__(self, scene: Any) -> None:
        self._said: Mapping[str, Any] = {}
        self._share: float | None = 0.0

    def hear(self, act: Action | None, facts: Sequence[Fact]) -> None:
        """Take in a step."""
        if act is None:
            self._said = {fact["field"]: fact["value"] for fact in facts if "field" in fact}
        elif "issue" not in self._said:
            self._share = None  # a ticket of a user's own need not say what it says
        else:
            right = by_the_book(self._said)
            pairs = [(clean(getattr(act, field)), clean(getattr(right, field))) for field in DETAILS]
            marks = [mine == true for mine, true in pairs if mine or true]
            marks += [getattr(act, field) == getattr(right, field) for field in ("queue", "priority")]
            self._share = sum(marks) / len(marks)

    def earned(self) -> float | None:
        """The share of the fields that are right."""
        return self._share


class Words(Judge):
    """Echo: each word that was asked for is the word that was said next."""

    def __init__(self, scene: Any) -> None:
        self._asked: str | None = None
        self._right = True

    def hear(self, act: Action | None, facts: Sequence[Fact]) -> None:
        """Take in a step."""
        if act is not None:
            self._right = self._right and getattr(act, "word", None) == self._asked
        self._asked = next((fact["value"] for fact in facts if fact.get("field") == "word"), None)

    def earned(self) -> float:
        """1 where all were right, and none is left to be said."""
        return float(self._right and self._asked is None)


JUDGES: dict[str, type[Judge]] = {"CustomerService-v0": Desk, "TicketTriage-v0": Ticket, "Echo-v0": Words}
"""Environment -> its judge."""


def judge_of(name: str, scene: Any) -> Judge | None:
    """The judge of a scene, where its environment has one."""
    kind: Any = JUDGES.get(name)
    return kind(scene) if kind else None

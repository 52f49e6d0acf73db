"""What an agent has been shown: a pure fold over its actions and the facts that became visible.

The engine, the expert, the discrete view and replay all use this one fold: none of them can know more than the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .actions import Action

Fact = dict[str, Any]
PERSON = -1
"""The `no` of a fact that concerns the person and none of their requests."""


class Memory:
    """The facts seen so far, laid out for look-ups."""

    __slots__ = ("agreed", "cannot", "done", "person", "requests", "seen", "settled")

    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        """What the customer said of themselves: field -> value."""
        self.requests: list[dict[str, Any]] = []
        """What the customer said of each request: field -> value; `request` is its kind."""
        self.seen: dict[str, dict[str, Any]] = {}
        """What tools showed: id -> field -> value."""
        self.cannot: set[tuple[int, str]] = set()
        """What the customer could not tell: (request, field)."""
        self.agreed: dict[Any, int] = {}
        """Proposals that the customer accepted and that are not carried out yet -> the request they serve."""
        self.done: dict[Action, int] = {}
        """Acts on the world that took place -> how often."""
        self.settled: set[int] = set()
        """Requests that are answered, declined or carried out."""

    def fold(self, action: Action | None, facts: Sequence[Fact]) -> None:
        """Take in one step: the action (`None` for the opening, or a malformed one) and its facts."""
        for fact in facts:
            kind = fact["kind"]
            if kind == "said":
                self._hear(action, fact)
            elif kind == "result" and action is not None:
                self._see(action, fact["shows"])

    def copy(self) -> Memory:
        """A memory that shares nothing which either could change."""
        twin = Memory.__new__(Memory)
        twin.person = self.person.copy()
        twin.requests = [request.copy() for request in self.requests]
        twin.seen = self.seen.copy()
        twin.cannot = self.cannot.copy()
        twin.agreed = self.agreed.copy()
        twin.done = self.done.copy()
        twin.settled = self.settled.copy()
        return twin

    def key(self) -> tuple[Any, ...]:
        """What tells two memories apart, hashable; the order in which things were learned is no part of it."""
        told = msgspec.json.encode([self.person, self.requests, self.seen], order="sorted")
        done = frozenset(self.done.items())
        return told, frozenset(self.cannot), frozenset(self.agreed.items()), done, frozenset(self.settled)

    def _hear(self, action: Action | None, fact: Fact) -> None:
        act, no = fact["act"], fact["no"]
        field = fact.get("field")
        if act == "accept":
            proposal = getattr(action, "action", None)
            if proposal is None:
                self.settled.add(no)
            else:
                self.agreed[proposal] = no
        elif act == "cannot_tell":
            self.cannot.add((no, fact["field"]))
        elif field == "request":
            if no == len(self.requests):
                self.requests.append({"request": fact["value"]})
        elif field is not None:
            (self.person if no == PERSON else self.requests[no])[field] = fact["value"]

    def _see(self, action: Action, shows: dict[str, dict[str, Any]]) -> None:
        self.done[action] = self.done.get(action, 0) + 1
        for name, view in shows.items():
            known = self.seen.get(name)
            self.seen[name] = view if known is None else {**known, **view}
        if action in self.agreed:
            self.settled.add(self.agreed.pop(action))

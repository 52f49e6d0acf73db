"""Exploring a scene exhaustively: breadth-first from its start, over all that the discrete view offers.

A state is what the environment's `key()` tells apart: records, customer and memory, but neither words nor turns. No
word is made here, so that an edge costs microseconds.
"""

from __future__ import annotations

import gc
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .actions import Action
from .catalogue import Catalogue
from .conversation import ConversationEnv
from .discrete import catalogue_of
from .errors import BadArgument
from .memory import Fact, Memory
from .parts import Parts
from .table import MALFORMED, Table

CAP = 200_000
"""How many states are found before exploration stops."""
Outcome = tuple[float, ...]
"""A row of `Table.outcomes`."""
MASKED: Outcome = tuple(float(column == MALFORMED) for column in range(6))
"""What comes of a masked template: it is priced as a malformed action, and changes nothing."""
Kind = type[ConversationEnv] | Parts


def tabulate(
    kind: Kind,
    scene: str | dict[str, Any],
    catalogue: Catalogue | None = None,
    cap: int = CAP,
    arguments: Mapping[str, Any] | None = None,
) -> Table:
    """The table of a scene, named or of your own; `arguments` are those of the environment's class, such as a store.

    Once `cap` states are found no more are explored: what follows them is unknown, and the table says so (`whole`,
    `explored`, `coverage`).
    """
    checked_cap(cap)
    if isinstance(kind, Parts):
        if kind.catalogue is None and catalogue is None:
            raise BadArgument(f"{kind.name} has no catalogue: give one, catalogue=Catalogue(...).")
        made = kind.load(scene) if isinstance(scene, dict) else kind.build(scene)
        return _Search(kind, made, catalogue or kind.catalogue, cap).table()  # type: ignore[arg-type]  # one is given
    env = kind(**unheard(kind, arguments or {}))
    name, build = env.next_scene(options={"scene": scene})
    made = build(name)
    return _Search(kind.parts, made, catalogue or catalogue_of(kind), cap).table()


def checked_cap(cap: int) -> int:
    """The cap, if it is one."""
    if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
        raise BadArgument(f"cap={cap!r} must be a whole number from 1 up.")
    return cap


def unheard(kind: type[ConversationEnv], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, if they leave the customer to the agenda: anybody else may answer as they like."""
    customer = arguments.get("customer", "agenda")
    if customer != "agenda":
        raise BadArgument(
            f"{kind.parts.name} with customer={customer!r} cannot be tabulated: what such a customer answers follows "
            "from no state. Leave customer='agenda', or play the environment itself."
        )
    return dict(arguments)


class _Search:
    """One exploration."""

    def __init__(self, parts: Parts, scene: Any, catalogue: Catalogue, cap: int) -> None:
        self._parts, self._scene, self._catalogue, self._cap = parts, scene, catalogue, cap
        self._actions = len(catalogue.action_names)
        self._numbers: dict[Any, int] = {}
        """Key of a state -> its number; of an end, what shows of it."""
        self._interned: dict[Any, int] = {}
        """Part of a key -> its number: parts are large, and most states share theirs with others."""
        self._waiting: deque[tuple[int, Any]] = deque()
        self._outcomes: dict[Outcome, int] = {MASKED: 0}
        self._rows: dict[tuple[float, ...], int] = {}
        """Features -> their number."""
        self._memories: dict[Any, int] = {}
        """Key of a memory -> the number of its features."""
        # Of each state that was found:
        self._parents, self._via, self._shown = array("i"), array("i"), array("i")
        self._cut = array("d")
        # Of each state that was explored:
        self._explored, self._next, self._outcome = array("i"), array("i"), array("H")
        self._masks: list[bytes] = []
        self._ends: list[int] = []

    def table(self) -> Table:
        """Explore, and lay out what was found."""
        searching = gc.isenabled()
        gc.disable()  # states hold no cycles, and a search for some in many thousands of them finds nothing
        try:
            self._explore()
        finally:
            if searching:
                gc.enable()
        return self._laid_out()

    def _explore(self) -> None:
        state = self._parts.start(self._scene)
        state.memory.fold(None, self._parts.opening(state))
        self._add(self._key(state), state, -1, -1)
        while self._waiting and len(self._numbers) < self._cap:
            self._expand(*self._waiting.popleft())
        for number, state in self._waiting:
            self._shown[number] = self._row(state.memory)

    def _expand(self, number: int, state: Any) -> None:
        """Play every template that memory can bind in a state."""
        look = self._catalogue.look(state.memory)
        self._shown[number] = self._numbered(look.features)
        following, outcomes = [number] * self._actions, [0] * self._actions
        for action, act in enumerate(look.actions):
            if act is not None:
                following[action], outcomes[action] = self._played(number, state, action, act)
        self._explored.append(number)
        self._next.extend(following)
        self._outcome.extend(outcomes)
        self._masks.append(bytes([act is not None for act in look.actions]))

    def _played(self, number: int, before: Any, action: int, act: Action) -> tuple[int, int]:
        """The state that an act leads to, and the outcome."""
        state = before.copy()
        facts = self._parts.play(state, act, None)
        state.memory.fold(act, facts)
        if not state.ended:
            found = self._numbers.get(key := self._key(state))
            if found is None:
                found = self._add(key, state, number, action)
            return found, self._outcome_of(facts, 0.0, 0.0)
        # Of an end all that counts is what shows of it: nothing is played from there.
        shown = self._last_seen(state.memory) if facts else self._shown[number]
        found = self._numbers.get(shown)
        if found is None:
            found = self._add(shown, None, number, action, shown)
        return found, self._outcome_of(facts, 1.0, float(self._parts.goal(state)))

    def _add(self, key: Any, state: Any, parent: int, via: int, shown: int = -1) -> int:
        self._numbers[key] = number = len(self._numbers)
        self._parents.append(parent)
        self._via.append(via)
        self._shown.append(shown)
        if state is None:
            self._ends.append(number)
            self._cut.append(0.0)
        else:
            self._cut.append(self._parts.goal(state))
            self._waiting.append((number, state))
        return number

    def _key(self, state: Any) -> Any:
        parts, interned = state.key(), self._interned
        return tuple([interned.setdefault(part, len(interned)) for part in parts])

    def _last_seen(self, memory: Memory) -> int:
        """What a memory shows; many ends leave one and the same."""
        key = memory.key()
        found = self._memories.get(key)
        if found is None:
            self._memories[key] = found = self._row(memory)
        return found

    def _row(self, memory: Memory) -> int:
        return self._numbered(self._catalogue.look(memory).features)

    def _numbered(self, features: tuple[float, ...]) -> int:
        return self._rows.setdefault(features, len(self._rows))

    def _outcome_of(self, facts: Sequence[Fact], done: float, goal: float) -> int:
        found = (*_faults(facts), done, goal)
        return self._outcomes.setdefault(found, len(self._outcomes))

    def _laid_out(self) -> Table:
        count, size, scene = len(self._numbers), self._actions, self._scene
        explored = np.frombuffer(self._explored, np.int32)
        following = np.full((count, size), -1, np.int32)
        following[explored] = np.frombuffer(self._next, np.int32).reshape(-1, size)
        outcomes, place = np.unique(np.array(list(self._outcomes)), axis=0, return_inverse=True)
        outcome = np.zeros((count, size), np.uint16)
        outcome[explored] = place.astype(np.uint16)[np.frombuffer(self._outcome, np.uint16)].reshape(-1, size)
        mask = np.zeros((count, size), np.bool_)
        mask[explored] = np.frombuffer(b"".join(self._masks), np.bool_).reshape(-1, size)
        ended, known = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        ended[self._ends] = True
        known[explored] = True
        return Table(
            name=scene.name,
            kind=scene.kind,
            par=scene.par,
            limit=scene.limit,
            found=count,
            expanded=int((known | ended).sum()),
            action_names=self._catalogue.action_names,
            feature_names=self._catalogue.feature_names,
            next_state=following,
            outcome=outcome,
            outcomes=outcomes,
            mask=mask,
            rows=np.array(list(self._rows), np.float32),
            row=np.array(self._shown, np.int32),
            cut=np.array(self._cut),
            ended=ended,
            explored=known | ended,
            parent=np.array(self._parents, np.int32),
            via=np.array(self._via, np.int32),
        )


def _faults(facts: Sequence[Fact]) -> tuple[float, float, float, float]:
    """How many faults of each kind are among the facts."""
    conduct = truth = malformed = refused = 0.0
    for fact in facts:
        kind = fact["kind"]
        if kind == "violation":
            if fact["term"] == "truth":
                truth += 1
            else:
                conduct += 1
        elif kind == "refused":
            refused += 1
        elif kind == "malformed":
            malformed += 1
    return conduct, truth, malformed, refused

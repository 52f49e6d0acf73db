"""What the paths through a table can return, over all its states and turns: exact, by dynamic programming."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...envs.optimum import lost
from ...envs.table import CONDUCT, DONE, GOAL, TRUTH, Table, costs
from ...rewards.terms import PRICES, Prices

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
NEVER = -np.inf
"""What a path returns that there is not."""


class Best(NamedTuple):
    """The best returns of the paths from the start: of those without a breach, and of those with one or more."""

    flawless: float
    breaching: float

    @property
    def any(self) -> float:
        """The best return of all."""
        return max(self)


class Edges:
    """All that can be done in a table, in the order of the states: each template that is allowed, and one that is not.

    What is masked leaves the state as it was, so that one of them stands for all.
    """

    def __init__(self, table: Table, prices: Prices = PRICES) -> None:
        self.table = table
        open_states = table.explored & ~table.ended
        used = table.mask & open_states[:, None]
        some = open_states & ~table.mask.all(axis=1)
        used[some, np.argmin(table.mask[some], axis=1)] = True
        self.start, self.action = np.nonzero(used)
        self.to: Indices = table.next_state[used].astype(np.intp)
        number = table.outcome[used]
        self.paid: Floats = -costs(table.outcomes, prices)[number]
        self.late = prices.late_turn
        self.ends: Flags = table.outcomes[number, DONE] > 0
        self.goal: Floats = table.outcomes[number, GOAL]
        self.breach: Flags = table.outcomes[number, CONDUCT] + table.outcomes[number, TRUTH] > 0
        self.clean: Flags = table.outcomes[number, :DONE].sum(axis=1) == 0
        self._states, self._first = np.unique(self.start, return_index=True)

    def best(self, values: Floats) -> Floats:
        """State -> the best of a value of its edges."""
        found: Floats = np.full(self.table.states, NEVER)
        if len(values):
            found[self._states] = np.maximum.reduceat(values, self._first)
        return found


class Returns:
    """The best returns of what is left of a conversation, for each turn and state.

    The cut of penalties at 1 is left out of account: it lifts no return above 0, and what is asked is whether one comes
    near the optimum. A state that was not explored leads nowhere, so that what is found can be had for certain.
    """

    def __init__(self, edges: Edges, limit: int | None = None) -> None:
        self.edges, self.par = edges, edges.table.par
        self.limit = limit or edges.table.limit

    def best(self) -> Best:
        """The best returns from the start."""
        flawless, breaching = self._last()
        for turn in range(self.limit - 1, -1, -1):
            flawless, breaching = map(self.edges.best, self._options(turn, flawless, breaching))
        return Best(float(flawless[0]), float(breaching[0]))

    def path(self, breach: bool) -> tuple[int, ...]:
        """The actions of a path that returns most: of those with a breach, or of those without one."""
        values = [self._last()]
        for turn in range(self.limit - 1, -1, -1):
            flawless, breaching = self._options(turn, *values[-1])
            values.append((self.edges.best(flawless), self.edges.best(breaching)))
        path: list[int] = []
        state, broken = 0, False
        for turn in range(self.limit):
            flawless, breaching = self._options(turn, *values[self.limit - turn - 1])
            options = flawless if not breach else np.maximum(flawless, breaching) if broken else breaching
            here = np.flatnonzero(self.edges.start == state)
            edge = int(here[np.argmax(options[here])])
            path.append(int(self.edges.action[edge]))
            state, broken = int(self.edges.to[edge]), broken or bool(self.edges.breach[edge])
            if self.edges.ends[edge]:
                break
        return tuple(path)

    def _last(self) -> tuple[Floats, Floats]:
        """What is paid where the turns have run out: no path from there breaks anything any more."""
        return self.edges.table.cut, np.full(self.edges.table.states, NEVER)

    def _options(self, turn: int, flawless: Floats, breaching: Floats) -> tuple[Floats, Floats]:
        """The returns of each edge, without a breach and with one, given those of the next turn's states."""
        edges = self.edges
        paid = edges.paid - (edges.late if turn >= self.par else 0.0)
        clean = paid + np.where(edges.ends, edges.goal, flawless[edges.to])
        after = paid + np.where(edges.ends, NEVER, breaching[edges.to])
        return np.where(edges.breach, NEVER, clean), np.where(edges.breach, np.maximum(clean, after), after)


class Traps(NamedTuple):
    """Dead ends that nothing has marked."""

    states: int
    """How many of them there are."""
    path: list[int]
    """The actions of a path to the nearest one, without a fault."""


def traps(edges: Edges) -> Traps | None:
    """The states from which success is gone though no fault was made on some path to them.

    A fault marks a dead end: its price tells the agent of it. The end of a conversation is no dead end, and the turns
    that are left, which the agent is told, are no part of a state. A scene without a solution has none of them either.
    """
    via, gone = _clean_paths(edges), lost(edges.table)
    found = np.flatnonzero((via >= -1) & gone & ~edges.table.ended)
    if gone[0] or not found.size:
        return None
    return Traps(len(found), min((_back(edges, via, int(state)) for state in found), key=len))


def stuck(table: Table) -> Indices:
    """The states that have not ended and offer nothing."""
    return np.flatnonzero(table.explored & ~table.ended & ~table.mask.any(axis=1))


def _clean_paths(edges: Edges) -> Indices:
    """State -> the edge by which a shortest path without a fault comes in; -1 at the start, -2 where there is none."""
    via: Indices = np.full(edges.table.states, -2)
    via[0] = -1
    usable, reached = np.flatnonzero(edges.clean & ~edges.ends), np.zeros(edges.table.states, np.bool_)
    while True:
        newly = (via >= -1) & ~reached
        reached |= newly
        taken = usable[newly[edges.start[usable]] & (via[edges.to[usable]] == -2)]
        if not taken.size:
            return via
        via[edges.to[taken]] = taken


def _back(edges: Edges, via: Indices, state: int) -> list[int]:
    path = []
    while via[state] >= 0:
        path.append(int(edges.action[via[state]]))
        state = int(edges.start[via[state]])
    return path[::-1]

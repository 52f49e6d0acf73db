"""The exact optimum of a tabulated scene, and what a given course of actions loses against it.

The bound is clairvoyant: it is the return of a player who knows the scene, and so what the customer will say. No policy
that has to find that out can be asked to reach it on every scene; here the scripted experts do nevertheless.

What it counts and what it leaves out:

- The last turn counts: whoever is cut off by `max_turns` is paid what the state that they are in is worth (`cut`).
- The cut of all penalties at 1 is left out, in every turn and state. A return that comes to that cut is at most
  1 - 1 = 0, so that an optimum of 0 or more is exact. In the environments here it always is: to say goodbye, any word,
  or any answer costs nothing at first. Where an environment of your own has no course that costs nothing, an optimum
  below 0 is the least that it can be, and the most is 0.
- So `values` in the middle of a conversation suppose that nothing was paid before. After penalties, more may still be
  to come than they say, since what is beyond the cut costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..rewards.terms import PRICES, Prices
from .catalogue import Catalogue
from .conversation import ConversationEnv
from .discrete import catalogue_of
from .errors import BadArgument
from .table import Floats, Mask, Table
from .tabular import unheard

WORST, BEST = -1.0, 1.0
"""The least and the most that a return can be."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best that can be had from each state of a table, at each turn.

    Of a table that is not whole the optimum lies between `value`, for which all that was not explored is lost, and
    `upper`, for which it is won at once; of a whole one the two are equal.
    """

    table: Table
    limit: int
    prices: Prices
    values: Floats
    """[turn, state]: the best that is still to come when so many actions were taken, at full penalties."""
    actions: npt.NDArray[np.int32]
    """[turn, state]: an action that leads to it, the first of several; -1 where nothing can be done any more."""
    upper: float

    @classmethod
    def of(cls, table: Table, max_turns: int | None = None, prices: Prices = PRICES) -> Optimum:
        """The optimum by dynamic programming, backwards from the last turn."""
        limit = max_turns or table.limit
        values, actions = _solved(table, limit, prices, WORST)
        upper = float(values[0, 0])
        if not table.whole:
            upper = float(_solved(table, limit, prices, BEST)[0][0, 0])
        return cls(table, limit, prices, values, actions, upper)

    @property
    def value(self) -> float:
        """The optimum of the scene; the least that it can be where the table is not whole."""
        return float(self.values[0, 0])

    def path(self) -> list[int]:
        """An optimal course of actions from the start."""
        state = 0
        found: list[int] = []
        while len(found) < self.limit and (action := int(self.actions[len(found), state])) >= 0:
            found.append(action)
            state = int(self.table.next_state[state, action])
        return found

    def regret(self, actions: Iterable[int]) -> float:
        """What a course of actions loses against the optimum; where the table is not whole, at least that."""
        return self.value - returned(self.table, actions, self.limit, self.prices)


def returned(table: Table, actions: Iterable[int], max_turns: int | None = None, prices: Prices = PRICES) -> float:
    """The return of a course of actions, which must lead to an end, just as the environment pays it."""
    limit, penalty, goal, done = max_turns or table.limit, table.penalty(prices), table.goal, table.done
    state, total = 0, 0.0
    for turn, action in enumerate(actions, 1):
        if not 0 <= action < len(table.action_names):
            raise BadArgument(f"{table.name}: {action!r} is no index from 0 to {len(table.action_names) - 1}.")
        after = int(table.next_state[state, action])
        if after < 0:
            raise BadArgument(f"{table.name}: what action {action} does at turn {turn} was not explored; raise cap.")
        late = prices.late_turn * (turn > table.par)
        total += max(float(penalty[state, action]) - late, -1.0 - total)
        if done[state, action]:
            return total + float(goal[state, action])
        if turn >= limit:
            return total + float(table.cut[after])
        state = after
    raise BadArgument(f"{table.name}: these actions end in the middle of a conversation; add those to its end.")


def lost(table: Table) -> Mask:
    """The states from which success cannot be reached any more, however many turns there are.

    An end is lost, since nothing follows it; what was not explored is not known to be.
    """
    hopeful = (table.cut >= 1) | ~table.explored
    wins = (table.done & (table.goal >= 1)).any(axis=1)
    hopeful |= wins
    while True:
        more = hopeful | (table.known & hopeful[table.next_state]).any(axis=1)
        if np.array_equal(more, hopeful):
            return ~hopeful
        hopeful = more


def expert_path(
    kind: type[ConversationEnv],
    scene: str | dict[str, Any],
    catalogue: Catalogue | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> list[int]:
    """The course of actions of the environment's scripted expert, as indices of the catalogue."""
    parts, found = kind.parts, catalogue or catalogue_of(kind)
    name, build = kind(**unheard(kind, arguments or {})).next_scene(options={"scene": scene})
    state = parts.start(build(name))
    state.memory.fold(None, parts.opening(state))
    path: list[int] = []
    while not state.ended and len(path) < state.scene.limit:
        act = parts.expert(state.memory)
        offered = found.look(state.memory).actions
        if act not in offered:
            raise BadArgument(
                f"{name}: the catalogue does not offer what the expert does at turn {len(path) + 1}: {act}."
            )
        path.append(offered.index(act))
        state.memory.fold(act, parts.play(state, act, None))
    return path


def _solved(table: Table, limit: int, prices: Prices, unexplored: float) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Values and actions, where what was not explored is worth `unexplored`."""
    known, done, after = table.known, table.done, np.maximum(table.next_state, 0)
    paid = np.where(known, table.penalty(prices) + table.goal, -np.inf)
    still = known & ~done
    open_states = known.any(axis=1)
    values = np.zeros((limit + 1, table.states))
    values[limit] = table.cut  # paid when a conversation is cut off
    actions = np.full((limit, table.states), -1, np.int32)
    for turn in range(limit, 0, -1):
        if turn < limit:
            values[turn][~table.explored] = unexplored
        late = prices.late_turn * (turn > table.par)
        worth = paid - late + np.where(still, values[turn][after], 0.0)
        best = worth.argmax(axis=1)
        actions[turn - 1] = np.where(open_states, best, -1)
        values[turn - 1] = np.where(open_states, worth[np.arange(table.states), best], 0.0)
    values[0][~table.explored] = unexplored
    return values, actions

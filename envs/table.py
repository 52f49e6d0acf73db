"""The table of a scene: every state that the discrete view can be led into, and what each template does there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..rewards.terms import PRICES, Prices

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

CONDUCT, TRUTH, MALFORMED, REFUSED, DONE, GOAL = range(6)
"""The columns of `Table.outcomes`: how many faults of each kind, whether it ends there, and the goal that is paid."""
ARRAYS = ("next_state", "outcome", "outcomes", "mask", "rows", "row", "cut", "ended", "explored", "parent", "via")


@dataclass(frozen=True, eq=False)
class Table:
    """A scene of the discrete view as arrays; state 0 is its start.

    The turn is no part of a state. What depends on it, lateness beyond `par` and the cut at `limit`, is added by
    whoever plays the table; `cut` holds the goal that is paid where a conversation is cut off. A state that has ended,
    or was found and not `explored`, leads nowhere: its `next_state` is -1.
    """

    name: str
    kind: str
    par: int
    limit: int
    found: int
    """How many states were found; there are fewer here once those that play alike are merged."""
    expanded: int
    """Of how many of them it is known what follows."""
    action_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    next_state: Ints
    """[state, action]: the state that an action leads to; a masked one leads to the state itself."""
    outcome: npt.NDArray[np.uint16]
    """[state, action]: the row of `outcomes` that tells what came of it."""
    outcomes: Floats
    """The different outcomes; the columns are CONDUCT, TRUTH, MALFORMED, REFUSED, DONE and GOAL."""
    mask: Mask
    """[state, action]: whether memory can bind the template; False throughout where the table leads nowhere."""
    rows: Features
    """The different rows of features."""
    row: Ints
    """State -> its row of features."""
    cut: Floats
    """State -> the goal that is paid where a conversation is cut off in it."""
    ended: Mask
    explored: Mask
    """State -> whether it is known what follows; an end counts as explored."""
    parent: Ints
    """State -> the one from which a shortest path comes in; -1 at the start."""
    via: Ints
    """State -> the action by which it does."""

    @property
    def states(self) -> int:
        """How many states the arrays hold."""
        return len(self.next_state)

    @property
    def whole(self) -> bool:
        """Whether every state that was found was explored, so that nothing is missing."""
        return self.expanded == self.found

    @property
    def coverage(self) -> float:
        """The share of the states found that were explored."""
        return self.expanded / self.found

    @property
    def features(self) -> Features:
        """[state, feature]: what a state shows."""
        return self.rows[self.row]

    @property
    def known(self) -> Mask:
        """[state, action]: whether it is known what the action does."""
        return self.next_state >= 0

    @property
    def done(self) -> Mask:
        """[state, action]: whether the conversation ends there."""
        ends: Mask = self.outcomes[:, DONE] > 0
        return ends[self.outcome] & self.known

    @property
    def goal(self) -> Floats:
        """[state, action]: the goal that is paid where the action ends the conversation."""
        paid: Floats = self.outcomes[:, GOAL]
        return np.where(self.known, paid[self.outcome], 0.0)

    @property
    def breach(self) -> Mask:
        """[state, action]: whether a house rule was broken, or something was said that nothing supports."""
        broken: Mask = (self.outcomes[:, CONDUCT] + self.outcomes[:, TRUTH]) > 0
        return broken[self.outcome] & self.known

    def penalty(self, prices: Prices = PRICES) -> Floats:
        """[state, action]: what the faults cost, as a number of 0 or below; lateness comes on top."""
        return np.where(self.known, -costs(self.outcomes, prices)[self.outcome], 0.0)

    def path(self, state: int) -> list[int]:
        """The actions of a shortest path from the start to a state."""
        if not 0 <= state < self.states:
            raise IndexError(f"{self.name}: state {state} is none of the {self.states} of its table.")
        actions = []
        while self.parent[state] >= 0:
            actions.append(int(self.via[state]))
            state = int(self.parent[state])
        return actions[::-1]


def costs(outcomes: Floats, prices: Prices) -> Floats:
    """What the faults of each outcome cost."""
    each = np.array([prices.conduct, prices.truth, prices.malformed, prices.refused])
    found: Floats = outcomes[:, :DONE] @ each
    return found

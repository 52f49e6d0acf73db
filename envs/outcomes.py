"""Outcomes: what a step pays and how it ends, numbered, so that many steps are priced at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..rewards.terms import Reward
from .memory import Fact

PRICED = frozenset(("violation", "malformed", "refused", "end"))
"""The kinds of fact that a reward without terms of a user's own heeds."""


class Outcomes:
    """The outcomes met so far. A conversation knows thousands of steps, and pays for them in a few dozen ways.

    `paid` and `low` have a row for each, with a column for steps in time and one for late ones.
    """

    NOTHING, MALFORMED = 0, 1

    def __init__(self, reward: Reward) -> None:
        self._reward = reward
        self._numbers: dict[tuple[Any, ...], int] = {}
        self.facts: list[list[Fact]] = []
        self.paid: npt.NDArray[np.float64] = np.zeros((0, 2))
        """The reward, while the penalties of a conversation stay above -1 in all."""
        self.low: npt.NDArray[np.float64] = np.zeros((0, 2))
        """The penalties in it."""
        self.ends: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.won: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.number([], ends=False)
        self.number([{"kind": "malformed"}], ends=False)

    def number(self, facts: Sequence[Fact], ends: bool) -> int:
        """The number of an outcome: the facts of a step, and whether the conversation ends by them."""
        priced = [fact for fact in facts if fact["kind"] in PRICED]
        key = (ends, *[(fact["kind"], fact.get("term"), fact.get("goal")) for fact in priced])
        number = self._numbers.get(key)
        return self._add(key, priced, ends) if number is None else number

    def exact(self, number: int, late: bool, before: float) -> float:
        """The reward after a return of `before`."""
        return float(sum(self._reward.score(self.facts[number], late, before).values()))

    def _add(self, key: tuple[Any, ...], priced: list[Fact], ends: bool) -> int:
        paid, low = np.zeros((1, 2)), np.zeros((1, 2))
        for late in (False, True):
            terms = self._reward.score(priced, late, math.inf)  # nothing is cut off
            paid[0, int(late)] = sum(terms.values())
            low[0, int(late)] = sum(value for name, value in terms.items() if name != "goal")
        self.paid, self.low = np.concatenate([self.paid, paid]), np.concatenate([self.low, low])
        self.ends = np.append(self.ends, ends)
        self.won = np.append(self.won, any(fact["kind"] == "end" and fact["goal"] >= 1 for fact in priced))
        self.facts.append(priced)
        self._numbers[key] = number = len(self._numbers)
        return number

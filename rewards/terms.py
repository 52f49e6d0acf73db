"""The published table of reward terms: what each pays, and when.

| term | paid |
|---|---|
| `goal` | on the last turn: the share of the goal that was reached, 0 or 1 (a fraction where an environment says so) |
| `conduct` | -0.25 for each breach of a house rule |
| `truth` | -0.25 for each statement that nothing shown supports |
| `format` | -0.05 for a malformed action, -0.02 for one that the world refuses |
| `turns` | -0.02 for each turn beyond the scene's par |

All penalties of an episode together are at most 1, so that the return lies in [-1, 1]: flawless within par is exactly
1, and a failed goal is never above 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fact = dict[str, Any]
TERMS = ("goal", "conduct", "truth", "format", "turns")


@dataclass(frozen=True, slots=True)
class Prices:
    """What each fault costs; none is negative."""

    conduct: float = 0.25
    truth: float = 0.25
    malformed: float = 0.05
    refused: float = 0.02
    late_turn: float = 0.02

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"The price {name}={getattr(self, name)!r} must not be negative: a fault costs.")


PRICES = Prices()
ExtraTerm = Callable[[Sequence[Fact]], float]


@dataclass(frozen=True)
class Reward:
    """Scores the facts of a step.

    `extra` adds terms of a user's own (a judge, a learned model): each is a function of the step's facts. What they pay
    is held within what the table leaves: none lifts a return above the share of the goal that was reached, or takes it
    below -1.
    """

    prices: Prices = PRICES
    extra: Mapping[str, ExtraTerm] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted(set(self.extra) & set(TERMS))
        if taken:
            raise ValueError(f"The extra terms {taken} bear names of the table {TERMS}: choose other names.")

    def score(self, facts: Sequence[Fact], late: bool, before: float) -> dict[str, float]:
        """The terms of one step; `before` is the return so far, `late` says whether the turn lies beyond par."""
        prices = self.prices
        goal = conduct = truth = form = 0.0
        for fact in facts:
            kind = fact["kind"]
            if kind == "said" or kind == "result":
                continue
            if kind == "violation":
                if fact["term"] == "truth":
                    truth -= prices.truth
                else:
                    conduct -= prices.conduct
            elif kind == "malformed":
                form -= prices.malformed
            elif kind == "refused":
                form -= prices.refused
            elif kind == "end":
                goal = fact["goal"]
        turns = -prices.late_turn if late else 0.0
        terms = {"goal": goal, "conduct": conduct, "truth": truth, "format": form, "turns": turns}
        if conduct or truth or form or turns:
            _limit(terms, before)
        if self.extra:
            self._add(terms, facts, before)
        return terms

    def nothing(self) -> dict[str, float]:
        """The terms of a step at which nothing is paid."""
        return dict.fromkeys((*TERMS, *self.extra), 0.0)

    def _add(self, terms: dict[str, float], facts: Sequence[Fact], before: float) -> None:
        """Pay the extra terms within what is left: no return above the share of the goal that is reached."""
        reached = terms["goal"]
        for name, term in self.extra.items():
            value = float(term(facts))
            if not math.isfinite(value):
                raise ValueError(f"The extra term {name!r} gave {value!r}: a term is a finite number; mend the term.")
            now = before + sum(terms.values())
            terms[name] = min(max(value, -1.0 - now), max(reached - now, 0.0))


def _limit(terms: dict[str, float], before: float) -> None:
    """Cut penalties, in the table's order, so that the return without the goal stays at -1 or above."""
    left = 1.0 + before
    for name in TERMS[1:]:
        terms[name] = max(terms[name], -left) if left > 0 else 0.0
        left += terms[name]

"""What a conversation changes in a customer."""

from __future__ import annotations

from typing import Any

from ..memory import PERSON
from .goals import Knowledge, Plot, Request


class Mind:
    """A customer in the middle of a conversation."""

    __slots__ = ("changed", "patience", "pushed", "replies", "said", "settled", "voiced")

    def __init__(self, patience: int) -> None:
        self.voiced = 0
        """How many requests they have voiced, in their order."""
        self.settled: set[int] = set()
        self.changed: set[int] = set()
        """The requests on which they have changed their mind."""
        self.said: dict[tuple[int, str], int] = {}
        """How often they were asked for a field, or told it: (request, field) -> times."""
        self.patience = patience
        self.pushed = 0
        self.replies = 0

    def copy(self) -> Mind:
        """A mind that goes its own way."""
        twin = Mind(self.patience)
        twin.voiced, twin.pushed, twin.replies = self.voiced, self.pushed, self.replies
        twin.settled, twin.changed, twin.said = self.settled.copy(), self.changed.copy(), self.said.copy()
        return twin

    def key(self, plot: Plot) -> tuple[Any, ...]:
        """What tells two minds apart: counts are told as far as they make a difference to what the customer does."""
        # Where a field was told wrongly the first time, the second time differs from the later ones.
        said = [
            (at, times if times < 2 else 1 + (at[1] in knows_of(plot, at[0]).mistakes))
            for at, times in self.said.items()
        ]
        return (
            self.voiced,
            frozenset(self.settled),
            frozenset(self.changed),
            frozenset(said),
            self.patience,
            self.pushed,
            min(self.replies, max(plot.temper.drifts, default=0)),
        )


def open_requests(plot: Plot, mind: Mind) -> list[tuple[int, Request]]:
    """The requests that are voiced and not settled."""
    settled, requests = mind.settled, plot.requests
    return [(no, requests[no]) for no in range(mind.voiced) if no not in settled]


def knows_of(plot: Plot, no: int) -> Knowledge:
    """What the customer knows of a request, or of themselves."""
    return plot.person if no == PERSON else plot.requests[no].knows


def can_tell(plot: Plot, mind: Mind, no: int, field: str) -> bool:
    """Whether the customer has a value for a field at this point."""
    knows = knows_of(plot, no)
    if field in knows.values or (field in knows.mistakes and not mind.said.get((no, field))):
        return True
    return no in mind.changed and field in plot.requests[no].goal.change

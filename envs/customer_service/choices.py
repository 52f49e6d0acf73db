"""The acts that are open to a customer whom a model plays: none that would pay the agent more than the agenda's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..actions import Action
from ..memory import PERSON
from .actions import Ask
from .customer import decide
from .goals import PERSON_FIELDS, Plot, fields_of
from .mind import Mind, can_tell, knows_of, open_requests
from .played import Answer

ANSWERS = ("tell", "cannot_tell")
"""What a pointless act can be answered with in another way, at the same price to the agent."""


class Choice(NamedTuple):
    """One act of a customer; `waste` says that the agent's act was pointless, whatever it is answered."""

    act: str
    no: int
    field: str | None = None
    how: str = "reply"
    waste: bool = False

    def answer(self) -> Answer:
        """The act as it is carried out."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def choices(plot: Plot, mind: Mind, act: Action, sound: bool) -> list[Choice]:
    """The acts that are open to the customer, first the one that the agenda would choose."""
    return list(dict.fromkeys(_choices(plot, mind, act, sound)))


def _choices(plot: Plot, mind: Mind, act: Action, sound: bool) -> Iterator[Choice]:
    """The agenda's act; beside an answer to a pointless one, others that tell nothing new and bear no more.

    Where the customer would leave, drift, push back or settle something they do: no words of the agent may buy it more
    than its acts do.
    """
    due = Choice(**decide(plot, mind, act, sound))
    yield due
    if not due.waste or due.act not in ANSWERS:
        return
    if isinstance(act, Ask):
        yield Choice("push_back", PERSON, None, "waste", True)
    if getattr(act, "message", ""):
        yield from _repeats(plot, mind)


def _repeats(plot: Plot, mind: Mind) -> Iterator[Choice]:
    """All that they have told and can tell again, where an agent's words ask for something else than its act does."""
    found = open_requests(plot, mind)
    known = [(PERSON, PERSON_FIELDS), *((no, fields_of(request.request)) for no, request in found)]
    for no, fields in known:
        for field in fields:
            if can_tell(plot, mind, no, field) and how(plot, mind, no, field) == "again":
                yield Choice("tell", no, field, "again", True)
    for no, _ in found:
        yield Choice("tell", no, "request", "again", True)


def how(plot: Plot, mind: Mind, no: int, field: str) -> str:
    """How a field is told at this point: for the first time, put right, or again."""
    times = mind.said.get((no, field), 0)
    if times == 1 and field in knows_of(plot, no).mistakes:
        return "correct"
    return "again" if times else "reply"

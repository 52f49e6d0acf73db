"""The acts that are open to a customer whom a model plays: all that would still be like them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..actions import Action
from ..memory import PERSON
from .actions import Ask
from .customer import REACTIONS, decide
from .goals import PERSON_FIELDS, Plot, fields_of
from .mind import Mind, can_tell, knows_of, open_requests
from .played import Answer

SETTLED = ("accept", "change", "decline")
"""What a proposal and an answer can lead to: nobody may hold an agent up who has got it right."""


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
    found: dict[tuple[str, int, str | None], Choice] = {}
    for choice in _choices(plot, mind, act, sound):
        found.setdefault(choice[:3], choice)
    return list(found.values())


def _choices(plot: Plot, mind: Mind, act: Action, sound: bool) -> Iterator[Choice]:
    yield Choice(**decide(plot, mind, act, sound))
    words: str = getattr(act, "message", "")
    due = Choice(**REACTIONS[type(act)](plot, mind, act, sound))
    yield due
    if due.how == "refusal":
        yield Choice("accept", due.no, None, "accept_refusal")
    elif due.act not in SETTLED and words:
        # Words may ask for something else than the act does.
        yield from _telling(plot, mind, due.waste)
    if due.waste and isinstance(act, Ask):
        yield Choice("push_back", PERSON, None, "waste", True)
    if due.waste and mind.patience <= 1:
        yield Choice("leave", PERSON)


def _telling(plot: Plot, mind: Mind, waste: bool) -> Iterator[Choice]:
    """All that they can tell, or must say that they cannot."""
    found = open_requests(plot, mind)
    known = [(PERSON, PERSON_FIELDS), *((no, fields_of(request.request)) for no, request in found)]
    for no, fields in known:
        for field in fields:
            can = can_tell(plot, mind, no, field)
            yield Choice(
                "tell" if can else "cannot_tell", no, field, how(plot, mind, no, field) if can else "reply", waste
            )
    for no, _ in found:
        yield Choice("tell", no, "request", "again", waste)
    if not found:
        yield Choice("tell", mind.voiced, "request", waste=waste)


def how(plot: Plot, mind: Mind, no: int, field: str) -> str:
    """How a field is told at this point: for the first time, put right, or again."""
    times = mind.said.get((no, field), 0)
    if times == 1 and field in knows_of(plot, no).mistakes:
        return "correct"
    return "again" if times else "reply"

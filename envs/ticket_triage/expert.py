"""The scripted expert of TicketTriage, and answers that nobody has to read a ticket for."""

from __future__ import annotations

from ..memory import Memory
from .actions import Triage
from .rules import by_the_book

CHEAP = {
    "majority": Triage(queue="billing", priority="normal"),
    "liar": Triage("billing", "normal", "Z99-999", "nobody@nowhere.example", 1, "invented product"),
}
"""Cheap agent -> its one answer to every ticket."""


def act(memory: Memory) -> Triage:
    """Apply the rule book to what the ticket was seen to say."""
    return by_the_book(memory.person)

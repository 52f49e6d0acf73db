"""The discrete view of TicketTriage: a queue and a priority, with the details as the ticket tells them."""

from __future__ import annotations

from typing import get_args

from ..catalogue import Catalogue
from ..memory import Memory
from .actions import DETAILS, Priority, Queue, Triage
from .rules import LARGE, PRIORITIES, QUEUE_OF, QUEUES

# Names are put together once: (what it is about, the name of its template or feature).
ANSWERS = [
    (f"triage.{queue}.{priority}", queue, priority) for queue in get_args(Queue) for priority in get_args(Priority)
]
ISSUES = [(issue, f"issue.{issue}") for issue in QUEUE_OF]
SIDES = [(queue, f"side_issue.{queue}") for queue in QUEUES]
CIRCUMSTANCES = [(name, f"circumstance.{name}") for circumstances in PRIORITIES.values() for name in circumstances]
TOLD = [(field, f"told.{field}") for field in DETAILS]


def _ticket(memory: Memory) -> Memory:
    return memory


def _bind(memory: Memory) -> dict[str, Triage | None]:
    """Each queue with each priority."""
    details = {field: memory.person[field] for field in DETAILS if field in memory.person}
    return {name: Triage(queue, priority, **details) for name, queue, priority in ANSWERS}


def _read(memory: Memory) -> dict[str, float]:
    """The issue, the queue of a side issue, the circumstances, and which details are told."""
    said = memory.person
    issue, side = said.get("issue"), QUEUE_OF.get(said.get("side_issue", ""))
    values: dict[str, float] = {name: each == issue for each, name in ISSUES}
    for queue, name in SIDES:
        values[name] = queue == side
    for each, name in (*CIRCUMSTANCES, *TOLD):
        values[name] = each in said
    values["amount.large"] = said.get("amount_cents", 0) > LARGE
    return values


CATALOGUE = Catalogue(_ticket, _bind, _read)

"""The one action of TicketTriage."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ..actions import Act, ActionSet

Queue = Literal["billing", "shipping", "returns", "technical", "account", "sales", "complaints", "other"]
Priority = Literal["urgent", "high", "normal", "low"]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Cents = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class Triage(Act, frozen=True, tag="triage"):
    """Put the ticket into a queue with a priority, and note what it tells: the order that it is about, the e-mail
    address at which it wants to be answered, the amount in question in cents, and the product concerned. A detail
    that the ticket does not tell is left out (or "", or 0)."""

    queue: Queue
    priority: Priority
    order_id: Text = ""
    email: Text = ""
    amount_cents: Cents = 0
    product: Text = ""

    examples = (
        {"type": "triage", "queue": "sales", "priority": "low", "product": "sample product"},
        {
            "type": "triage",
            "queue": "billing",
            "priority": "high",
            "order_id": "X00-000",
            "email": "name@sample.example",
            "amount_cents": 123456,
        },
    )


ACTIONS = ActionSet(Triage)
DETAILS = ("order_id", "email", "amount_cents", "product")
"""The fields that are read off the ticket."""

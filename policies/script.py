"""Scripts for the support desk: generators over a memory, and the first steps that many of them share.

A script yields an action, and finds the memory brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from ..envs.actions import Action
from ..envs.conversation import Observation
from ..envs.customer_service.actions import Ask, Close, FindCustomer, GetOrder
from ..envs.memory import PERSON, Memory
from .base import Kind, Remembering

Moves = Iterator[Action]
Script = Callable[[Memory], Moves]


class Scripted(Remembering):
    """Plays a script, then closes."""

    def __init__(self, kind: Kind, *, script: Script) -> None:
        self._script = script
        super().__init__()

    def reset(self, seed: int | None = None) -> None:
        """Start the script anew."""
        super().reset(seed)
        self._moves = self._script(self.memory)

    def choose(self, observation: Observation) -> Action:
        """The script's next move."""
        return next(self._moves, Close())


def who(memory: Memory) -> str:
    """The authenticated customer's id, or "" """
    return str(memory.seen.get("customer", {}).get("customer_id") or "")


def open_request(memory: Memory) -> dict[str, Any] | None:
    """The first request that is not settled."""
    return next((request for no, request in enumerate(memory.requests) if no not in memory.settled), None)


def identify(memory: Memory) -> Moves:
    """Authenticate properly: by e-mail, or else by name and postcode."""
    person = memory.person
    while not who(memory):
        if "email" not in person and (PERSON, "email") not in memory.cannot:
            yield Ask("email")
        elif "email" in person:
            find = FindCustomer(email=person["email"])
            yield Ask("email") if find in memory.done else find
        elif missing := [field for field in ("name", "postcode") if field not in person]:
            yield Ask(missing[0])  # type: ignore[arg-type]
        else:
            yield FindCustomer(**person["name"], postcode=person["postcode"])


def read_named(memory: Memory) -> Moves:
    """Read the order that the customer names."""
    request = open_request(memory) or {}
    if "order_id" not in request:
        yield Ask("order_id")
    if "order_id" in request:
        yield GetOrder(request["order_id"])


def once_known(script: Script) -> Script:
    """The script after a proper authentication."""
    return lambda memory: chain(identify(memory), script(memory))


def once_read(script: Script) -> Script:
    """The script after a proper authentication and a look at the order that is named."""
    return lambda memory: chain(identify(memory), read_named(memory), script(memory))

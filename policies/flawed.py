"""The desk's expert with one flaw each: what the audit's floors say that the flaw costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..envs.actions import Action
from ..envs.customer_service import expert
from ..envs.customer_service.actions import WRITES, Close, Propose
from ..envs.memory import Memory
from .script import Moves, Script, open_request, read_named


def as_expert(memory: Memory, instead: Callable[[Memory, Action], Moves]) -> Moves:
    """The expert, but for what it does in place of some of its actions."""
    while True:
        yield from instead(memory, expert.act(memory))


def read_only(memory: Memory, action: Action) -> Moves:
    """Nothing in place of a change, and of what leads to it."""
    yield Close() if isinstance(action, (Propose, *WRITES)) else action


def unasked(memory: Memory, action: Action) -> Moves:
    """Make each change without asking first."""
    yield action.action if isinstance(action, Propose) else action


def deaf(memory: Memory, action: Action) -> Moves:
    """Make each change whatever the answer."""
    yield action
    if isinstance(action, Propose) and action.action not in memory.agreed:
        yield action.action


def unknown(memory: Memory) -> Moves:
    """Take whoever talks for the owner of the order that they name, and serve them as the expert would."""
    yield from read_named(memory)
    owner = memory.seen.get((open_request(memory) or {}).get("order_id", ""), {}).get("customer")
    if owner:
        memory.seen["customer"] = {"customer_id": owner}
    yield from as_expert(memory, lambda _, action: iter((action,)))


def unwritten(memory: Memory, action: Action) -> Moves:
    """Close in place of each change, as if the customer's yes were the change."""
    yield Close() if isinstance(action, WRITES) else action


SCRIPTS: dict[str, Script] = {
    "read-only": partial(as_expert, instead=read_only),
    "never-writes": partial(as_expert, instead=unwritten),
    "never-asks": partial(as_expert, instead=unasked),
    "never-authenticates": unknown,
    "deaf": partial(as_expert, instead=deaf),
}

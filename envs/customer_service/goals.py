"""What customers come with: the data of a scene, and its JSON format."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..actions import Action
from .actions import ChangeItems, Claim, ExchangeItems, RequestKind, ReturnItems, Rule, Write

Talk = Literal["plain", "curt", "talkative"]


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a customer knows about themselves or about one request: field -> value."""

    values: dict[str, Any] = {}
    opens: tuple[str, ...] = ()
    """The fields told unasked, when the request is voiced."""
    unknown: tuple[str, ...] = ()
    """The fields they cannot tell."""
    mistakes: dict[str, Any] = {}
    """The fields told wrongly the first time -> what is told then."""


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What settles a request: a change made, facts told, a refusal by a rule, or a human agent."""

    action: Write | None = None
    first: Write | None = None
    """What the customer wants until they change their mind, at its proposal."""
    change: dict[str, Any] = {}
    """What they say then: field -> new value."""
    claims: tuple[Claim, ...] = ()
    rule: Rule | None = None
    hand_over: bool = False


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that a customer wants."""

    request: RequestKind
    goal: Goal
    knows: Knowledge = Knowledge()


class Temper(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a customer talks, and how much they bear."""

    patience: int = 4
    """Pointless acts of speech they bear before they leave."""
    talk: Talk = "plain"
    typos: int = 0
    """Sentences with a typing error, in thousandths."""
    drifts: tuple[int, ...] = ()
    """Which of their replies wander off topic, counted from 1."""
    push_backs: int = 0
    """How often they push back on a justified refusal."""


class Plot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A scene without its store: who calls, with what, in which temper."""

    customer: str
    requests: tuple[Request, ...]
    person: Knowledge
    temper: Temper = Temper()
    accepted_ends: tuple[tuple[Write, ...], ...] | None = None
    """The ways the records may end, each as the changes that lead there; by default those of the goals."""


DETAILS: dict[str, tuple[str, ...]] = {
    "order_question": (),
    "product_question": ("product", "options"),
    "cancel_order": ("reason",),
    "change_items": ("product", "options", "payment_method"),
    "change_address": ("address",),
    "change_payment": ("payment_method",),
    "change_profile_address": ("address",),
    "return_items": ("product", "payment_method"),
    "exchange_items": ("product", "options", "payment_method"),
    "out_of_scope": (),
}
"""Request kind -> what an agent must know beside the order to serve it."""

WITHOUT_ORDER = ("product_question", "change_profile_address", "out_of_scope")
"""The kinds of request that concern no order."""

QUESTIONS = {"order_question": ("status", "total"), "product_question": ("price", "available")}
"""The kinds of request that are questions -> what can be asked."""

PERSON_FIELDS = ("email", "name", "postcode")
"""What customers tell of themselves."""


def fields_of(kind: str) -> tuple[str, ...]:
    """What customers can tell of a request of a kind."""
    order = () if kind in WITHOUT_ORDER else ("order_id", "product")
    question = ("question",) if kind in QUESTIONS else ()
    return tuple(dict.fromkeys((*order, *question, *DETAILS[kind])))


def alike(one: Action | None, other: Action | None) -> bool:
    """Whether two changes are one and the same, in whatever order they list their items."""
    return one == other or (type(one) is type(other) and ordered(one) == ordered(other))


def ordered(action: Any) -> Any:
    """A change with its items in a fixed order; each new item stays with the one that it replaces."""
    if isinstance(action, ReturnItems):
        return msgspec.structs.replace(action, item_ids=tuple(sorted(action.item_ids)))
    if not isinstance(action, ChangeItems | ExchangeItems) or len(action.item_ids) != len(action.new_item_ids):
        return action
    pairs = sorted(zip(action.item_ids, action.new_item_ids, strict=True))
    old, new = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return msgspec.structs.replace(action, item_ids=old, new_item_ids=new)

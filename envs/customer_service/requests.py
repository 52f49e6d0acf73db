"""Requests over a store: each kind's builder gives a request with its goal, or None where there is no room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..chance import below, permille, pick
from .actions import (
    Address,
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ChangeProfileAddress,
    Claim,
    ExchangeItems,
    ReturnItems,
)
from .goals import DETAILS, WITHOUT_ORDER, Goal, Knowledge, Request
from .stock import Level, address
from .store import Base, Customer, Item, Order, Variant

OTHER_REASON = {"no_longer_needed": "ordered_by_mistake", "ordered_by_mistake": "no_longer_needed"}
KINDS_OF_MONEY = ("credit_card", "paypal", "gift_card")


class Spot(NamedTuple):
    """Where a request is to be made: whose, about which order and item, with which draws."""

    base: Base
    caller: str
    order_id: str
    item: Item | None
    """An item whose product no other line of the customer's orders has."""
    draws: tuple[int, ...]
    test: bool
    level: Level

    @property
    def easy(self) -> bool:
        return self.level.easy

    @property
    def order(self) -> Order:
        return self.base.orders[self.order_id]

    @property
    def person(self) -> Customer:
        return self.base.customers[self.caller]

    def address(self, place: int) -> Address:
        """A new address: the first one wished for, or the one it is changed to."""
        return address(self.draws[8 + 4 * place : 12 + 4 * place], self.test, self.level)


Errand = tuple[Goal, dict[str, Any]]
"""What settles a request, and all that its customer could tell of it."""
Builder = Callable[[Spot], Errand | None]


def _about(spot: Spot) -> dict[str, Any]:
    """What names the order and its item."""
    values: dict[str, Any] = {"order_id": spot.order_id}
    if spot.item is not None:
        values["product"] = spot.base.products[spot.item.product].name
    return values


def order_question(spot: Spot) -> Errand | None:
    question = pick(spot.draws[0], ("status", "total"))
    value = spot.order.status if question == "status" else sum(item.price for item in spot.order.items)
    goal = Goal(claims=(Claim(spot.order_id, question, value),))
    return goal, {**_about(spot), "question": question}


def product_question(spot: Spot) -> Errand | None:
    if not spot.base.named_once:
        return None
    product = spot.base.products[pick(spot.draws[0], spot.base.named_once)]
    item_id, variant = pick(spot.draws[1], tuple(product.variants.items()))
    same = [other for other in product.variants.values() if other.options == variant.options]
    if len(same) > 1 or not variant.options:
        return None
    question = pick(spot.draws[2], ("price", "available"))
    value = variant.price if question == "price" else variant.available
    goal = Goal(claims=(Claim(item_id, question, value),))
    return goal, {"question": question, "product": product.name, "options": dict(variant.options)}


def cancel_order(spot: Spot) -> Errand | None:
    if spot.order.status != "pending":
        return None
    reason = pick(spot.draws[0], tuple(OTHER_REASON))
    action = CancelOrder(spot.order_id, reason)  # type: ignore[arg-type]
    return Goal(action), {**_about(spot), "reason": reason}


def change_address(spot: Spot) -> Errand | None:
    wish = spot.address(0)
    if spot.order.status not in ("pending", "pending (items changed)") or wish == spot.order.address:
        return None
    return Goal(ChangeAddress(spot.order_id, wish)), {**_about(spot), "address": msgspec.structs.asdict(wish)}


def change_profile_address(spot: Spot) -> Errand | None:
    wish = spot.address(0)
    if wish == spot.person.address:
        return None
    action = ChangeProfileAddress(spot.caller, wish)
    return Goal(action), {"address": msgspec.structs.asdict(wish)}


def _covers(person: Customer, method: str, amount: int) -> bool:
    found = person.payment_methods[method]
    return found.kind != "gift_card" or found.balance >= amount


def _wishes(spot: Spot, amount: int, among: tuple[str, ...]) -> list[tuple[str, str]]:
    """The (wish, method id) pairs that can pay an amount: the original method, or the caller's only one of a kind."""
    methods = spot.person.payment_methods
    if not spot.order.payments:
        return []
    original = spot.order.payments[0].method
    found = [("original", original)] if "original" in among and _covers(spot.person, original, amount) else []
    for kind in KINDS_OF_MONEY:
        if kind in among:
            ids = [name for name, method in methods.items() if method.kind == kind]
            if len(ids) == 1 and _covers(spot.person, ids[0], amount):
                found.append((kind, ids[0]))
    return found


def change_payment(spot: Spot) -> Errand | None:
    total = sum(item.price for item in spot.order.items)
    if spot.order.status not in ("pending", "pending (items changed)") or len(spot.order.payments) != 1:
        return None
    wishes = [w for w in _wishes(spot, total, KINDS_OF_MONEY) if w[1] != spot.order.payments[0].method]
    if not wishes:
        return None
    wish, method = pick(spot.draws[0], tuple(wishes))
    return Goal(ChangePayment(spot.order_id, method)), {**_about(spot), "payment_method": wish}


def return_items(spot: Spot) -> Errand | None:
    if spot.order.status != "delivered" or spot.item is None:
        return None
    wishes = _wishes(spot, 0, ("original",) if spot.easy else ("original", "gift_card"))
    if not wishes:
        return None
    wish, method = pick(spot.draws[0], tuple(wishes))
    action = ReturnItems(spot.order_id, (spot.item.item,), method)
    return Goal(action), {**_about(spot), "payment_method": wish}


def _siblings(spot: Spot, available: bool) -> list[tuple[str, Variant]]:
    """The item's product's other variants, told apart by their options."""
    assert spot.item is not None
    variants = spot.base.products[spot.item.product].variants
    own = spot.item.options
    return [
        (name, variant)
        for name, variant in variants.items()
        if name != spot.item.item and variant.available == available and variant.options.keys() == own.keys()
    ]


def wish_for(item: Item, variant: Variant) -> dict[str, str]:
    """The options in which a variant differs from an item."""
    return {axis: value for axis, value in variant.options.items() if item.options.get(axis) != value}


def _swap(action: Any, status: str) -> Builder:
    def build(spot: Spot) -> Errand | None:
        siblings = _siblings(spot, True) if spot.order.status == status and spot.item is not None else []
        if not siblings or spot.item is None:
            return None
        new_id, variant = pick(spot.draws[0], tuple(siblings))
        among = ("original",) if spot.easy else ("original", *KINDS_OF_MONEY)
        wishes = _wishes(spot, variant.price - spot.item.price, among)
        if not wishes:
            return None
        wish, method = pick(spot.draws[1], tuple(wishes))
        goal = Goal(action(spot.order_id, (spot.item.item,), (new_id,), method))
        return goal, {**_about(spot), "options": wish_for(spot.item, variant), "payment_method": wish}

    return build


change_items = _swap(ChangeItems, "pending")
exchange_items = _swap(ExchangeItems, "delivered")


def out_of_scope(spot: Spot) -> Errand | None:
    return Goal(hand_over=True), {}


SERVED: dict[str, Builder] = {
    "order_question": order_question,
    "product_question": product_question,
    "cancel_order": cancel_order,
    "change_items": change_items,
    "change_address": change_address,
    "change_payment": change_payment,
    "change_profile_address": change_profile_address,
    "return_items": return_items,
    "exchange_items": exchange_items,
    "out_of_scope": out_of_scope,
}
"""Scene kind -> its builder, for the requests that can be served."""


def changed(spot: Spot, kind: str, errand: Errand) -> Errand:
    """The same errand of a customer who will change their mind at its proposal, where anything can change."""
    goal, values = errand
    alternative = CHANGES[kind](spot, kind, goal.action, values) if kind in CHANGES else None
    if alternative is None:
        return errand
    change, action = alternative
    return Goal(action, first=goal.action, change=change), values


def _other_reason(spot: Spot, kind: str, action: Any, values: dict[str, Any]) -> Any:
    reason = OTHER_REASON[values["reason"]]
    return {"reason": reason}, CancelOrder(spot.order_id, reason)  # type: ignore[arg-type]


def _other_address(spot: Spot, kind: str, action: Any, values: dict[str, Any]) -> Any:
    wish = spot.address(1)
    current = spot.person.address if kind == "change_profile_address" else spot.order.address
    if wish in (current, spot.address(0)):
        return None
    return {"address": msgspec.structs.asdict(wish)}, msgspec.structs.replace(action, address=wish)


def _other_variant(spot: Spot, kind: str, action: Any, values: dict[str, Any]) -> Any:
    assert spot.item is not None
    for new_id, variant in _siblings(spot, True):
        amount = variant.price - spot.item.price
        if new_id != action.new_item_ids[0] and _covers(spot.person, action.payment_method_id, amount):
            wish = wish_for(spot.item, variant)
            return {"options": wish}, msgspec.structs.replace(action, new_item_ids=(new_id,))
    return None


def _other_refund(spot: Spot, kind: str, action: Any, values: dict[str, Any]) -> Any:
    for wish, method in _wishes(spot, 0, ("original", "gift_card")):
        if wish != values["payment_method"] and method != action.payment_method_id:
            return {"payment_method": wish}, msgspec.structs.replace(action, payment_method_id=method)
    return None


CHANGES: dict[str, Callable[[Spot, str, Any, dict[str, Any]], Any]] = {
    "cancel_order": _other_reason,
    "change_address": _other_address,
    "change_profile_address": _other_address,
    "change_items": _other_variant,
    "exchange_items": _other_variant,
    "return_items": _other_refund,
}


def told(spot: Spot, kind: Any, errand: Errand, lookup: bool, level: str) -> Request:
    """A request: lay out what its customer tells unasked, cannot tell, or tells wrongly.

    `lookup` says that the product is found in one order of the caller alone, so that it can stand for the number.
    """
    goal, values = errand
    draws = spot.draws
    opens = _opens(values, draws, level)
    if level == "easy" or not lookup or "order_id" not in values:
        return Request(kind, goal, Knowledge(values, opens))
    unknown: tuple[str, ...] = ()
    mistakes: dict[str, Any] = {}
    share = 250 if level == "normal" else 350
    others = [order for order in spot.base.orders_of[spot.caller] if order != spot.order_id]
    if permille(draws[6], share):
        unknown = ("order_id",)
        values = {field: value for field, value in values.items() if field != "order_id"}
    elif others and permille(draws[7], share):
        mistakes = {"order_id": pick(draws[6], tuple(others))}
    if unknown or mistakes:
        kept = [field for field in opens if field != "product" and (field != "order_id" or mistakes)]
        opens = ("product", *kept)
    return Request(kind, goal, Knowledge(values, opens, unknown, mistakes))


def _opens(values: dict[str, Any], draws: tuple[int, ...], level: str) -> tuple[str, ...]:
    """The fields told unasked: the question always; else on easy all but one at most, beyond it three in five."""
    if level == "easy":
        if not draws[4] & 1:
            return tuple(values)
        fields = [field for field in values if field != "question"]
        left_out = fields[below(draws[5], len(fields))] if fields else ""
        return tuple([field for field in values if field != left_out])
    draw = draws[4]
    return tuple(
        [
            field
            for place, field in enumerate(values)
            if field == "question" or (draw * (2 * place + 3) & 0xFFFF) < 39322
        ]
    )


def turns(request: Request, orders: int, pushes: int) -> int:
    """The turns that serving a request well can take, its customer's ways included."""
    goal, knows, kind = request.goal, request.knows, request.request
    if goal.hand_over:
        return 1
    opens = knows.opens
    count = 0
    for field in DETAILS[kind]:
        if field not in opens:
            count += 1
    if kind == "product_question":
        return 3 + count
    found = 0
    if kind not in WITHOUT_ORDER:
        found = 1 + ("order_id" not in opens) + 2 * bool(knows.mistakes)
        found += orders if "order_id" in knows.unknown else 0
    if goal.rule in ("not_your_order", "not_pending", "not_delivered"):
        return found + 1 + pushes
    count += found + (kind in ("change_items", "exchange_items"))
    if "order_id" not in knows.unknown:
        wish = knows.values.get("payment_method", "original")
        count += wish != "original" or goal.change.get("payment_method", "original") != "original"
    if goal.rule is not None:
        return count + 1 + pushes
    return count + (1 if goal.claims else 2) + (goal.first is not None)

"""Plots: from a scene's name and kind to who calls, with what, in which temper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from ..chance import below, block, permille, pick
from . import requests
from .actions import Rule
from .goals import WITHOUT_ORDER, Goal, Knowledge, Plot, Request, Talk, Temper
from .lexicon import MAIL_DOMAINS
from .requests import KINDS_OF_MONEY, OTHER_REASON, Spot
from .stock import LEVELS, Level, Need, stocked
from .store import Base, Customer, Item, Variant

Draws = tuple[int, ...]
Wanted = tuple[str, str]
"""A request kind, and the rule that it breaks or ""."""

SINGLE = ("cancel_order", "change_items", "change_address", "return_items", "exchange_items", "order_question")
"""The requests that a conversation with several is made of."""
REFUSED_BY_STATE = {
    "not_your_order": ("cancel_order", "change_address", "order_question"),
    "not_pending": ("cancel_order", "change_items", "change_address"),
    "not_delivered": ("return_items", "exchange_items"),
}
"""Rule about an order's state -> the requests that can meet it."""


NEEDED_BY_RULE: dict[str, Need] = {"not_your_order": "", "not_pending": "delivered", "not_delivered": "pending"}


def plotted_from(name: str, kind: str, test: bool, difficulty: str) -> tuple[Base, Plot]:
    """A store made for a scene, and its plot."""
    level = LEVELS[difficulty]
    plan = block(name, "plan")
    wanted = planned(kind, plan, difficulty)
    needs = [_need(request, rule) for request, rule in wanted if request not in WITHOUT_ORDER]
    small = kind == "gift_card_too_small"
    balance = 100 + 100 * below(plan[0], 4) if small else 1000 + 100 * below(plan[0], 300)
    more = below(plan[1], 2 if level.easy else 3)
    base, orders, caller, targets = stocked(name, test, level, needs, balance, more)
    left = iter(targets)
    made = []
    for place, (request, rule) in enumerate(wanted):
        order_id, item = "", None
        if request not in WITHOUT_ORDER:
            target = next(left)
            order_id, item = orders.ids[target], orders.own_item(target)
        if rule == "unavailable":
            _sell_out(base, item)
        spot = Spot(base, caller, order_id, item, block(name, f"request {place}"), test, level)
        found = _requested(spot, request, rule, difficulty)
        assert found is not None, f"{name}: no {request} ({rule or 'served'}) over its own stock"
        made.append(found)
    return base, _plot(name, base.customers[caller], caller, made, difficulty)


def plotted_over(base: Base, name: str, kind: str, test: bool, difficulty: str) -> Plot | None:
    """The plot of a scene over a user's own store: at the first order, from a drawn one on, that has room for it."""
    level = LEVELS["hard" if difficulty == "easy" else difficulty]._replace(name=difficulty, easy=difficulty == "easy")
    plan = block(name, "plan")
    wanted = planned(kind, plan, difficulty)
    orders = list(base.orders)
    start = ((plan[30] << 16) | plan[31]) * len(orders) >> 32
    for step in range(len(orders)):
        first = orders[(start + step) % len(orders)]
        caller = base.orders[first].customer
        made = _requested_over(base, caller, first, name, wanted, test, level, difficulty)
        if made is not None:
            return _plot(name, base.customers[caller], caller, made, difficulty)
    return None


def _requested_over(
    base: Base, caller: str, first: str, name: str, wanted: list[Wanted], test: bool, level: Level, difficulty: str
) -> list[Request] | None:
    """The requests of a caller, each about an order of its own; None where one has no order."""
    own = base.orders_of[caller]
    turn = own.index(first)
    free = [*own[turn:], *own[:turn]]
    made = []
    for place, (kind, rule) in enumerate(wanted):
        choice = [""] if kind in WITHOUT_ORDER else _foreign(base, caller, first) if rule == "not_your_order" else free
        for order_id in list(choice):
            spot = _spot(base, caller, order_id, name, place, test, level)
            found = _requested(spot, kind, rule, difficulty)
            if found is not None:
                made.append(found)
                if order_id in free:
                    free.remove(order_id)
                break
        else:
            return None
    return made


def _foreign(base: Base, caller: str, first: str) -> list[str]:
    """An order of another customer: the next one in the records."""
    orders = list(base.orders)
    turn = orders.index(first)
    return [o for o in (*orders[turn:], *orders[:turn]) if base.orders[o].customer != caller][:1]


def planned(kind: str, plan: Draws, difficulty: str) -> list[Wanted]:
    """The requests of a scene kind."""
    if kind != "several":
        return [_single(kind, plan[2])]
    count = 2 if difficulty == "normal" else 2 + below(plan[3], 2)
    stride = 1 + 4 * (plan[5] & 1)
    start = below(plan[4], len(SINGLE))
    found = [(SINGLE[(start + step * stride) % len(SINGLE)], "") for step in range(count)]
    if difficulty == "hard" and permille(plan[6], 300):
        found[-1] = _single(pick(plan[7], ("not_pending", "not_delivered", "out_of_scope", "refund_method")), plan[2])
    return found


def _single(kind: str, draw: int) -> Wanted:
    if kind in REFUSED_BY_STATE:
        return pick(draw, REFUSED_BY_STATE[kind]), kind
    if kind == "unavailable":
        return pick(draw, ("change_items", "exchange_items")), kind
    if kind == "gift_card_too_small":
        return "change_payment", kind
    return ("return_items", kind) if kind == "refund_method" else (kind, "")


def _need(request: str, rule: str) -> Need:
    """What a request asks of the order it is about."""
    if rule in NEEDED_BY_RULE:
        return NEEDED_BY_RULE[rule]
    if request in ("return_items", "exchange_items"):
        return "delivered"
    return "processed" if request == "order_question" else "pending"


def _spot(base: Base, caller: str, order_id: str, name: str, place: int, test: bool, level: Level) -> Spot:
    item = target_item(base, order_id) if order_id else None
    return Spot(base, caller, order_id, item, block(name, f"request {place}"), test, level)


def target_item(base: Base, order_id: str) -> Item | None:
    """The item of an order whose product no other order of its customer, and no other line, has."""
    order = base.orders[order_id]
    names = [base.products[i.product].name for o in base.orders_of[order.customer] for i in base.orders[o].items]
    for item in order.items:
        if names.count(base.products[item.product].name) == 1:
            return item
    return None


def _sell_out(base: Base, item: Item | None) -> None:
    """Make a variant beside an item unavailable, in a store that is still being made."""
    assert item is not None
    product = base.products[item.product]
    gone = next(name for name in product.variants if name != item.item)
    variants = {**product.variants, gone: msgspec.structs.replace(product.variants[gone], available=False)}
    base.products[item.product] = msgspec.structs.replace(product, variants=variants)


def _requested(spot: Spot, kind: str, rule: str, difficulty: str) -> Request | None:
    """A request of a kind, whole: what is wanted, what becomes of it, what its customer tells."""
    if rule:
        values = REFUSALS[rule](spot, kind)
        if values is None:
            return None
        # A rule stands here as a string read from a scene's kind; the look-up above has refused what is none.
        errand = Goal(rule=cast(Rule, rule)), values
        return requests.told(spot, kind, errand, rule != "not_your_order" and "product" in values, difficulty)
    served = requests.SERVED[kind](spot)
    if served is None:
        return None
    if difficulty != "easy" and permille(spot.draws[3], 250 if difficulty == "normal" else 400):
        served = requests.changed(spot, kind, served)
    return requests.told(spot, kind, served, spot.item is not None, difficulty)


def _details(spot: Spot, kind: str) -> dict[str, Any] | None:
    """What a customer tells of a request that will be refused for its order's state."""
    values: dict[str, Any] = {"order_id": spot.order_id}
    if spot.item is not None:
        values["product"] = spot.base.products[spot.item.product].name
    if kind == "cancel_order":
        return values | {"reason": pick(spot.draws[0], tuple(OTHER_REASON))}
    if kind == "change_address":
        return values | {"address": msgspec.structs.asdict(spot.address(0))}
    if kind == "order_question":
        return values | {"question": pick(spot.draws[0], ("status", "total"))}
    if spot.item is None:
        return None
    values["payment_method"] = "original"
    if kind == "return_items":
        return values
    others = [variant for variant in _others(spot.base, spot.item) if variant.options != spot.item.options]
    return values | {"options": requests.wish_for(spot.item, pick(spot.draws[0], tuple(others)))} if others else None


def _others(base: Base, item: Item) -> list[Variant]:
    """The other variants of an item's product that have the same options to choose."""
    variants = base.products[item.product].variants
    return [v for name, v in variants.items() if name != item.item and v.options.keys() == item.options.keys()]


def _foreign_order(spot: Spot, kind: str) -> dict[str, Any] | None:
    return None if spot.order.customer == spot.caller else _details(spot, kind)


def _wrong_status(*allowed: str) -> Callable[[Spot, str], dict[str, Any] | None]:
    def build(spot: Spot, kind: str) -> dict[str, Any] | None:
        return None if spot.order.status in allowed else _details(spot, kind)

    return build


def _unavailable(spot: Spot, kind: str) -> dict[str, Any] | None:
    status = "pending" if kind == "change_items" else "delivered"
    if spot.item is None or spot.order.status != status:
        return None
    gone = [variant for variant in _others(spot.base, spot.item) if not variant.available]
    values = _details(spot, kind)
    return values | {"options": requests.wish_for(spot.item, gone[0])} if gone and values else None


def _gift_card(spot: Spot, kind: str) -> dict[str, Any] | None:
    cards = {m: method for m, method in spot.person.payment_methods.items() if method.kind == "gift_card"}
    total = sum(item.price for item in spot.order.items)
    paid = [payment.method for payment in spot.order.payments]
    if len(cards) != 1 or spot.order.status != "pending" or len(paid) != 1 or paid[0] in cards:
        return None
    if next(iter(cards.values())).balance >= total:
        return None
    return {"order_id": spot.order_id, **_product(spot), "payment_method": "gift_card"}


def _product(spot: Spot) -> dict[str, Any]:
    return {} if spot.item is None else {"product": spot.base.products[spot.item.product].name}


def _refund(spot: Spot, kind: str) -> dict[str, Any] | None:
    if spot.item is None or spot.order.status != "delivered":
        return None
    methods = spot.person.payment_methods
    if not spot.order.payments:
        return None
    original = spot.order.payments[0].method
    other = [m.kind for name, m in methods.items() if m.kind != "gift_card" and name != original]
    kinds = [m.kind for m in methods.values()]
    wrong = [kind for kind in other if kinds.count(kind) == 1]
    if not wrong:
        return None
    both = sorted({methods[original].kind, wrong[0]}, key=KINDS_OF_MONEY.index)
    wish = both if spot.draws[0] & 1 and len(both) == 2 else wrong[0]
    return {"order_id": spot.order_id, **_product(spot), "payment_method": wish}


REFUSALS: dict[str, Callable[[Spot, str], dict[str, Any] | None]] = {
    "not_your_order": _foreign_order,
    "not_pending": _wrong_status("pending", "pending (items changed)"),
    "not_delivered": _wrong_status("delivered"),
    "unavailable": _unavailable,
    "gift_card_too_small": _gift_card,
    "refund_method": _refund,
}
"""Rule -> what its customer wants all the same."""


def _plot(name: str, customer: Customer, caller: str, made: list[Request], difficulty: str) -> Plot:
    draws = block(name, "person")
    if difficulty == "easy":
        left_out = any(len(request.knows.opens) < len(request.knows.values) for request in made)
        return Plot(caller, tuple(made), _easy_person(customer, draws, left_out), EASY_TEMPER)
    refused = any(request.goal.rule for request in made)
    temper = (_normal if difficulty == "normal" else _hard)(draws, refused)
    return Plot(caller, tuple(made), _person(customer, draws, difficulty), temper)


def _told_by(customer: Customer) -> dict[str, Any]:
    name = {"first_name": customer.first_name, "last_name": customer.last_name}
    return {"email": customer.email, "name": name, "postcode": customer.address.postcode}


def _easy_person(customer: Customer, draws: Draws, left_out: bool) -> Knowledge:
    """What the customer tells of themselves: they leave out one thing at most, here or of the request."""
    return Knowledge(_told_by(customer), ("email",) if left_out or draws[0] & 1 else ())


def _person(customer: Customer, draws: Draws, difficulty: str) -> Knowledge:
    """What the customer tells of themselves beyond easy: they may forget or misspell their e-mail address."""
    values = _told_by(customer)
    share = 1 if difficulty == "normal" else 2
    if permille(draws[1], 100 * share):
        del values["email"]
        return Knowledge(values, ("name",) if draws[0] & 1 else (), unknown=("email",))
    opens = tuple(field for field, draw in (("email", draws[2]), ("name", draws[3])) if permille(draw, 400))
    if permille(draws[4], 80 * share):
        return Knowledge(values, opens, mistakes={"email": _misspelt(customer.email, draws[5])})
    return Knowledge(values, opens)


def _misspelt(email: str, draw: int) -> str:
    """An address at another domain than the customer's."""
    local, _, domain = email.partition("@")
    others = tuple(other for other in MAIL_DOMAINS if other != domain)
    return f"{local}.{len(local)}@{pick(draw, others)}"


def _normal(draws: Draws, refused: bool) -> Temper:
    talk: Talk = "curt" if permille(draws[6], 200) else "talkative" if permille(draws[7], 250) else "plain"
    drifts = (1 + below(draws[8], 3),) if permille(draws[9], 150) else ()
    return Temper(4, talk, 300 if draws[10] & 3 == 0 else 0, drifts, int(refused and permille(draws[11], 400)))


def _hard(draws: Draws, refused: bool) -> Temper:
    talk: Talk = "curt" if permille(draws[6], 250) else "talkative" if permille(draws[7], 400) else "plain"
    drifts = (1 + below(draws[8], 2), 3 + below(draws[8], 2))[: below(draws[9], 3)]
    return Temper(3, talk, 300 if draws[10] & 1 else 0, drifts, below(draws[11], 3) if refused else 0)


EASY_TEMPER = Temper()

"""Whether a user's own request, its goal and the store fit together: what is told must lead to what settles it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..memory import Memory
from . import reading
from .actions import GetCustomer, GetOrder, GetProduct
from .conduct import forbidden
from .goals import WITHOUT_ORDER, Goal, Request
from .store import Result, Store

Told = dict[str, Any]


def fits(place: str, caller: str, request: Request, course: Sequence[Store]) -> Iterator[str]:
    """What does not fit; `course` holds the records after each change that was wanted before this request."""
    told: Told = {"request": request.request, **request.knows.values}
    memories = [_shown(store, caller, told) for store in course]
    if request.request in WITHOUT_ORDER:
        about, order = _variant(memories[-1], told), None
        if request.request == "product_question" and about is None:
            yield f"{place}/knows/values: no variant in the store has this product and these options; mend them."
            return
    else:
        found = reading.order_of(memories[-1], told)
        if found is None:
            yield f"{place}/knows/values: no order fits this order_id and product; mend them or the store."
            return
        about, order = found
        yield from _ruled(f"{place}/goal", request.goal, {forbidden(memory, told) for memory in memories})
    yield from _claimed(f"{place}/goal/claims", request.goal, about, told, memories)
    yield from _wished(f"{place}/goal", caller, request.goal, about, order, told, memories[-1])


def _shown(store: Store, caller: str, told: Told) -> Memory:
    """A memory of all that a tool can show of what this request is about."""
    memory = Memory()
    memory.seen["customer"] = {"customer_id": caller}
    own = store.base.orders_of[caller]
    orders = [*own, told["order_id"]] if told.get("order_id") not in (None, *own) else own
    products = {item.product: None for each in orders if (order := store.order(each)) for item in order.items}
    if told["request"] == "product_question":
        named = told.get("product")
        products = {each: None for each, product in store.base.products.items() if product.name == named}
    for act in (GetCustomer(caller), *map(GetOrder, orders), *map(GetProduct, products)):
        outcome = store.apply(act)
        if isinstance(outcome, Result):
            memory.seen |= outcome.shows
    return memory


def _variant(memory: Memory, told: Told) -> str | None:
    """The variant that a question is about."""
    for view in memory.seen.values():
        if "variants" in view and view["name"] == told.get("product"):
            found = reading.variant_with(memory, view, told.get("options", {}))
            if found is not None:
                return found[0]
    return None


def _ruled(place: str, goal: Goal, rules: set[str | None]) -> Iterator[str]:
    """The house rules forbid just what is to be refused."""
    if goal.rule in rules:
        return
    named = " or ".join(sorted(rule for rule in rules if rule))
    if goal.rule is None:
        yield f"{place}: the house rule {named!r} forbids this request; make it the goal's rule, or mend the request."
    else:
        why = f"forbid it by {named!r}" if named else "forbid nothing of it"
        yield f"{place}/rule: the house rules do not forbid this by {goal.rule!r}, they {why}; mend the rule or knows."


def _claimed(place: str, goal: Goal, about: str | None, told: Told, memories: Sequence[Memory]) -> Iterator[str]:
    """What is to be answered is what was asked, and what a tool shows at some point."""
    for n, claim in enumerate(goal.claims):
        held = [memory.seen[str(about)][told["question"]] for memory in memories]
        if claim.about != about:
            yield f"{place}/{n}/about: {claim.about!r} is not what the question is about; that is {about!r}."
        elif claim.field != told["question"]:
            yield f"{place}/{n}/field: {claim.field!r} is not what is asked; that is {told['question']!r}."
        elif not any(claim.value == each and claim.value.__class__ is each.__class__ for each in held):
            shows = f"the store shows {held[-1]!r}"
            yield f"{place}/{n}/value: {claim.value!r} is not true: {shows}; mend the claim or the store."


def _wished(
    place: str, caller: str, goal: Goal, about: str | None, order: reading.View | None, told: Told, memory: Memory
) -> Iterator[str]:
    """What the customer tells, first and in the end, is what the goal does."""
    steps = [("first", goal.first, told), ("action", goal.action, told | goal.change)]
    for part, action, known in steps if goal.first else steps[1:]:
        meant = _meant(caller, about, order, known, memory, getattr(action, "item_ids", ()))
        for name, value in meant.items():
            given = getattr(action, name, value)
            if given != value:
                yield (
                    f"{place}/{part}/{name}: {given!r} is not what the customer tells, which means {value!r}; "
                    "mend the goal, its change, or knows."
                )


def _meant(
    caller: str, about: str | None, order: reading.View | None, told: Told, memory: Memory, items: tuple[str, ...]
) -> Told:
    """What the fields of an action are by what was told, as far as that says it."""
    meant: Told = {"customer_id": caller} if order is None else {"order_id": about}
    if "reason" in told:
        meant["reason"] = told["reason"]
    if "address" in told:
        meant["address"] = reading.address_of(told)
    if order is None:
        return meant
    if "payment_method" in told:
        meant["payment_method_id"] = reading.method_of(memory, order, told)
    # Several items at once are more than a customer can tell: what they agree to must be found out by proposals.
    line = next((each for each in order["items"] if len(items) == 1 and each["item"] == items[0]), None)
    if line is not None and told.get("product", line["name"]) != line["name"]:
        meant["item_ids"] = tuple(each["item"] for each in order["items"] if each["name"] == told["product"])
    elif line is not None and "options" in told:
        variant = reading.variant_of(memory, line, told)
        meant["new_item_ids"] = (variant[0],) if variant else None
    return meant

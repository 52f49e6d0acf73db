"""The scripted expert: it acts on memory alone, so on what an agent has been shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..actions import Action
from ..memory import PERSON, Memory
from . import reading
from .actions import (
    Ask,
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ChangeProfileAddress,
    Claim,
    Close,
    ExchangeItems,
    FindCustomer,
    GetCustomer,
    GetOrder,
    GetProduct,
    HandOver,
    Inform,
    ListProducts,
    Propose,
    Refuse,
    ReturnItems,
)
from .conduct import forbidden
from .goals import DETAILS, WITHOUT_ORDER

Request = reading.Request


def act(memory: Memory) -> Action:
    """The next act: serve the first open request, ask for the next one, or close."""
    for no, request in enumerate(memory.requests):
        if no not in memory.settled:
            return _serve(memory, no, request)
    if len(memory.requests) < memory.person.get("announce", 1):
        return Ask("request")
    return Close()


def _serve(memory: Memory, no: int, request: Request) -> Action:
    kind = request["request"]
    if kind == "product_question":
        return _missing(request) or _about_product(memory, request)
    step = _identify(memory)
    if step is None and kind not in WITHOUT_ORDER:
        step = _find_order(memory, no, request)
    if step is not None:
        return step
    rule = forbidden(memory, request)
    if rule is not None:
        return Refuse(kind, rule)  # type: ignore[arg-type]
    if kind == "out_of_scope":
        return HandOver("The customer asks for something that is out of scope.")
    return _missing(request) or _look_up(memory, request) or _settle(memory, request)


def _missing(request: Request) -> Action | None:
    """Ask for the first detail that the customer has not told."""
    for field in DETAILS[request["request"]]:
        if field not in request:
            return Ask(field)  # type: ignore[arg-type]
    return None


def _identify(memory: Memory) -> Action | None:
    """Authenticate by e-mail, else by name and postcode."""
    if reading.who(memory) is not None:
        return None
    person = memory.person
    if "email" in person:
        find = FindCustomer(email=person["email"])
        return Ask("email") if find in memory.done else find
    if (PERSON, "email") not in memory.cannot:
        return Ask("email")
    if "name" not in person:
        return Ask("name")
    if "postcode" not in person:
        return Ask("postcode")
    return FindCustomer(**person["name"], postcode=person["postcode"])


def _find_order(memory: Memory, no: int, request: Request) -> Action | None:
    """Read the order that is meant: the one named, or else the caller's orders until one has the product."""
    if reading.order_of(memory, request) is not None:
        return None
    named = request.get("order_id")
    if named is not None and named not in memory.seen:
        return GetOrder(named)
    if (no, "order_id") not in memory.cannot:
        return Ask("order_id")
    if "product" not in request:
        return Ask("product")
    caller = reading.who(memory) or ""
    record = memory.seen.get(caller)
    if record is None or "orders" not in record:
        return GetCustomer(caller)
    unread = [order for order in record["orders"] if order not in memory.seen]
    return GetOrder(unread[0]) if unread else Ask("order_id")


def _look_up(memory: Memory, request: Request) -> Action | None:
    """Read what the request still needs: the product's variants, the caller's payment methods."""
    kind = request["request"]
    if kind in ("change_items", "exchange_items"):
        item = reading.item_of(_order(memory, request), request)
        if item is not None and "variants" not in memory.seen.get(item["product"], {}):
            return GetProduct(item["product"])
    wish = request.get("payment_method")
    if wish not in (None, "original") and reading.methods(memory) is None:
        return GetCustomer(reading.who(memory) or "")
    return None


def _settle(memory: Memory, request: Request) -> Action:
    """Answer a question; put a change to the customer, or make it once they have agreed."""
    if request["request"] == "order_question":
        question = request["question"]
        found = reading.order_of(memory, request)
        assert found is not None
        return Inform((Claim(found[0], question, found[1][question]),))
    action = CHANGES[request["request"]](memory, request)
    return action if action in memory.agreed else Propose(action)


def _about_product(memory: Memory, request: Request) -> Action:
    """Find the product by its name, read it, and answer about the variant."""
    name, question = request["product"], request["question"]
    for product_id, view in memory.seen.items():
        if view.get("name") == name and "price" not in view:
            if "variants" not in view:
                return GetProduct(product_id)
            found = reading.variant_with(memory, view, request["options"])
            assert found is not None
            return Inform((Claim(found[0], question, found[1][question]),))
    return ListProducts()


def _order(memory: Memory, request: Request) -> reading.View:
    found = reading.order_of(memory, request)
    assert found is not None
    return found[1]


def _swap(action: type[ChangeItems] | type[ExchangeItems]) -> Callable[[Memory, Request], Any]:
    def build(memory: Memory, request: Request) -> Any:
        order_id, item, method = _line(memory, request)
        variant = reading.variant_of(memory, item, request)
        assert variant is not None
        return action(order_id, (item["item"],), (variant[0],), method)

    return build


def _line(memory: Memory, request: Request) -> tuple[str, reading.View, str]:
    """The order, the item and the payment method that a request is about."""
    found = reading.order_of(memory, request)
    assert found is not None
    item = reading.item_of(found[1], request)
    method = reading.method_of(memory, found[1], request)
    assert item is not None
    assert method is not None
    return found[0], item, method


def _return(memory: Memory, request: Request) -> ReturnItems:
    order_id, item, method = _line(memory, request)
    return ReturnItems(order_id, (item["item"],), method)


def _cancel(memory: Memory, request: Request) -> CancelOrder:
    return CancelOrder(_order_id(memory, request), request["reason"])


def _readdress(memory: Memory, request: Request) -> ChangeAddress:
    address = reading.address_of(request)
    assert address is not None
    return ChangeAddress(_order_id(memory, request), address)


def _repay(memory: Memory, request: Request) -> ChangePayment:
    method = reading.method_of(memory, _order(memory, request), request)
    assert method is not None
    return ChangePayment(_order_id(memory, request), method)


def _move(memory: Memory, request: Request) -> ChangeProfileAddress:
    address = reading.address_of(request)
    caller = reading.who(memory)
    assert address is not None
    assert caller is not None
    return ChangeProfileAddress(caller, address)


def _order_id(memory: Memory, request: Request) -> str:
    found = reading.order_of(memory, request)
    assert found is not None
    return found[0]


CHANGES: dict[str, Callable[[Memory, Request], Any]] = {
    "cancel_order": _cancel,
    "change_items": _swap(ChangeItems),
    "change_address": _readdress,
    "change_payment": _repay,
    "change_profile_address": _move,
    "return_items": _return,
    "exchange_items": _swap(ExchangeItems),
}
"""Request kind -> the change that settles it."""

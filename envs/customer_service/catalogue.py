"""The discrete view of CustomerService: acts whose slots memory fills, and what memory knows of the open request.

House rules mask nothing: a change that nobody agreed to, a refusal without a reason or an answer about another
customer's order can be chosen, and are priced. Masked is what memory cannot fill, and what would only repeat what is
known: reading what was read, asking for what was told, proposing what is agreed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from ..actions import Action
from ..catalogue import Catalogue
from ..memory import PERSON, Memory
from . import reading
from .actions import (
    WRITES,
    Apologise,
    Ask,
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ChangeProfileAddress,
    Claim,
    Close,
    ExchangeItems,
    Field,
    FindCustomer,
    GetCustomer,
    GetOrder,
    GetProduct,
    HandOver,
    Inform,
    ListProducts,
    Propose,
    Refuse,
    RequestKind,
    ReturnItems,
    Rule,
    Write,
)
from .goals import DETAILS, PERSON_FIELDS, QUESTIONS, WITHOUT_ORDER, fields_of

KINDS: tuple[RequestKind, ...] = get_args(RequestKind)
RULES: tuple[Rule, ...] = get_args(Rule)
FIELDS = {kind: frozenset(fields_of(kind)) for kind in KINDS}
"""Request kind -> what its customer can tell of it."""
WITH_ORDER = frozenset(kind for kind in KINDS if kind not in WITHOUT_ORDER)
WITH_OPTIONS = frozenset(kind for kind in KINDS if "options" in DETAILS[kind])
NOTHING = "nothing"
"""What a customer says who is asked for a request and has none left."""
APOLOGY, CLOSE, LIST = Apologise(), Close(), ListProducts()
HAND_OVER = HandOver("The customer asks for something that is out of scope.")

# Names are put together once: (what it is about, the names of its templates or features).
ASKS = [(field, f"ask.{field}", Ask(field)) for field in get_args(Field)]
REFUSALS = [(f"refuse.{rule}", {kind: Refuse(kind, rule) for kind in KINDS}) for rule in RULES]
CHANGES = [(name, f"do.{name}", f"propose.{name}") for name in (str(kind.__struct_config__.tag) for kind in WRITES)]
AGREED = [(name, f"agreed.{name}") for name, _, _ in CHANGES]
REQUESTS = [(kind, f"request.{kind}") for kind in KINDS]
ASKED = [(name, f"question.{name}") for questions in QUESTIONS.values() for name in questions]
PERSON_TOLD = [(field, f"{field}.told", (PERSON, field), f"{field}.unknown") for field in PERSON_FIELDS]
TOLD = [
    (field, f"{field}.told", f"{field}.unknown")
    for field in ("order_id", "product", "options", "reason", "payment_method", "address")
]
STATUSES = [(status, f"order.{status}") for status in ("pending", "pending (items changed)", "delivered")]


class Case:
    """The open request, the latest if there are several, and what memory holds that it means.

    A change that was made without the customer's yes settles nothing in memory: `changed` tells that it was made.
    """

    __slots__ = (
        "address", "caller", "changed", "item", "kind", "memory", "method", "methods", "no", "order", "order_id",
        "product", "product_id", "request", "variant", "variant_id", "writes",
    )  # fmt: skip

    order: reading.View
    """The order that is meant; empty before it is found, as are the item, the product and the variant."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.caller = reading.who(memory)
        self.no, self.request = self._open()
        self.kind: RequestKind | None = self.request.get("request")
        found = reading.order_of(memory, self.request) if self.kind in WITH_ORDER else None
        self.order_id, self.order = found or ("", {})
        told = "product" in self.request
        self.item: reading.View = (reading.item_of(self.order, self.request) or {}) if self.order and told else {}
        self.product_id, self.product = self._meant()
        self.variant_id, self.variant = self._wanted()
        self.methods = reading.methods(memory)
        self.method = reading.method_of(memory, self.order, self.request) if self.order else None
        self.address = reading.address_of(self.request)
        self.writes = dict(self._writes())
        self.changed = self.writes.get(self.kind or "") in memory.done or (
            self.kind == "change_items" and self._is_swapped()
        )

    def _open(self) -> tuple[int, reading.Request]:
        requests, settled = self.memory.requests, self.memory.settled
        for no in range(len(requests) - 1, -1, -1):
            if no not in settled and requests[no]["request"] != NOTHING:
                return no, requests[no]
        return PERSON, {}

    def _is_swapped(self) -> bool:
        """Whether the item is the wanted variant already: a changed item stands in the order at once."""
        return bool(self.item) and self.item["item"] == self.variant_id

    def _meant(self) -> tuple[str, reading.View]:
        """The product that is meant: the item's, or else the one with that name; `variants` in it once it was read."""
        if self.item:
            return self.item["product"], self.memory.seen.get(self.item["product"], {})
        if self.kind == "product_question":
            name = self.request.get("product")
            for product_id, view in self.memory.seen.items():
                if view.get("name") == name and "price" not in view:
                    return product_id, view
        return "", {}

    def _wanted(self) -> tuple[str, reading.View]:
        """The variant that is meant."""
        wish = self.request.get("options")
        if wish is None or "variants" not in self.product:
            return "", {}
        options = {**self.item["options"], **wish} if self.item else wish
        return reading.variant_with(self.memory, self.product, options) or ("", {})

    def _writes(self) -> Iterator[tuple[str, Write]]:
        """The changes that can be put together of what was told and read."""
        request, order_id, caller, address = self.request, self.order_id, self.caller, self.address
        if address and caller:
            yield "change_profile_address", ChangeProfileAddress(caller, address)
        if not order_id:
            return
        if "reason" in request:
            yield "cancel_order", CancelOrder(order_id, request["reason"])
        if address:
            yield "change_address", ChangeAddress(order_id, address)
        method = self.method
        if not method:
            return
        yield "change_payment", ChangePayment(order_id, method)
        if self.item:
            items = (self.item["item"],)
            yield "return_items", ReturnItems(order_id, items, method)
            if self.variant_id:
                if not self._is_swapped():
                    yield "change_items", ChangeItems(order_id, items, (self.variant_id,), method)
                yield "exchange_items", ExchangeItems(order_id, items, (self.variant_id,), method)


def _bind(case: Case) -> dict[str, Action | None]:
    """The templates."""
    agreed, done, writes, kind = case.memory.agreed, case.memory.done, case.writes, case.kind
    bound = _lookups(case)
    bound["hand_over"] = HAND_OVER
    for change, do, propose in CHANGES:
        write = writes.get(change)
        if write is None or write in done:
            bound[do] = bound[propose] = None
        else:
            bound[do], bound[propose] = write, None if write in agreed else Propose(write)
    for field, name, ask in ASKS:
        bound[name] = ask if _can_ask(case, field) else None
    bound["inform.status"] = _claimed(case.order_id, "status", case.order)
    bound["inform.total"] = _claimed(case.order_id, "total", case.order)
    bound["inform.price"] = _claimed(case.variant_id, "price", case.variant)
    bound["inform.available"] = _claimed(case.variant_id, "available", case.variant)
    for name, refusals in REFUSALS:
        bound[name] = refusals[kind] if kind and case.order_id else None
    bound["apologise"], bound["close"] = APOLOGY, CLOSE
    return bound


def _lookups(case: Case) -> dict[str, Action | None]:
    """What can be read and was not."""
    memory, kind = case.memory, case.kind
    named, sought = case.request.get("order_id"), kind in WITH_ORDER and not case.order_id
    unread = _unread(case) if sought else None
    unlisted = kind == "product_question" and LIST not in memory.done
    unseen = case.product_id if kind in WITH_OPTIONS and "variants" not in case.product else ""
    return {
        "find_customer.email": _find_by_email(case),
        "find_customer.name": _find_by_name(case),
        "get_customer": GetCustomer(case.caller) if case.caller and case.methods is None else None,
        "get_order.named": GetOrder(named) if named is not None and sought and named not in memory.seen else None,
        "get_order.next": GetOrder(unread) if unread else None,
        "get_product": GetProduct(unseen) if unseen else None,
        "list_products": LIST if unlisted else None,
    }


def _find_by_email(case: Case) -> Action | None:
    email = case.memory.person.get("email")
    if email is None or case.caller:
        return None
    find = FindCustomer(email=email)
    return None if find in case.memory.done else find


def _find_by_name(case: Case) -> Action | None:
    person = case.memory.person
    if "name" not in person or "postcode" not in person or case.caller:
        return None
    find = FindCustomer(**person["name"], postcode=person["postcode"])
    return None if find in case.memory.done else find


def _unread(case: Case) -> str | None:
    """The first of the caller's orders that was not read, but for the one that is named."""
    seen, named = case.memory.seen, case.request.get("order_id")
    orders = seen.get(case.caller or "", {}).get("orders", ())
    return next((order for order in orders if order not in seen and order != named), None)


def _can_ask(case: Case, field: str) -> bool:
    """Whether a question is open: the field is of use, it was not told or led nowhere, and the customer may know."""
    memory, kind = case.memory, case.kind
    if field == "request":
        return (kind is None or case.changed) and not (memory.requests and memory.requests[-1]["request"] == NOTHING)
    if field in PERSON_FIELDS:
        if case.caller or (PERSON, field) in memory.cannot:
            return False
        return field not in memory.person or (field == "email" and FindCustomer(memory.person["email"]) in memory.done)
    if kind is None or field not in FIELDS[kind] or (case.no, field) in memory.cannot:
        return False
    return field not in case.request or (field == "order_id" and not case.order_id)


def _claimed(about: str, field: str, view: reading.View) -> Action | None:
    return Inform((Claim(about, field, view[field]),)) if view else None


def _read(case: Case) -> dict[str, float]:
    """The features."""
    memory, request, order, kind = case.memory, case.request, case.order, case.kind
    person, cannot, done = memory.person, memory.cannot, memory.done
    named, status, question = request.get("order_id"), order.get("status"), request.get("question")
    values: dict[str, float] = {name: each == kind for each, name in REQUESTS}
    for each, name in ASKED:
        values[name] = each == question
    values["request.more"] = len(memory.requests) < person.get("announce", 1)
    for field, told, key, unknown in PERSON_TOLD:
        values[told], values[unknown] = field in person, key in cannot
    values["email.failed"] = not case.caller and "email" in person and FindCustomer(person["email"]) in done
    values["caller.known"] = case.caller is not None
    values["caller.read"] = case.methods is not None
    for field, told, unknown in TOLD:
        values[told], values[unknown] = field in request, (case.no, field) in cannot
    values["order.read"] = named is not None and named in memory.seen
    values["order.found"] = case.order_id != ""
    values["order.own"] = bool(order) and order["customer"] == case.caller
    for state, name in STATUSES:
        values[name] = state == status
    values["orders.unread"] = _unread(case) is not None
    values["products.listed"] = LIST in done
    values["product.found"] = case.product_id != ""
    values["product.read"] = "variants" in case.product
    values["variant.found"] = case.variant_id != ""
    values["variant.available"] = bool(case.variant.get("available"))
    values["change.made"] = case.changed
    values.update(_payment(case))
    for change, name in AGREED:
        values[name] = change in case.writes and case.writes[change] in memory.agreed
    return values


def _payment(case: Case) -> dict[str, float]:
    """How the request is to be paid, or paid back."""
    wish = case.request.get("payment_method")
    method = (case.methods or {}).get(case.method or "", {})
    is_card = method.get("kind") == "gift_card"
    return {
        "payment.original": wish == "original",
        "payment.several": isinstance(wish, list),
        "payment.found": bool(case.method),
        "payment.as_paid": bool(case.method) and case.method == reading.paid_by(case.order),
        "payment.gift_card": is_card,
        "payment.short": is_card and method["balance"] < _amount(case),
    }


def _amount(case: Case) -> int:
    """What is to be paid: the difference of a swap, or the whole order."""
    if case.kind in WITH_OPTIONS and case.item:
        return int(case.variant["price"] - case.item["price"]) if case.variant else 0
    return sum(item["price"] for item in case.order["items"]) if case.kind == "change_payment" else 0


CATALOGUE = Catalogue(Case, _bind, _read)

"""The rules of the shop: what each act on the records does, and when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..actions import Action
from .actions import (
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ChangeProfileAddress,
    ExchangeItems,
    FindCustomer,
    GetCustomer,
    GetOrder,
    GetProduct,
    ListProducts,
    ReturnItems,
)
from .ledger import book, cannot_pay, method_of, original_method, unrefunded
from .records import Exchange, Item, Order, Payment, Records, Return, fold
from .views import Refused, Result, customer_view, order_view, product_views

PENDING = "pending"
ITEMS_CHANGED = "pending (items changed)"
DELIVERED = "delivered"

_replace = msgspec.structs.replace


def apply(records: Records, action: Action) -> Result | Refused:
    """Play one act on the records; who may ask for it is not the rules' business."""
    act = RULES.get(type(action))
    if act is None:
        known = ", ".join(kind.__name__ for kind in RULES)
        raise TypeError(
            f"apply() takes an act on the records, not {action!r} ({type(action).__name__}): hand_over and the acts of "
            f"speech belong to the conversation, and JSON is decoded first. Give one of {known}."
        )
    return act(records, action)


def find_customer(records: Records, act: FindCustomer) -> Result | Refused:
    """An e-mail decides where one is given; else the full name and the postcode do; case does not count."""
    if act.email:
        return _found(records.base.customer_with(fold(act.email)))
    given = {"first_name": act.first_name, "last_name": act.last_name, "postcode": act.postcode}
    if missing := [name for name, value in given.items() if not value]:
        return Refused(
            "A customer is found by email, or by first_name, last_name and postcode together; "
            f"there is no email, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        )
    ids = records.named(act.first_name, act.last_name, act.postcode)
    if len(ids) > 1:
        name = f"{act.first_name} {act.last_name}"
        return Refused(f"{len(ids)} customers are called {name} with the postcode {act.postcode}; find them by email.")
    return _found(ids[0] if ids else None)


def get_customer(records: Records, act: GetCustomer) -> Result | Refused:
    """Show a customer's record."""
    customer = records.customer(act.customer_id)
    if customer is None:
        return _unknown("customer", act.customer_id)
    return Result({act.customer_id: customer_view(records, act.customer_id, customer)})


def get_order(records: Records, act: GetOrder) -> Result | Refused:
    """Show an order."""
    order = records.order(act.order_id)
    if order is None:
        return _unknown("order", act.order_id)
    return Result({act.order_id: order_view(records.base, order)})


def get_product(records: Records, act: GetProduct) -> Result | Refused:
    """Show a product and its variants."""
    if act.product_id not in records.base.products:
        return _unknown("product", act.product_id)
    return Result(product_views(records.base, act.product_id))


def list_products(records: Records, act: ListProducts) -> Result | Refused:
    """Show the names of all products."""
    return Result({product_id: {"name": product.name} for product_id, product in records.base.products.items()})


def cancel_order(records: Records, act: CancelOrder) -> Result | Refused:
    """Cancel an untouched pending order; every payment goes back to its own method."""
    order = _order(records, act.order_id, "cancelled", PENDING)
    if isinstance(order, Refused):
        return order
    refunds = [Payment("refund", amount, method) for method, amount in unrefunded(order.payments)]
    booked = (*order.payments, *refunds)
    changed = _replace(order, status="cancelled", payments=booked, cancel_reason=act.reason)
    return book(records, act.order_id, changed, refunds)


def change_items(records: Records, act: ChangeItems) -> Result | Refused:
    """Swap items of an untouched pending order; the difference is booked at once."""
    order = _order(records, act.order_id, "changed in its items", PENDING)
    if isinstance(order, Refused):
        return order
    swapped = _swap(records, order, act, may_stay=False)
    if isinstance(swapped, Refused):
        return swapped
    items, difference = swapped
    booking = Payment("payment" if difference > 0 else "refund", abs(difference), act.payment_method_id)
    bookings = [booking] if difference else []
    changed = _replace(order, status=ITEMS_CHANGED, items=items, payments=(*order.payments, *bookings))
    return book(records, act.order_id, changed, bookings)


def change_address(records: Records, act: ChangeAddress) -> Result | Refused:
    """Send a pending order elsewhere."""
    order = _order(records, act.order_id, "sent to another address", PENDING, ITEMS_CHANGED)
    if isinstance(order, Refused):
        return order
    return book(records, act.order_id, _replace(order, address=act.address))


def change_payment(records: Records, act: ChangePayment) -> Result | Refused:
    """Pay a pending order by another method: what was paid is charged to the new one and refunded to the old."""
    order = _order(records, act.order_id, "paid by another method", PENDING, ITEMS_CHANGED)
    if isinstance(order, Refused):
        return order
    if len(order.payments) != 1 or order.payments[0].kind != "payment":
        booked = ", ".join(f"{each.kind} of {each.amount} cents ({each.method})" for each in order.payments) or "none"
        return Refused(
            f"The payment of order {act.order_id} cannot be changed: that takes exactly one payment so far and no "
            f"refund, and its bookings are: {booked}."
        )
    paid = order.payments[0]
    if paid.method == act.payment_method_id:
        return Refused(f"Order {act.order_id} is already paid by {paid.method}; name a different payment method.")
    if refusal := cannot_pay(records, order, act.payment_method_id, paid.amount):
        return refusal
    bookings = [Payment("payment", paid.amount, act.payment_method_id), Payment("refund", paid.amount, paid.method)]
    return book(records, act.order_id, _replace(order, payments=(paid, *bookings)), bookings)


def change_profile_address(records: Records, act: ChangeProfileAddress) -> Result | Refused:
    """Replace a customer's default address; orders keep theirs."""
    customer = records.customer(act.customer_id)
    if customer is None:
        return _unknown("customer", act.customer_id)
    records.customers[act.customer_id] = _replace(customer, address=act.address)
    return Result({act.customer_id: {"address": msgspec.structs.asdict(act.address)}}, writes=True)


def return_items(records: Records, act: ReturnItems) -> Result | Refused:
    """Record the return of items of a delivered order; money moves when they arrive."""
    order = _order(records, act.order_id, "returned", DELIVERED)
    if isinstance(order, Refused):
        return order
    lines = _lines(order, act)
    if isinstance(lines, Refused):
        return lines
    method = method_of(records, order, act.payment_method_id)
    if isinstance(method, Refused):
        return method
    original = original_method(order)
    if method.kind != "gift_card" and act.payment_method_id != original:
        return Refused(
            f"The refund of order {act.order_id} cannot go to {act.payment_method_id} ({method.kind}): it goes to the "
            f"original payment method ({original or 'there is none'}) or to a gift card of the customer."
        )
    returned = Return(tuple(sorted(act.item_ids)), act.payment_method_id)
    return book(records, act.order_id, _replace(order, status="return requested", return_=returned))


def exchange_items(records: Records, act: ExchangeItems) -> Result | Refused:
    """Record the exchange of items of a delivered order; the difference is settled when they arrive."""
    order = _order(records, act.order_id, "exchanged", DELIVERED)
    if isinstance(order, Refused):
        return order
    swapped = _swap(records, order, act, may_stay=True)
    if isinstance(swapped, Refused):
        return swapped
    old, new = tuple(sorted(act.item_ids)), tuple(sorted(act.new_item_ids))
    exchange = Exchange(old, new, act.payment_method_id, swapped[1])
    return book(records, act.order_id, _replace(order, status="exchange requested", exchange=exchange))


def _found(customer_id: str | None) -> Result:
    return Result({} if customer_id is None else {"customer": {"customer_id": customer_id}})


def _unknown(what: str, which: str) -> Refused:
    return Refused(f"There is no {what} {which!r} in the records; check the id.")


def _order(records: Records, order_id: str, done: str, *statuses: str) -> Order | Refused:
    """The order, which must have one of the statuses."""
    order = records.order(order_id)
    if order is None:
        return _unknown("order", order_id)
    if order.status in statuses:
        return order
    wanted = " or ".join(f"'{status}'" for status in statuses)
    return Refused(f"Order {order_id} cannot be {done}: its status is '{order.status}', and it must be {wanted}.")


def _lines(order: Order, act: ChangeItems | ReturnItems | ExchangeItems) -> list[int] | Refused:
    """The positions of the named items in the order; an item named twice takes two lines."""
    if not act.item_ids:
        return Refused(f"No item is named; name at least one item of order {act.order_id} in item_ids.")
    free: list[str | None] = [item.item for item in order.items]
    positions = []
    for item_id in act.item_ids:
        if item_id not in free:
            held, named = sum(item.item == item_id for item in order.items), act.item_ids.count(item_id)
            return Refused(f"Order {act.order_id} holds item {item_id!r} {held} times, and it is named {named} times.")
        positions.append(free.index(item_id))
        free[positions[-1]] = None
    return positions


def _swap(
    records: Records, order: Order, act: ChangeItems | ExchangeItems, *, may_stay: bool
) -> tuple[tuple[Item, ...], int] | Refused:
    """The order's items with the new variants in the old ones' places, and the price difference, which can be paid."""
    if len(act.item_ids) != len(act.new_item_ids):
        counts = f"{len(act.item_ids)} item_ids and {len(act.new_item_ids)} new_item_ids"
        return Refused(f"There are {counts}; name one new item for each old one, in the same order.")
    lines = _lines(order, act)
    if isinstance(lines, Refused):
        return lines
    items, difference = list(order.items), 0
    for at, new_id in zip(lines, act.new_item_ids, strict=True):
        old = items[at]
        if new_id == old.item and not may_stay:
            return Refused(f"Item {new_id} would be changed for itself; name another variant or leave the item out.")
        variant = records.base.products[old.product].variants.get(new_id)
        if variant is None:
            return Refused(f"Item {new_id!r} is not a variant of product {old.product}, which item {old.item} is of.")
        if not variant.available:
            return Refused(f"Item {new_id} of product {old.product} is not available; choose an available variant.")
        items[at] = Item(old.product, new_id, variant.price, variant.options)
        difference += variant.price - old.price
    return cannot_pay(records, order, act.payment_method_id, difference) or (tuple(items), difference)


RULES: dict[type[Action], Callable[[Records, Any], Result | Refused]] = {
    FindCustomer: find_customer,
    GetCustomer: get_customer,
    GetOrder: get_order,
    GetProduct: get_product,
    ListProducts: list_products,
    CancelOrder: cancel_order,
    ChangeItems: change_items,
    ChangeAddress: change_address,
    ChangePayment: change_payment,
    ChangeProfileAddress: change_profile_address,
    ReturnItems: return_items,
    ExchangeItems: exchange_items,
}

"""Money: who paid what, whether a method can take an amount, and the booking of a change."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .records import Customer, Order, Payment, PaymentMethod, Records
from .views import Refused, Result, methods_view, order_view


def unrefunded(payments: Sequence[Payment]) -> list[tuple[str, int]]:
    """What each payment has left after the refunds to its method: (method, amount), in the order of the payments."""
    back: dict[str, int] = {}
    for each in payments:
        if each.kind == "refund":
            back[each.method] = back.get(each.method, 0) + each.amount
    left = []
    for each in payments:
        if each.kind == "payment":
            covered = min(each.amount, back.get(each.method, 0)) if back else 0
            if covered:
                back[each.method] -= covered
            if each.amount > covered:
                left.append((each.method, each.amount - covered))
    return left


def original_method(order: Order) -> str | None:
    """The method that a refund goes back to: of the first payment that was not refunded since."""
    if left := unrefunded(order.payments):
        return left[0][0]
    return order.payments[0].method if order.payments else None


def method_of(records: Records, order: Order, method_id: str) -> PaymentMethod | Refused:
    """The payment method, which must be one of the order's customer's."""
    methods = _owner(records, order).payment_methods
    if method_id in methods:
        return methods[method_id]
    own = ", ".join(methods) or "none"
    return Refused(f"Customer {order.customer} has no payment method {method_id!r}; theirs are: {own}.")


def cannot_pay(records: Records, order: Order, method_id: str, amount: int) -> Refused | None:
    """Why the method cannot take the amount: it is not the customer's, or a gift card that does not cover it."""
    method = method_of(records, order, method_id)
    if isinstance(method, Refused):
        return method
    if method.kind == "gift_card" and method.balance < amount:
        return Refused(f"Gift card {method_id} holds {method.balance} cents and does not cover {amount} cents.")
    return None


def book(records: Records, order_id: str, order: Order, bookings: Sequence[Payment] = ()) -> Result:
    """Keep the changed order, move the gift cards' balances by its new bookings at once, and show what changed."""
    records.orders[order_id] = order
    shows = {order_id: order_view(records.base, order)}
    if not bookings:
        return Result(shows, writes=True)
    before = after = _owner(records, order)
    for booking in bookings:
        after = _moved(after, booking)
    if after is not before:
        records.customers[order.customer] = after
        shows[order.customer] = {"payment_methods": methods_view(after)}
    return Result(shows, writes=True)


def _owner(records: Records, order: Order) -> Customer:
    return records.customers.get(order.customer) or records.base.customers[order.customer]


def _moved(customer: Customer, booking: Payment) -> Customer:
    """The customer after a booking: only a gift card's balance lies with the shop."""
    method = customer.payment_methods[booking.method]
    if method.kind != "gift_card" or not booking.amount:
        return customer
    balance = method.balance + (booking.amount if booking.kind == "refund" else -booking.amount)
    moved = PaymentMethod("gift_card", balance)
    return msgspec.structs.replace(customer, payment_methods={**customer.payment_methods, booking.method: moved})

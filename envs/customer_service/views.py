"""What a tool shows of a record: plain JSON, built anew each time, so that the caller may keep or change it."""

from __future__ import annotations

from typing import Any

import msgspec

from .records import Base, Customer, Order, Records

View = dict[str, Any]


class Result(msgspec.Struct, frozen=True):
    """What an act showed, by id, and whether it was a write."""

    shows: dict[str, View]
    writes: bool = False


class Refused(msgspec.Struct, frozen=True):
    """Why an act was refused; nothing has changed."""

    reason: str


_fields = msgspec.structs.asdict


def order_view(base: Base, order: Order) -> View:
    """An order: status, customer, items with their names, the total of the item prices, address, payments."""
    total = 0
    items = []
    products = base.products
    for item in order.items:
        total += item.price
        name = products[item.product].name
        items.append(
            {"item": item.item, "product": item.product, "name": name, "options": {**item.options}, "price": item.price}
        )
    view: View = {"status": order.status, "customer": order.customer, "items": items, "total": total}
    view["address"] = _fields(order.address)
    view["payments"] = list(map(_fields, order.payments))
    if order.cancel_reason:
        view["cancel_reason"] = order.cancel_reason
    if order.return_ is not None:
        view["return"] = {"items": [*order.return_.items], "method": order.return_.method}
    if order.exchange is not None:
        view["exchange"] = _exchange_view(order)
    return view


def _exchange_view(order: Order) -> View:
    """The exchange of an order; `{}` where it has none."""
    exchange = order.exchange
    if exchange is None:
        return {}
    view: View = {"items": [*exchange.items], "new_items": [*exchange.new_items]}
    return view | {"method": exchange.method, "difference": exchange.difference}


def customer_view(records: Records, customer_id: str, customer: Customer) -> View:
    """A customer: name, e-mail, address, payment methods, order ids."""
    return {
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "address": _fields(customer.address),
        "payment_methods": methods_view(customer),
        "orders": [*records.base.orders_of[customer_id]],
    }


def methods_view(customer: Customer) -> View:
    """A customer's payment methods; a gift card with its balance."""
    return {
        method_id: {"kind": method.kind, "balance": method.balance}
        if method.kind == "gift_card"
        else {"kind": method.kind}
        for method_id, method in customer.payment_methods.items()
    }


def product_views(base: Base, product_id: str) -> dict[str, View]:
    """A product, and each of its variants under its item id."""
    product = base.products[product_id]
    views: dict[str, View] = {product_id: {"name": product.name, "variants": [*product.variants]}}
    for item_id, variant in product.variants.items():
        view: View = {"product": product_id, "name": product.name, "options": {**variant.options}}
        views[item_id] = view | {"price": variant.price, "available": variant.available}
    return views

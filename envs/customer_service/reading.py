"""What a memory says about a request: which order, item, variant and payment method it means, as far as was shown.

The house rules and the expert read memory through these functions alone, so they know what an agent can know.
"""

from __future__ import annotations

from typing import Any

from ..memory import Memory
from .actions import Address

View = dict[str, Any]
Request = dict[str, Any]


def who(memory: Memory) -> str | None:
    """The authenticated customer's id."""
    found = memory.seen.get("customer")
    return found["customer_id"] if found else None


def holds(order: View, product: str) -> bool:
    """Whether an order has an item of that product."""
    return product in [item["name"] for item in order["items"]]


def order_of(memory: Memory, request: Request) -> tuple[str, View] | None:
    """The order that a request means, once it has been read: the one named, or the caller's first with the product.

    The first of their list, not the one that was read first: what a request means is no matter of how it was found out.
    """
    named, product = request.get("order_id"), request.get("product")
    if named is not None:
        order = memory.seen.get(named)
        if order is None or "items" not in order or (product is not None and not holds(order, product)):
            return None
        return named, order
    if product is None:
        return None
    caller = who(memory)
    for name in memory.seen.get(caller or "", {}).get("orders") or sorted(memory.seen):
        view = memory.seen.get(name, {})
        if view.get("customer") == caller and "items" in view and holds(view, product):
            return name, view
    return None


def item_of(order: View, request: Request) -> View | None:
    """The item of an order that a request is about."""
    product = request.get("product")
    for item in order["items"]:
        if product is None or item["name"] == product:
            found: View = item
            return found
    return None


def variant_of(memory: Memory, item: View, request: Request) -> tuple[str, View] | None:
    """The variant that a request wants instead of an item, once its product has been read."""
    product = memory.seen.get(item["product"])
    wish = request.get("options")
    if product is None or "variants" not in product or wish is None:
        return None
    return variant_with(memory, product, {**item["options"], **wish})


def variant_with(memory: Memory, product: View, options: dict[str, str]) -> tuple[str, View] | None:
    """The variant of a product that has just these options."""
    for name in product["variants"]:
        view = memory.seen[name]
        if view["options"] == options:
            return name, view
    return None


def paid_by(order: View) -> str:
    """The method by which an order was paid first."""
    return str(order["payments"][0]["method"]) if order["payments"] else ""


def methods(memory: Memory) -> View | None:
    """The caller's payment methods, once their record has been read."""
    found: View | None = memory.seen.get(who(memory) or "", {}).get("payment_methods")
    return found


def method_of(memory: Memory, order: View, request: Request) -> str | None:
    """The payment method that a request names: the original one, or the caller's one of that kind."""
    wish = request.get("payment_method")
    if wish == "original":
        return paid_by(order)
    for name, method in (methods(memory) or {}).items():
        if method["kind"] == wish:
            return str(name)
    return None


def address_of(request: Request) -> Address | None:
    """The address that a request names."""
    wish = request.get("address")
    return Address(**wish) if wish else None

"""The shop's records: products, customers and orders, and the changes of one conversation over them."""

from __future__ import annotations

import collections
import functools
from typing import Annotated, Any, Literal, Self

import msgspec

from .actions import Address

Id = Annotated[str, msgspec.Meta(min_length=1)]
Money = Annotated[int, msgspec.Meta(ge=0, le=10**12, description="whole cents")]
Difference = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12, description="whole cents; negative: money back")]
MethodKind = Literal["credit_card", "paypal", "gift_card"]
PaymentKind = Literal["payment", "refund"]
Status = Literal[
    "pending",
    "pending (items changed)",
    "processed",
    "delivered",
    "cancelled",
    "return requested",
    "exchange requested",
]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A part of the store; it is never changed, only replaced (and so it is never part of a reference cycle)."""


class Variant(Record, frozen=True, gc=False):
    """An item of a product that can be bought."""

    options: dict[str, str]
    price: Money
    available: bool


class Product(Record, frozen=True, gc=False):
    """A product and its variants, by item id."""

    name: str
    variants: dict[Id, Variant]


class PaymentMethod(Record, frozen=True, gc=False):
    """A way to pay; only a gift card carries a balance."""

    kind: MethodKind
    balance: Money = 0


class Customer(Record, frozen=True, gc=False):
    """A customer with the default address and the payment methods, by id."""

    first_name: str
    last_name: str
    email: Annotated[str, msgspec.Meta(min_length=1)]
    address: Address
    payment_methods: dict[Id, PaymentMethod]


class Item(Record, frozen=True, gc=False):
    """A line of an order: one piece of a variant, at the price it was sold for."""

    product: Id
    item: Id
    price: Money
    options: dict[str, str]


class Payment(Record, frozen=True, gc=False):
    """Money that moved between a payment method and the shop."""

    kind: PaymentKind
    amount: Money
    method: Id


class Return(Record, frozen=True, gc=False):
    """A requested return: the items, sorted, and where the refund goes."""

    items: tuple[Id, ...]
    method: Id


class Exchange(Record, frozen=True, gc=False):
    """A requested exchange: both lists sorted, and who pays the price difference by what."""

    items: tuple[Id, ...]
    new_items: tuple[Id, ...]
    method: Id
    difference: Difference


class Order(Record, frozen=True, gc=False):
    """An order; the last three fields say how it was cancelled, returned or exchanged."""

    customer: Id
    status: Status
    address: Address
    items: tuple[Item, ...]
    payments: tuple[Payment, ...]
    cancel_reason: str = ""
    return_: Return | None = msgspec.field(default=None, name="return")
    exchange: Exchange | None = None


class Base(msgspec.Struct, frozen=True, eq=False, dict=True):
    """The records at the start: shared by conversations, never changed; indexes are built on first use."""

    products: dict[str, Product]
    customers: dict[str, Customer]
    orders: dict[str, Order]

    @functools.cached_property
    def by_email(self) -> dict[str, str]:
        """Folded e-mail -> customer id."""
        return {fold(customer.email): customer_id for customer_id, customer in self.customers.items()}

    def customer_with(self, email: str) -> str | None:
        """The id of the customer with an e-mail address in its folded form."""
        return self.by_email.get(email)

    @functools.cached_property
    def by_name(self) -> dict[tuple[str, str], list[str]]:
        """Folded first and last name -> customer ids (a postcode can change, so it is no part of the index)."""
        index: dict[tuple[str, str], list[str]] = {}
        for customer_id, customer in self.customers.items():
            index.setdefault((fold(customer.first_name), fold(customer.last_name)), []).append(customer_id)
        return index

    @functools.cached_property
    def named_once(self) -> tuple[str, ...]:
        """The ids of the products whose name no other product has."""
        names = [fold(product.name) for product in self.products.values()]
        counts = collections.Counter(names)
        return tuple(product_id for product_id, name in zip(self.products, names, strict=True) if counts[name] == 1)

    @functools.cached_property
    def orders_of(self) -> dict[str, list[str]]:
        """Customer id -> order ids, in the order of the records."""
        index: dict[str, list[str]] = {customer_id: [] for customer_id in self.customers}
        for order_id, order in self.orders.items():
            index[order.customer].append(order_id)
        return index


class Records(msgspec.Struct, eq=False):
    """A base and what one conversation has changed over it: `orders` and `customers` hold the changed ones alone."""

    base: Base
    orders: dict[str, Order] = msgspec.field(default_factory=dict)
    customers: dict[str, Customer] = msgspec.field(default_factory=dict)

    def order(self, order_id: str) -> Order | None:
        """The order as it is now."""
        return self.orders.get(order_id) or self.base.orders.get(order_id)

    def customer(self, customer_id: str) -> Customer | None:
        """The customer as they are now."""
        return self.customers.get(customer_id) or self.base.customers.get(customer_id)

    def named(self, first_name: str, last_name: str, postcode: str) -> list[str]:
        """The ids of the customers with this name and this postcode in their present address."""
        ids = self.base.by_name.get((fold(first_name), fold(last_name)), [])
        present = [(each, self.customers.get(each) or self.base.customers[each]) for each in ids]
        return [each for each, customer in present if fold(customer.address.postcode) == fold(postcode)]

    def copy(self) -> Self:
        """An independent copy; the base is shared."""
        return type(self)(self.base, self.orders.copy(), self.customers.copy())

    def key(self) -> tuple[tuple[tuple[str, bytes], ...], ...]:
        """What differs from the base, as a hashable value: equal exactly when the visible worlds over one base are."""
        return _differing(self.orders, self.base.orders), _differing(self.customers, self.base.customers)


def fold(text: str) -> str:
    """The form in which e-mails, names and postcodes are compared."""
    return text.strip().casefold()


# Options that are equal but were written in another order encode the same.
_encode = msgspec.json.Encoder(order="deterministic").encode


def _differing(changed: dict[str, Any], base: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
    if not changed:
        return ()
    return tuple(sorted([(each, _encode(record)) for each, record in changed.items() if record != base[each]]))

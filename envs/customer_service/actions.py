"""The actions of a support agent: acts on the shop's records, and acts of speech."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..actions import Act, ActionSet, Speech

RequestKind = Literal[
    "order_question",
    "product_question",
    "cancel_order",
    "change_items",
    "change_address",
    "change_payment",
    "change_profile_address",
    "return_items",
    "exchange_items",
    "out_of_scope",
]
"""What a customer can come with."""

Rule = Literal["not_your_order", "not_pending", "not_delivered", "unavailable", "gift_card_too_small", "refund_method"]
"""The house rules that a request can break; `conduct.py` gives each its sentence."""

Field = Literal[
    "request",
    "question",
    "email",
    "name",
    "postcode",
    "order_id",
    "product",
    "options",
    "reason",
    "payment_method",
    "address",
]
"""What an agent can ask a customer for."""


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A postal address."""

    street: str
    city: str
    state: str
    country: str
    postcode: str
    street2: str = ""


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact about one thing, as a tool showed it."""

    about: str
    field: str
    value: str | int | bool


class FindCustomer(Act, frozen=True, tag="find_customer"):
    """Authenticate: find a customer by e-mail, or by first name, last name and postcode."""

    email: str = ""
    first_name: str = ""
    last_name: str = ""
    postcode: str = ""

    examples = (
        {"type": "find_customer", "email": "ada.moss@post.example"},
        {"type": "find_customer", "first_name": "Ada", "last_name": "Moss", "postcode": "10117"},
    )


class GetCustomer(Act, frozen=True, tag="get_customer"):
    """Read a customer's record: name, address, payment methods, orders."""

    customer_id: str

    examples = ({"type": "get_customer", "customer_id": "C1"},)


class GetOrder(Act, frozen=True, tag="get_order"):
    """Read an order: status, items, payments, address."""

    order_id: str

    examples = ({"type": "get_order", "order_id": "O1"},)


class GetProduct(Act, frozen=True, tag="get_product"):
    """Read a product: its variants with options, price in cents and availability."""

    product_id: str

    examples = ({"type": "get_product", "product_id": "P1"},)


class ListProducts(Act, frozen=True, tag="list_products"):
    """List the shop's products: names and ids."""

    examples = ({"type": "list_products"},)


class CancelOrder(Act, frozen=True, tag="cancel_order"):
    """Cancel a pending order and refund each payment to its own method."""

    order_id: str
    reason: Literal["no_longer_needed", "ordered_by_mistake"]

    examples = ({"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"},)


class ChangeItems(Act, frozen=True, tag="change_items"):
    """Swap items of a pending order for other variants of the same products; once per order."""

    order_id: str
    item_ids: tuple[str, ...]
    new_item_ids: tuple[str, ...]
    payment_method_id: str

    examples = (
        {
            "type": "change_items",
            "order_id": "O1",
            "item_ids": ["I1"],
            "new_item_ids": ["I2"],
            "payment_method_id": "M1",
        },
    )


class ChangeAddress(Act, frozen=True, tag="change_address"):
    """Send a pending order to another address."""

    order_id: str
    address: Address

    examples = (
        {
            "type": "change_address",
            "order_id": "O1",
            "address": {"street": "4 Mill Lane", "city": "Ely", "state": "CB", "country": "UK", "postcode": "10117"},
        },
    )


class ChangePayment(Act, frozen=True, tag="change_payment"):
    """Pay a pending order by another method; the first one is refunded."""

    order_id: str
    payment_method_id: str

    examples = ({"type": "change_payment", "order_id": "O1", "payment_method_id": "M2"},)


class ChangeProfileAddress(Act, frozen=True, tag="change_profile_address"):
    """Replace a customer's default address."""

    customer_id: str
    address: Address

    examples = (
        {
            "type": "change_profile_address",
            "customer_id": "C1",
            "address": {"street": "4 Mill Lane", "city": "Ely", "state": "CB", "country": "UK", "postcode": "10117"},
        },
    )


class ReturnItems(Act, frozen=True, tag="return_items"):
    """Take back items of a delivered order; the refund goes to the original method or to a gift card."""

    order_id: str
    item_ids: tuple[str, ...]
    payment_method_id: str

    examples = ({"type": "return_items", "order_id": "O1", "item_ids": ["I1"], "payment_method_id": "M1"},)


class ExchangeItems(Act, frozen=True, tag="exchange_items"):
    """Exchange items of a delivered order for variants of the same products."""

    order_id: str
    item_ids: tuple[str, ...]
    new_item_ids: tuple[str, ...]
    payment_method_id: str

    examples = (
        {
            "type": "exchange_items",
            "order_id": "O1",
            "item_ids": ["I1"],
            "new_item_ids": ["I2"],
            "payment_method_id": "M1",
        },
    )


class HandOver(Act, frozen=True, tag="hand_over"):
    """Hand the conversation to a human agent, for what is out of scope; it ends the conversation."""

    summary: str

    examples = ({"type": "hand_over", "summary": "The customer asks for a price match."},)


Write = CancelOrder | ChangeItems | ChangeAddress | ChangePayment | ChangeProfileAddress | ReturnItems | ExchangeItems
"""An act on the world that changes it, and so wants the customer's yes first."""

WRITES = (
    CancelOrder,
    ChangeItems,
    ChangeAddress,
    ChangePayment,
    ChangeProfileAddress,
    ReturnItems,
    ExchangeItems,
)


class Ask(Speech, frozen=True, tag="ask"):
    """Ask the customer for one thing."""

    field: Field
    message: str = ""

    examples = (
        {"type": "ask", "field": "email"},
        {"type": "ask", "field": "order_id", "message": "Which order is it?"},
    )


class Inform(Speech, frozen=True, tag="inform"):
    """State facts that a tool has shown; answer just what was asked."""

    claims: tuple[Claim, ...]
    message: str = ""

    examples = ({"type": "inform", "claims": [{"about": "O1", "field": "status", "value": "pending"}]},)


class Propose(Speech, frozen=True, tag="propose"):
    """Put a change to the customer, exactly as it would be made, for a yes or a no."""

    action: Write
    message: str = ""

    examples = (
        {"type": "propose", "action": {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}},
    )


class Refuse(Speech, frozen=True, tag="refuse"):
    """Decline a request that the house rules forbid, naming the rule."""

    request: RequestKind
    rule: Rule
    message: str = ""

    examples = ({"type": "refuse", "request": "cancel_order", "rule": "not_pending"},)


class Apologise(Speech, frozen=True, tag="apologise"):
    """Say sorry."""

    message: str = ""

    examples = ({"type": "apologise"},)


class Close(Speech, frozen=True, tag="close"):
    """End the conversation."""

    message: str = ""

    examples = ({"type": "close"},)


ACTIONS = ActionSet(
    FindCustomer,
    GetCustomer,
    GetOrder,
    GetProduct,
    ListProducts,
    *WRITES,
    HandOver,
    Ask,
    Inform,
    Propose,
    Refuse,
    Apologise,
    Close,
)

"""The check of a store file: its schema, and what a schema cannot say; all problems are found at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from .records import Customer, Id, Order, Product, fold

Path = list[Any]

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters, among them tabs, and all that ends a line."""
UNPRINTABLE_JSON = re.compile(rb"\\[^\"\\/]|\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
"""What a text in JSON has where it may hold one of these."""
SHOWN = 50
"""How many problems the message of a `BadStore` spells out."""


class BadStore(ValueError):
    """A store does not hold together; `problems` lists all of them: the path, the value, the remedy."""

    def __init__(self, problems: Sequence[str], source: str = "") -> None:
        self.problems = tuple(problems)
        lines = [f"- {problem}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"- ... and {len(self.problems) - SHOWN} more: see .problems")
        super().__init__("\n".join([f"{source or 'The store'} is no sound store ({len(self.problems)}):", *lines]))


class StoreFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shop's records: products, customers and orders by id. All ids are distinct; money is whole cents."""

    products: dict[Id, Product]
    customers: dict[Id, Customer]
    orders: dict[Id, Order]


STORE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A store",
    **msgspec.json.schema(StoreFile),
}
"""JSON Schema 2020-12 of the store file."""

_REMEDIES = {
    "additionalProperties": "remove it or mend its spelling",
    "maximum": "money is in whole cents, up to 10^12",
    "minLength": "fill it in",
    "minimum": "money is in whole cents; a refund is of kind 'refund', not negative",
    "propertyNames": "give it an id",
    "required": "add it",
    "type": "STORE_SCHEMA says what belongs here (money: whole cents)",
}


def checked(raw: Any, source: str) -> StoreFile:
    """The store in typed form; or a `BadStore` with all that is wrong with it."""
    try:
        file = msgspec.convert(raw, StoreFile)
        problems = list(_unprintable(raw)) if UNPRINTABLE_JSON.search(msgspec.json.encode(file)) else []
        problems += _crossing(file, set())
    except (msgspec.ValidationError, RecursionError) as error:
        problems = _problems(raw, error)
    except UnicodeEncodeError as error:
        problems = [f"/: {error.object!r} is no text: {error.reason}; mend the string."]
    if problems:
        raise BadStore(problems, source)
    return file


def _problems(raw: Any, first: Exception) -> list[str]:
    """What is wrong with a store that does not fit the schema, and with the references in the parts that do."""
    found: list[tuple[Path, str]] = []
    try:
        found.extend(_structural(raw))
        found.extend(([], problem) for problem in _unprintable(raw))
        broken = {(path[0], path[1]) for path, _ in found if len(path) > 1}
        sound = msgspec.convert(_without(raw, broken), StoreFile)
    except (ValueError, TypeError, LookupError, RecursionError):  # not JSON, or not three tables: nothing to follow
        return [text for _, text in found] or [f"/: {first}; give plain JSON, with whole numbers for money."]
    return [text for _, text in found] + list(_crossing(sound, broken))


def _without(raw: Any, broken: set[tuple[Any, Any]]) -> dict[str, Any]:
    tables = StoreFile.__struct_fields__
    return {table: {key: raw[table][key] for key in raw[table] if (table, key) not in broken} for table in tables}


def _structural(raw: Any) -> Iterator[tuple[Path, str]]:
    """Each breach of the schema: its path, and the problem in words."""
    import jsonschema_rs  # only a bad store needs it

    for error in jsonschema_rs.Draft202012Validator(STORE_SCHEMA).iter_errors(raw):
        path = error.instance_path
        inner: list[Any] = []
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):  # an optional part: what is wrong inside
            branches = [each for branch in error.kind.context for each in branch]
            inner = [each for each in branches if each.kind.name != "type" or each.instance_path != path]
        for each in inner or [error]:
            yield each.instance_path, f"{_pointer(*each.instance_path)}: {_short(each.message)}; {_remedy(each.kind)}."


def _unprintable(value: Any, *path: Any) -> Iterator[str]:
    """Texts and ids with a control character or a line break: what follows it would stand as a line of its own."""
    if isinstance(value, str) and (found := UNPRINTABLE.search(value)):
        at = _pointer(*path)
        yield f"{_clean(at)}: {_short(ascii(value))} holds the control character {found[0]!a}; remove it."
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(key, str) and UNPRINTABLE.search(key):
                yield from _unprintable(key, *path, key)
            yield from _unprintable(each, *path, key)
    elif isinstance(value, list | tuple):
        for n, each in enumerate(value):
            yield from _unprintable(each, *path, n)


def _clean(text: str) -> str:
    """A text on one line."""
    return UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _crossing(file: StoreFile, broken: set[tuple[Any, Any]]) -> Iterator[str]:
    """What a schema cannot say: ids that lead nowhere or mean two things, e-mails of two, balances of no gift card."""
    yield from _double_ids(file)
    emails: dict[str, str] = {}
    for customer_id, customer in file.customers.items():
        other = emails.setdefault(fold(customer.email), customer_id)
        if other != customer_id:
            at = _pointer("customers", customer_id, "email")
            yield f"{at}: {customer.email!r} is also the e-mail of customer {other!r}; each needs their own."
        yield from _balances(customer_id, customer)
    for order_id, order in file.orders.items():
        yield from _lost_items(file, broken, order_id, order)
        yield from _lost_methods(file, broken, order_id, order)
        yield from _lost_requests(file, broken, order_id, order)


def _double_ids(file: StoreFile) -> Iterator[str]:
    """A tool's result shows records by id, so that an id must mean one thing in the whole store."""
    paths = [(_pointer("products", each), "a product", each) for each in file.products]
    for product_id, product in file.products.items():
        paths += [(_pointer("products", product_id, "variants", each), "an item", each) for each in product.variants]
    paths += [(_pointer("customers", each), "a customer", each) for each in file.customers]
    paths += [(_pointer("orders", each), "an order", each) for each in file.orders]
    seen = {"customer": "the result of find_customer"}
    for path, kind, each in paths:
        if each in seen:
            yield f"{path}: the id {each!r} already names {seen[each]}; give {kind} an id of its own."
        seen[each] = f"{kind} ({path})"


def _balances(customer_id: str, customer: Customer) -> Iterator[str]:
    for method_id, method in customer.payment_methods.items():
        if method.balance and method.kind != "gift_card":
            at = _pointer("customers", customer_id, "payment_methods", method_id, "balance")
            yield f"{at}: {method.balance} on a {method.kind}; only a gift card has a balance: remove it."


def _lost_items(file: StoreFile, broken: set[tuple[Any, Any]], order_id: str, order: Order) -> Iterator[str]:
    for n, line in enumerate(order.items):
        product = file.products.get(line.product)
        if product is None:
            if ("products", line.product) not in broken:
                at = _pointer("orders", order_id, "items", n, "product")
                yield f"{at}: there is no product {line.product!r}; add it to /products or name one that is there."
        elif line.item not in product.variants:
            at = _pointer("orders", order_id, "items", n, "item")
            yield f"{at}: {line.item!r} is no variant of product {line.product!r}; add it there or name one that is."


def _lost_methods(file: StoreFile, broken: set[tuple[Any, Any]], order_id: str, order: Order) -> Iterator[str]:
    customer = file.customers.get(order.customer)
    if customer is None:
        if ("customers", order.customer) not in broken:
            at = _pointer("orders", order_id, "customer")
            yield f"{at}: there is no customer {order.customer!r}; add them to /customers or name one that is there."
        return
    named = [(_pointer("orders", order_id, "payments", n, "method"), p.method) for n, p in enumerate(order.payments)]
    for part, request in (("return", order.return_), ("exchange", order.exchange)):
        if request is not None:
            named.append((_pointer("orders", order_id, part, "method"), request.method))
    for at, method_id in named:
        if method_id not in customer.payment_methods:
            yield f"{at}: customer {order.customer!r} has no payment method {method_id!r}; name one of theirs."


def _lost_requests(file: StoreFile, broken: set[tuple[Any, Any]], order_id: str, order: Order) -> Iterator[str]:
    """A return or an exchange is of items that the order holds, and for items that some of its products have."""
    held = Counter(line.item for line in order.items)
    for part, request in (("return", order.return_), ("exchange", order.exchange)):
        if request is not None and (surplus := Counter(request.items) - held):
            at = _pointer("orders", order_id, part, "items")
            yield f"{at}: the order does not hold {', '.join(map(repr, surplus))} so often; name items of the order."
    if order.exchange is None or any(("products", line.product) in broken for line in order.items):
        return
    sold = {
        each for line in order.items if line.product in file.products for each in file.products[line.product].variants
    }
    for new_id in sorted(set(order.exchange.new_items) - sold):
        at = _pointer("orders", order_id, "exchange", "new_items")
        yield f"{at}: {new_id!r} is no variant of the order's products; name one that is."


def _remedy(kind: Any) -> str:
    if kind.name == "enum":  # the message lists only some
        return f"use one of {', '.join(map(repr, kind.options))}"
    return _REMEDIES.get(kind.name, "see STORE_SCHEMA")


def _pointer(*path: str | int) -> str:
    return "/" + "/".join(map(str, path))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN * 4 else f"{text[: SHOWN * 2]} ... {text[-SHOWN * 2 :]}"

"""The store: a shop's records as a JSON file, checked when loaded, and played by the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import msgspec

from ..actions import Action
from . import rules
from .actions import Address
from .check import STORE_SCHEMA, BadStore, StoreFile, checked
from .records import (
    Base,
    Customer,
    Exchange,
    Item,
    Order,
    Payment,
    PaymentMethod,
    Product,
    Records,
    Return,
    Variant,
)
from .views import Refused, Result, methods_view

__all__ = [
    "STORE_SCHEMA",
    "Address",
    "BadStore",
    "Base",
    "Customer",
    "Exchange",
    "Item",
    "Order",
    "Payment",
    "PaymentMethod",
    "Product",
    "Refused",
    "Result",
    "Return",
    "Store",
    "Variant",
]


class Store(Records, eq=False):
    """A shop's records and what was changed in them: `Store(Base(...))`, `Store.load(path)` or `Store.from_dict(d)`."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and check a store file (`STORE_SCHEMA`); all its problems are listed in one `BadStore`."""
        try:
            raw = json.loads(
                Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_object, parse_float=_whole_number
            )
        except (ValueError, RecursionError) as error:
            problems = error.problems if isinstance(error, BadStore) else (f"/: this is not JSON in UTF-8: {error}",)
            raise BadStore(problems, str(path)) from None
        return cls(_base(raw, str(path)))

    @classmethod
    def from_dict(cls, store: dict[str, Any]) -> Self:
        """Check a store given as plain JSON and take it over; the dict itself is not kept."""
        return cls(_base(store, "the dict"))

    def to_dict(self) -> dict[str, Any]:
        """The store as it is now, as plain JSON; `from_dict` takes it back."""
        base = self.base
        now = StoreFile(dict(base.products), base.customers | self.customers, base.orders | self.orders)
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(now))
        for customer_id, customer in now.customers.items():
            plain["customers"][customer_id]["payment_methods"] = methods_view(customer)
        return plain

    def apply(self, action: Action) -> Result | Refused:
        """Play one act on the world by the rules of the shop; a refused act changes nothing."""
        return rules.apply(self, action)


def _base(raw: Any, source: str) -> Base:
    file = checked(raw, source)
    return Base(file.products, file.customers, file.orders)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file; of two equal keys one would silently win."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadStore((f"/: the key {twice!r} is given twice in one object; remove or rename one.",))
    return made


def _whole_number(text: str) -> float | int:
    """JSON Schema calls 4784.0 an integer, and exports write it."""
    number = float(text)
    return int(number) if number.is_integer() else number

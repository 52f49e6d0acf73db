"""What memory holds that words can mention, by whether it may be told to whoever calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..memory import Memory
from .words import content_of


class Told(NamedTuple):
    """A part of what memory holds: its texts as words between spaces, its numbers, the prices of each product."""

    texts: str
    numbers: frozenset[int]
    prices: Sequence[set[int]]

    def holds(self, key: str, cents: int | None) -> bool:
        """Whether this supports some words or an amount, which may be the difference of two prices of one product."""
        if cents is None:
            return key in self.texts
        return cents in self.numbers or any(price + cents in offered for offered in self.prices for price in offered)


def told(memory: Memory, caller: str | None) -> Iterator[Told]:
    """First what may be told to whoever calls, then what may not: of others, or before one knows who calls."""
    shown: list[Any] = [memory.person, memory.requests]
    hidden: list[Any] = []
    for name, view in memory.seen.items():
        owner = caller if name == "customer" else view.get("customer", name if "payment_methods" in view else None)
        (shown if owner is None or owner == caller else hidden).extend((name, view))
    yield _part(shown)
    yield _part(hidden)


def _part(values: list[Any]) -> Told:
    texts: list[str] = []
    numbers: set[int] = set()
    prices: dict[str, set[int]] = {}
    _gather(values, texts, numbers, prices)
    return Told("|".join(texts), frozenset(numbers), tuple(prices.values()))


def _gather(values: Iterable[Any], texts: list[str], numbers: set[int], prices: dict[str, set[int]]) -> None:
    """The texts, numbers and prices within some values; of keys, those that are ids."""
    for value in values:
        kind = value.__class__
        if kind is str:
            words, amounts = content_of(value)
            texts.append(words)
            if amounts:
                numbers.update(amounts)
        elif kind is int:
            numbers.add(abs(value))
            texts.append(f" {value} ")
        elif kind is dict:
            if "price" in value and "product" in value:
                prices.setdefault(value["product"], set()).add(value["price"])
            _gather(value.get("payment_methods", ()), texts, numbers, prices)
            _gather(value.values(), texts, numbers, prices)
        elif kind is list or kind is tuple:
            _gather(value, texts, numbers, prices)

"""What memory holds that words can mention, by whether it may be told to whoever calls."""

from __future__ import annotations

from collections.abc import Sequence
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


def told(memory: Memory, caller: str | None) -> tuple[Told, Told]:
    """What may be told to whoever calls, and what may not: the records of others, or before one knows who calls."""
    shown: list[Any] = [memory.person, memory.requests]
    hidden: list[Any] = []
    for name, view in memory.seen.items():
        owner = caller if name == "customer" else view.get("customer", name if "payment_methods" in view else None)
        (shown if owner is None or owner == caller else hidden).append({name: view})
    return _part(shown), _part(hidden)


def _part(values: list[Any]) -> Told:
    texts: list[str] = []
    numbers: set[int] = set()
    prices: dict[str, set[int]] = {}
    _gather(values, texts, numbers, prices)
    return Told("|".join(texts), frozenset(numbers), tuple(prices.values()))


def _gather(value: Any, texts: list[str], numbers: set[int], prices: dict[str, set[int]]) -> None:
    """The texts, numbers and prices within a value."""
    if isinstance(value, str):
        words, amounts = content_of(value)
        texts.append(words)
        numbers.update(amounts)
    elif isinstance(value, dict):
        if "product" in value and "price" in value:
            prices.setdefault(value["product"], set()).add(value["price"])
        for field, inner in value.items():
            texts.append(content_of(field)[0])
            _gather(inner, texts, numbers, prices)
    elif isinstance(value, list | tuple):
        for inner in value:
            _gather(inner, texts, numbers, prices)
    elif isinstance(value, int) and not isinstance(value, bool):
        numbers.add(abs(value))
        texts.append(f" {value} ")

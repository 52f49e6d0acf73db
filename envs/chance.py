"""Chance: draws keyed by scene, purpose and place, never by the order in which they are made.

A block of 32 draws is the BLAKE2b digest of the scene's name and a purpose; a fact has a fixed place in its block. The
same scene is therefore the same in any process, on any platform, whatever was drawn before.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
DRAWS = 32
"""How many draws a block has."""

_unpack = struct.Struct(f"<{DRAWS}H").unpack


def block(scene: str, purpose: str) -> tuple[int, ...]:
    """The 32 draws, of 16 bits each, that a scene has for a purpose."""
    return _unpack(blake2b(f"{scene}|{purpose}".encode()).digest())


def below(draw: int, count: int) -> int:
    """A draw as a whole number from 0 to count - 1."""
    return draw * count >> 16


def pick(draw: int, options: tuple[T, ...]) -> T:
    """A draw as one of the options."""
    return options[draw * len(options) >> 16]


def distinct(draws: tuple[int, ...], count: int, size: int) -> list[int]:
    """The first `size` draws as different whole numbers below `count` (at most one draw for each)."""
    free = list(range(count))
    return [free.pop(draw * len(free) >> 16) for draw in draws[:size]]


def permille(draw: int, share: int) -> bool:
    """Whether a draw falls in the lowest `share` thousandths."""
    return draw * 1000 >> 16 < share


def paired(first: int, second: int, sizes: tuple[int, int], test: bool, easy: bool) -> tuple[int, int]:
    """Two draws as a pair of indices that the other split never draws.

    On easy both splits use every index, in different pairs (the sum is even in train, odd in test), so that test
    recombines what train has shown; else the indices themselves are disjoint (even in train, odd in test).
    Sizes are even.
    """
    other = int(test)
    if easy:
        left = below(first, sizes[0])
        return left, 2 * below(second, sizes[1] // 2) + ((left + other) & 1)
    return 2 * below(first, sizes[0] // 2) + other, 2 * below(second, sizes[1] // 2) + other

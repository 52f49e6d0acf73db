"""Draws of many generators, each in the order in which it would give them one by one, fetched in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils.seeding import np_random

BLOCK = 128
"""How many draws are fetched from a generator at a time."""


class Streams:
    """A stream of numbers from 0 to 1 for each of many environments."""

    def __init__(self, count: int) -> None:
        self._generators: list[np.random.Generator | None] = [None] * count
        self._block = np.zeros((count, BLOCK))
        self._used = np.full(count, BLOCK)

    def seed(self, place: int, seed: int | None) -> None:
        """Begin a stream anew, from a seed or, where there is none, from the system's entropy."""
        self._generators[place], _ = np_random(seed)
        self._used[place] = BLOCK

    def draw(self, where: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """The next number of each of some streams."""
        used = self._used[where]
        spent = where[used == BLOCK]
        if len(spent):
            for place in spent.tolist():
                self._refill(place)
            used = self._used[where]
        self._used[where] += 1
        drawn: npt.NDArray[np.float64] = self._block[where, used]
        return drawn

    def state(self) -> dict[str, Any]:
        """All that decides what comes next, as plain data."""
        states = [each and each.bit_generator.state for each in self._generators]
        return {"generators": states, "block": self._block.copy(), "used": self._used.copy()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as from there."""
        self._generators = [_generator(each) for each in state["generators"]]
        self._block, self._used = state["block"].copy(), state["used"].copy()

    def _refill(self, place: int) -> None:
        generator = self._generators[place]
        if generator is None:
            generator = self._generators[place] = np_random(None)[0]
        self._block[place] = generator.random(BLOCK)
        self._used[place] = 0


def _generator(state: Any) -> np.random.Generator | None:
    if state is None:
        return None
    generator = np.random.Generator(getattr(np.random, state["bit_generator"])())
    generator.bit_generator.state = state
    return generator

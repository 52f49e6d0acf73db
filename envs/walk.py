"""Walks: many conversations at once, each at a turn of its own, played by the indices of a catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.float32]


class Step(NamedTuple):
    """What one index in each conversation brought."""

    rewards: Floats
    terminated: Flags
    truncated: Flags
    won: Flags


class Walk(ABC):
    """What is common to the ways of playing: the count of turns, the returns, and the indices played."""

    def __init__(self, size: int, max_turns: int | None) -> None:
        self.size, self._max_turns = size, max_turns
        self.rows = np.arange(size)
        self.turns: Indices = np.zeros(size, np.intp)
        self.limits: Indices = np.zeros(size, np.intp)
        self.totals: Floats = np.zeros(size)
        self.played: Indices = np.zeros((size, 16), np.intp)
        """The indices of each conversation, as many as it has turns."""
        self.scenes: list[Any] = [None] * size

    def begin(self, i: int, name: str, build: Callable[[str], Any]) -> None:
        """A conversation begins."""
        self.scenes[i] = scene = self._open(i, name, build)
        self.turns[i], self.totals[i] = 0, 0.0
        self.limits[i] = limit = self._max_turns or scene.limit
        if limit > self.played.shape[1]:
            self._widen(limit)

    def advance(self, index: Indices) -> Step:
        """Play one index in each conversation."""
        self.played[self.rows, self.turns] = index
        step = self._play(index)
        self.totals += step.rewards
        return step

    def follow(self, i: int, played: Sequence[int], total: float) -> None:
        """Play these indices in a conversation that has just begun, which paid `total`."""
        for turn, index in enumerate(played):
            self.played[i, turn] = index
            self._pass(i, index)
        self.turns[i], self.totals[i] = len(played), total

    @abstractmethod
    def features(self) -> Rows:
        """The features of each conversation, in an array of their own."""

    @abstractmethod
    def masks(self) -> Flags:
        """The mask of each conversation, in an array of their own."""

    @abstractmethod
    def _open(self, i: int, name: str, build: Callable[[str], Any]) -> Any:
        """Begin a conversation; back comes its scene."""

    @abstractmethod
    def _play(self, index: Indices) -> Step:
        """Play one index in each conversation, and count the turn."""

    @abstractmethod
    def _pass(self, i: int, index: int) -> None:
        """Play an index in one conversation, whatever it pays, and count the turn."""

    def _widen(self, limit: int) -> None:
        """Make room for conversations of so many turns."""
        self.played = widened(self.played, limit)


def widened(array: Indices, width: int) -> Indices:
    """The array with more columns."""
    return np.pad(array, ((0, 0), (0, width - array.shape[1])))

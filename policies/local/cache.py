"""The keys and values of many conversations, each as long as it is: what a model need not compute again."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from transformers.cache_utils import Cache

STEP = 256
"""A conversation's place grows by multiples of this."""
SPARE = 8
"""So many places are made in advance, when there is no room for one more: fewer of few, and a quarter of many."""


class Aim(NamedTuple):
    """Where the tokens of the next pass belong: a batch padded on the right, of which only some columns count."""

    rows: Tensor
    """Of each token that counts: its row in the batch, its column there,"""
    columns: Tensor
    places: Tensor
    """and its conversation's place in the store and its position in the conversation."""
    positions: Tensor
    length: int
    """How many positions the pass looks at."""
    read: Tensor | int | None
    """The places that it looks at: so many of the first ones without a copy, or `None` where nothing came before."""


class Store(Cache):
    """What every attention layer has kept, as [place, head, position, number]; a place is a conversation's."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._kept: list[tuple[Tensor, Tensor]] = []
        self.places = 0
        self.aim: Aim | None = None

    def place(self) -> int:
        """One more place."""
        self.places += 1
        return self.places - 1

    def clear(self) -> None:
        """Let go of everything kept."""
        self._kept, self.aim = [], None

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keep a layer's new keys and values, and give back all that the pass looks at (what a model calls)."""
        aim = self.aim
        assert aim is not None
        if layer_idx == len(self._kept):
            self._kept.append((_room(key_states, self.places), _room(value_states, self.places)))
        kept = self._kept[layer_idx]
        if aim.length > kept[0].shape[2] or self.places > kept[0].shape[0]:
            kept = self._kept[layer_idx] = self._grown(kept, aim.length)
        for old, new in zip(kept, (key_states, value_states), strict=True):
            old[aim.places, :, aim.positions] = new[aim.rows, :, aim.columns]
        if aim.read is None:
            return key_states, value_states
        if isinstance(aim.read, int):
            return kept[0][: aim.read, :, : aim.length], kept[1][: aim.read, :, : aim.length]
        return kept[0][aim.read, :, : aim.length], kept[1][aim.read, :, : aim.length]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing, as far as a model is told: it is given positions and a mask."""
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """For the mask that a model makes itself where nothing came before."""
        return query_length, 0

    def copy(self, source: int, target: int, length: int) -> None:
        """Let a conversation begin as another one does."""
        for kept in self._all():
            kept[target, :, :length] = kept[source, :, :length]

    def _all(self) -> list[Tensor]:
        """Every layer's keys and values, with room for every place."""
        if self._kept and self.places > self._kept[0][0].shape[0]:
            self._kept = [self._grown(pair, 0) for pair in self._kept]
        return [kept for pair in self._kept for kept in pair]

    def _grown(self, pair: tuple[Tensor, Tensor], length: int) -> tuple[Tensor, Tensor]:
        """The same with room for all places, and for a length.

        Places are made in advance: they are asked for one at a time, and each time all that is kept is copied.
        """
        held = pair[0].shape[0]
        places = held if self.places <= held else max(self.places, held + max(held // 4, min(SPARE, held)))
        new = [_room(old, places, max(length, old.shape[2])) for old in pair]
        for old, kept in zip(pair, new, strict=True):
            kept[: old.shape[0], :, : old.shape[2]] = old
        return new[0], new[1]

    def swap(self, one: int, other: int, length: int) -> None:
        """Let two conversations change places."""
        for kept in self._all():
            kept[[one, other], :, :length] = kept[[other, one], :, :length]


def _room(like: Tensor, places: int, length: int = 0) -> Tensor:
    """Zeros, not whatever lies in memory: what is masked is multiplied by nought, and must be a number."""
    return like.new_zeros((places, like.shape[1], -(-length // STEP) * STEP, like.shape[3]))

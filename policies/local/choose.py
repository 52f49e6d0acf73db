"""The next token of each conversation, from the numbers that a model gives for all tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...envs.errors import BadArgument

NEVER = float("-inf")


class Chance(NamedTuple):
    """How much is left to chance: nothing at a temperature of 0."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0

    def checked(self) -> Chance:
        """Itself, where the numbers have a meaning."""
        if not 0 <= self.temperature < float("inf"):
            raise BadArgument(f"temperature={self.temperature!r} must be 0 (always the likeliest token) or more.")
        if not 0 < self.top_p <= 1:
            raise BadArgument(f"top_p={self.top_p!r} must be above 0, and at most 1 (all tokens).")
        if self.top_k < 0 or self.top_k != int(self.top_k):
            raise BadArgument(f"top_k={self.top_k!r} must be a whole number, 0 for all tokens.")
        return self


def logprobs(logits: Tensor, chance: Chance) -> Tensor:
    """The model's log-probability of every token at the temperature (at 0: at 1), before anything is cut away.

    That is what a trainer computes for the same ids, so the two can be compared.
    """
    return (logits.float() / (chance.temperature or 1.0)).log_softmax(-1)


def choose(scores: Tensor, allowed: Tensor | None, draws: Sequence[float], chance: Chance) -> Tensor:
    """An id for each row of log-probabilities; `draws` are numbers in [0, 1), one each."""
    if allowed is not None:
        scores = scores.masked_fill(~allowed, NEVER)
    if not chance.temperature:
        return scores.argmax(-1)
    if 0 < chance.top_k < scores.shape[-1]:
        least = scores.topk(chance.top_k).values[:, -1:]
        scores = scores.masked_fill(scores < least, NEVER)
    if chance.top_p < 1:
        scores = _nucleus(scores, chance.top_p)
    # In double precision and by its own number: what a row draws depends on no other row.
    heap = scores.double().softmax(-1).cumsum(-1)
    mark = torch.tensor(draws, dtype=heap.dtype, device=heap.device)[:, None] * heap[:, -1:]
    return torch.searchsorted(heap, mark, right=True)[:, 0].clamp_max(scores.shape[-1] - 1)


def _nucleus(scores: Tensor, share: float) -> Tensor:
    """The likeliest tokens that hold a share of the probability between them; the first one always."""
    ordered, order = scores.sort(-1, descending=True)
    odds = ordered.softmax(-1)
    over = odds.cumsum(-1) - odds >= share
    return scores.masked_fill(torch.zeros_like(over).scatter(-1, order, over), NEVER)

"""Many conversations continued at once: what is new is read in groups, and then each step gives every one a token."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from ...rewards.errors import InfrastructureError
from .cache import Aim, Store
from .choose import Chance, choose, logprobs
from .grammar import Grammar, Matcher
from .load import windows
from .prompt import common

WIDE = 8192
"""The most tokens that are read in one pass, unless one conversation alone has more."""


class Row:
    """A conversation in the sampler."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.ids: list[int] = []
        """All of it so far."""
        self.held: list[int] = []
        """The ids whose keys and values the store holds."""
        self.said: list[int] = []
        self.logprobs: list[float] = []
        self.sampled: list[bool] = []
        self.matcher: Matcher | None = None
        self.chance = Random(0)

    def add(self, token: int, logprob: float, sampled: bool) -> None:
        """Append a token."""
        self.ids.append(token)
        self.said.append(token)
        self.logprobs.append(logprob)
        self.sampled.append(sampled)

    @property
    def pending(self) -> list[int]:
        """What is to be read before the last id, which the first step reads."""
        return self.ids[len(self.held) : -1]


class Sampler:
    """A model, and the keys and values of the conversations that it holds."""

    def __init__(
        self,
        model: Any,
        vocabulary: int,
        stops: frozenset[int],
        chance: Chance = Chance(),  # noqa: B008  (a tuple)
        grammar: Grammar | None = None,
        cache: bool = True,
        context: int | None = None,
    ) -> None:
        self.model = model
        self.context = context or math.inf
        self.store = Store()
        self._vocabulary, self._stops, self._chance = vocabulary, stops, chance
        self._grammar, self._cache = grammar, cache
        self._windows = windows(model)
        self._rows: list[Row] = []
        """By place."""
        self._opening = self.row()

    def row(self) -> Row:
        """A place for one more conversation."""
        row = Row(self.store.place())
        self._rows.append(row)
        return row

    def forget(self) -> None:
        """Compute everything anew: the model has changed."""
        self.store.clear()
        for row in self._rows:
            row.held = []

    def open(self, ids: list[int]) -> None:
        """Read once what many conversations begin with."""
        row = self._opening
        if self._cache and row.held != ids:
            row.ids = [*ids, 0]  # the last one is not read
            with _still(self.model):
                self._read([row])

    def follow(self, row: Row, other: Row, ids: list[int]) -> None:
        """Take over what has been read of a conversation that begins as another one does."""
        shared = common(other.held, ids) if self._cache else 0
        if shared:
            with torch.inference_mode():
                self.store.copy(other.place, row.place, shared)
        row.held = ids[:shared]

    def generate(self, rows: Sequence[Row], most: int) -> None:
        """Continue each conversation until it stops by itself, its object is whole, or `most` tokens are said."""
        for row in rows:
            row.said, row.logprobs, row.sampled = [], [], []
            row.matcher = self._grammar.matcher() if self._grammar else None
        with _still(self.model):
            self._read(rows)
            active = list(rows)
            while active:
                active = self._step(active, most)

    def _read(self, rows: Sequence[Row]) -> None:
        """Read all but the last id of each conversation, as far as it has not been read."""
        for row in rows:
            row.held = row.held[: common(row.held, row.ids[:-1])] if self._cache else []
            opening = self._opening
            if self._cache and row is not opening:
                shared = common(opening.held, row.ids[:-1])
                if shared > len(row.held):
                    self.store.copy(opening.place, row.place, shared)
                    row.held = row.ids[:shared]
        for group in _groups([row for row in rows if row.pending]):
            self._forward(group, [row.pending for row in group], [row.place for row in group])

    def _step(self, rows: list[Row], most: int) -> list[Row]:
        """One token more for each; back come those that go on."""
        rows = self._in_front(rows)
        logits = self._forward(rows, [row.ids[-1:] for row in rows], len(rows))[:, -1, : self._vocabulary]
        scores = logprobs(logits, self._chance)
        allowed = self._grammar.allowed([row.matcher for row in rows], scores) if self._grammar else None
        draws = [row.chance.random() for row in rows] if self._chance.temperature else []
        chosen: list[int] = choose(scores, allowed, draws, self._chance).tolist()
        final = [self._ruled(row, token, most) for row, token in zip(rows, chosen, strict=True)]
        picked = scores.gather(-1, torch.tensor(final, device=scores.device)[:, None])[:, 0].tolist()
        for row, token, wanted, score in zip(rows, final, chosen, picked, strict=True):
            if math.isnan(score):
                raise InfrastructureError(
                    "the model gives numbers that are none",
                    type(self.model).__name__,
                    "check its weights, or load it with dtype='float32'",
                    fatal=True,
                )
            row.add(token, score if token == wanted else 0.0, token == wanted)
        return [row for row in rows if not self._over(row, most)]

    def _ruled(self, row: Row, token: int, most: int) -> int:
        """The token, or another one where the rest of the budget is just enough to close the object."""
        if row.matcher is None:
            return token
        return row.matcher.take(token, int(min(most - len(row.said), self.context - len(row.ids))) - 1)

    def _over(self, row: Row, most: int) -> bool:
        if row.said[-1] in self._stops or (row.matcher is not None and row.matcher.over):
            return True
        return len(row.said) >= most or len(row.ids) >= self.context

    def _in_front(self, rows: list[Row]) -> list[Row]:
        """Let the rows stand in the first places, so that their keys and values are read where they are."""
        count = len(rows)
        chosen = {row.place for row in rows}
        free = [place for place in range(count) if place not in chosen]
        for row in rows:
            if row.place >= count:
                self._swap(row, self._rows[free.pop()])
        return sorted(rows, key=lambda row: row.place)

    def _swap(self, one: Row, other: Row) -> None:
        self.store.swap(one.place, other.place, max(len(one.held), len(other.held)))
        one.place, other.place = other.place, one.place
        self._rows[one.place], self._rows[other.place] = one, other

    def _forward(self, rows: Sequence[Row], new: list[list[int]], where: list[int] | int) -> Tensor:
        """Let the model read the new ids of each row; they are held from then on."""
        device = self.model.device
        starts = [len(row.held) for row in rows]
        width = max(map(len, new))
        last = torch.tensor([start + len(ids) - 1 for start, ids in zip(starts, new, strict=True)])[:, None]
        positions = (torch.tensor(starts)[:, None] + torch.arange(width)).clamp_max(last)
        at, columns = torch.tensor([[len(ids)] for ids in new]).gt(torch.arange(width)).nonzero(as_tuple=True)
        length = int(last.max()) + 1
        read = torch.tensor(where, device=device) if isinstance(where, list) else where
        fresh = width > 1 and not any(starts)
        self.store.aim = Aim(
            at.to(device),
            columns.to(device),
            torch.tensor([row.place for row in rows])[at].to(device),
            positions[at, columns].to(device),
            length,
            None if fresh else read,
        )
        padded = torch.tensor([[*ids, *[ids[-1]] * (width - len(ids))] for ids in new])
        positions = positions.to(device)
        output: Any = self.model(
            input_ids=padded.to(device),
            position_ids=positions,
            attention_mask=None if fresh else self._mask(positions, length),
            past_key_values=self.store,
            use_cache=True,
            logits_to_keep=1,
        )
        for row, ids in zip(rows, new, strict=True):
            row.held += ids
        logits: Tensor = output.logits
        return logits

    def _mask(self, positions: Tensor, length: int) -> Tensor | dict[str, Tensor]:
        """What is added to the attention of each new token to each position: nothing, or as good as minus infinity."""
        ahead = torch.arange(length, device=positions.device) - positions[:, None, :, None]
        dtype = self.model.dtype
        masks = {}
        for kind, window in self._windows.items():
            hidden = ahead > 0 if window is None else (ahead > 0) | (ahead <= -window)
            masks[kind] = torch.zeros(ahead.shape, dtype=dtype, device=ahead.device).masked_fill(
                hidden, torch.finfo(dtype).min
            )
        return masks if len(masks) > 1 else next(iter(masks.values()))


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that have about as much to read, those at their very beginning apart: little is padded, and memory bound."""
    group: list[Row] = []
    for row in sorted(rows, key=lambda row: (not row.held, len(row.pending))):
        size = len(row.pending)
        if group and (
            bool(group[0].held) != bool(row.held)
            or size > len(group[0].pending) * 1.25 + 16
            or size * (len(group) + 1) > WIDE
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


@contextlib.contextmanager
def _still(model: Any) -> Iterator[None]:
    """Without dropout and gradients; a model that is being trained goes on as it was."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)

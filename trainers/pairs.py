"""Pairs of answers of which one is better: made as a run needs them, and kept in its folder."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random

import msgspec
import torch.distributed

from ..envs.errors import BadArgument
from .branches import Branches, Pair
from .configs import DPOConfig
from .folder import Folder
from .telling import Told, rank
from .tested import Spent
from .watch import together, told_by_all, told_to_all

PAIRS = "pairs.jsonl"
"""The file in a run's folder that keeps them."""


class Pairs:
    """The pairs of a run: made when they are first needed, kept in its folder, and dealt to the steps."""

    def __init__(
        self, branches: Branches, scenes: Sequence[str], config: DPOConfig, folder: Folder, told: Told
    ) -> None:
        """The scenes are those of all rounds."""
        self._branches, self._scenes, self._config = branches, scenes, config
        self._folder, self._told = folder, told
        self._round, self._now = -1, list[Pair]()

    def of(self, rows: Sequence[int], scored: Callable[[list[Pair]], None]) -> list[Pair]:
        """The pairs of rows, `batch` of which make a step; `scored` gives new ones the model's log-probabilities."""
        config = self._config
        step = rows[0] // config.batch
        number = step // config.refresh_every if config.refresh_every else 0
        if number != self._round:
            self._begin(number, step, scored)
        passed = number * config.refresh_every * config.batch
        return [self._now[self._place(row - passed)] for row in rows]

    def _place(self, row: int) -> int:
        """Which pair a row of the round is: every pair once, in an order of its own, and then again."""
        again, at = divmod(row, len(self._now))
        return shuffled(f"{self._config.seed}|{self._round}|{again}", len(self._now))[at]

    def _begin(self, number: int, step: int, scored: Callable[[list[Pair]], None]) -> None:
        """Another round: its pairs are those of the folder, or are made. One that has none goes on with the last."""
        made, pairs = told_to_all(self._kept() if rank() == 0 else None)
        fresh = number not in made and step == number * self._config.refresh_every
        if Counter(pair.round for pair in pairs) != Counter(made) or not (fresh or number in made):
            raise BadArgument(
                f"{self._folder.path / PAIRS} does not hold the pairs that step {step} goes on with, as they were "
                "made: put the file back, or begin anew in another folder (output)."
            )
        if fresh:
            pairs += self._make(number, pairs, scored)
        newest = max(pair.round for pair in pairs)
        self._round, self._now = number, [pair for pair in pairs if pair.round == newest]

    def _make(self, number: int, before: list[Pair], scored: Callable[[list[Pair]], None]) -> list[Pair]:
        """Hold the conversations of a round, each process its share of them, and write down what came of them."""
        count, processes = self._config.points, torch.distributed.get_world_size() if together() else 1
        start, stop = (count * (rank() + end) // processes for end in (0, 1))
        first = number * count

        def told(pairs: int, done: int) -> None:
            self._told.doing(f"compares answers, {pairs} pairs", done, stop - start)

        found = self._branches.round(number, self._scenes[first + start : first + stop], start, told)
        scored(found.pairs)
        shares = told_by_all(found)
        pairs = [pair for share in shares for pair in share.pairs]
        if not pairs and not before:
            raise self._none()
        self._write([*before, *pairs])
        self._told.note(
            {
                "round": number,
                "pairs": len(pairs),
                "conversations": sum(share.conversations for share in shares),
                "actions": sum(share.actions for share in shares),
                "sampled_tokens": sum(share.tokens for share in shares),
            }
        )
        return pairs

    def _none(self) -> BadArgument:
        config = self._config
        return BadArgument(
            f"At none of points={config.points} turns did branches={config.branches} answers differ, and their returns "
            f"by more than margin={config.margin}: there is nothing to prefer. Look at more turns (points), let more "
            f"answers be tried (branches, or a temperature above {config.temperature}), or ask for less (margin). A "
            "model that never succeeds is to learn from the expert first (sft); one that always does is done."
        )

    def _write(self, pairs: Sequence[Pair]) -> None:
        """Write the file whole or not at all."""
        if self._folder.writes:
            part = self._folder.path / f"{PAIRS}.part"
            part.write_bytes(b"".join(msgspec.json.encode(pair) + b"\n" for pair in pairs))
            part.replace(self._folder.path / PAIRS)

    def _kept(self) -> tuple[dict[int, int], list[Pair]]:
        """How many pairs the rounds up to here have made, and the pairs."""
        made = {int(line["round"]): int(line["pairs"]) for line in self._folder.metrics() if "round" in line}
        return made, [pair for pair in read(self._folder) if pair.round in made]

    @property
    def spent(self) -> Spent:
        """The conversations that were held for them, and what was done and sampled in these."""
        lines = [line for line in self._folder.metrics() if "round" in line]
        return Spent(
            *(int(sum(line[name] for line in lines)) for name in ("conversations", "actions", "sampled_tokens"))
        )


def read(folder: Folder) -> Iterator[Pair]:
    """The pairs in a run's folder."""
    file = folder.path / PAIRS
    for number, line in enumerate(file.read_bytes().splitlines() if file.exists() else (), 1):
        try:
            yield msgspec.json.decode(line, type=Pair)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadArgument(f"{file}, line {number}, is no pair ({error}): put it back, or begin anew.") from None


@functools.lru_cache(maxsize=8)
def shuffled(seed: str, count: int) -> list[int]:
    """The numbers below a count in a random order."""
    return Random(seed).sample(range(count), count)

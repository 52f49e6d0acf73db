"""Pairs of answers to one turn: the same transcript answered in several ways, and what came of each.

A conversation is held, a turn of it drawn, and several parts go on from there, each to its end. Of the answers to that
turn, the one with the best return and the one with the worst make a pair: one turn, as it was sampled.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from accelerate.utils import broadcast_object_list, gather_object

from ..envs.conversation import Snapshot
from ..envs.errors import BadArgument
from ..policies.local.prompt import Prompt
from .episode import Episode, Stage, Start
from .folder import Folder
from .telling import Told, rank

if TYPE_CHECKING:
    from .configs import DPOConfig

PAIRS = "pairs.jsonl"
"""The file in a run's folder that keeps them."""
HELD = 256
"""The most conversations that are held at once."""


class Pair(msgspec.Struct, kw_only=True):
    """Two answers to one turn; texts stand beside the ids for people, and are never read."""

    round: int
    """Of which making of pairs it is, from 0."""
    scene: str
    turn: int
    prompt: str
    chosen: str
    rejected: str
    chosen_return: float
    """What came of the answer on average, from its turn on."""
    rejected_return: float
    chosen_count: int
    """How many times it was given."""
    rejected_count: int
    prompt_ids: list[int]
    """All that the model was shown before its answer, with what it had said itself."""
    chosen_ids: list[int]
    """The answer as it was sampled, with the token that ends it."""
    rejected_ids: list[int]
    ref_chosen_logps: float = 0.0
    """The log-probability of the answer in the model that the pairs of this round were made with."""
    ref_rejected_logps: float = 0.0


class Answer(NamedTuple):
    """What several conversations said at the turn at which they part, and their returns from there on."""

    ids: list[int]
    returns: list[float]

    @property
    def worth(self) -> float:
        """The mean return."""
        return fmean(self.returns)


def answers(branches: Sequence[Episode]) -> list[Answer]:
    """The different first answers, in the order in which they were first given.

    One that a grammar had to finish is left out: the agent did not choose it.
    """
    found: dict[tuple[int, ...], list[float]] = {}
    for branch in branches:
        size = branch.turns.count(0)
        if all(branch.sampled[:size]):
            found.setdefault(tuple(branch.completion_ids[:size]), []).append(branch.total)
    return [Answer([*ids], returns) for ids, returns in found.items()]


def preferred(given: Sequence[Answer], margin: float) -> tuple[Answer, Answer] | None:
    """The best and the worst of the answers, where their returns differ by more than the margin."""
    if len(given) < 2:
        return None
    best = max(given, key=lambda answer: (answer.worth, len(answer.returns)))
    worst = min(given, key=lambda answer: (answer.worth, -len(answer.returns)))
    return (best, worst) if best.worth - worst.worth > margin else None


@dataclass
class Found:
    """What a round of conversations has given."""

    pairs: list[Pair] = field(default_factory=list)
    conversations: int = 0
    tokens: int = 0
    """Those that were sampled."""

    def add(self, episodes: Sequence[Episode]) -> None:
        """Count conversations that were held."""
        self.conversations += len(episodes)
        self.tokens += sum(sum(episode.sampled) for episode in episodes)


class Branches:
    """Holds the conversations that pairs are made of."""

    def __init__(self, stage: Stage, prompt: Prompt, config: DPOConfig) -> None:
        self._stage, self._prompt, self._config = stage, prompt, config
        self._width = len(stage.envs) // (config.branches + 1)

    def round(self, number: int, scenes: Sequence[str], first: int, told: Callable[[int, int], Any]) -> Found:
        """The pairs of a round. Its scenes are numbered from `first` on, and what is left to chance to these numbers.

        `told` is called on the way with how many pairs have been found on how many scenes.
        """
        found = Found()
        for start in range(0, len(scenes), self._width):
            told(len(found.pairs), start)
            some = scenes[start : start + self._width]
            self._some(number, some, first + start, found)
        return found

    def _some(self, number: int, scenes: Sequence[str], first: int, found: Found) -> None:
        """Hold a conversation of each scene, and then those that part from it."""
        config, place = self._config, len(scenes) * self._config.branches
        self._stage.renew()
        places = [first + at for at in range(len(scenes))]
        trunks = [
            Start(self._stage.opening(scene), drawn(config.seed, number, at, "trunk"))
            for scene, at in zip(scenes, places, strict=True)
        ]
        kept: list[list[Snapshot]] = [[] for _ in trunks]
        held = self._stage.play(trunks, kept, place)
        found.add(held)
        # A last turn that had no room for an answer is none to compare answers at.
        snapshots = [
            each[drawn(config.seed, number, at, "turn") % len(trunk.rewards)]
            for each, trunk, at in zip(kept, held, places, strict=True)
        ]
        starts = [
            Start(snapshot, drawn(config.seed, number, at, branch), place + slot)
            for slot, (snapshot, at) in enumerate(zip(snapshots, places, strict=True))
            for branch in range(config.branches)
        ]
        episodes = self._stage.play(starts)
        found.add(episodes)
        for slot, snapshot in enumerate(snapshots):
            branches = episodes[slot * config.branches : (slot + 1) * config.branches]
            chosen = preferred(answers(branches), config.margin)
            if chosen:
                found.pairs.append(self._pair(number, branches[0], snapshot.turn.number, *chosen))

    def _pair(self, number: int, branch: Episode, turn: int, best: Answer, worst: Answer) -> Pair:
        words = self._prompt.words
        return Pair(
            round=number,
            scene=branch.scene,
            turn=turn,
            prompt=words(branch.prompt_ids),
            chosen=words(best.ids),
            rejected=words(worst.ids),
            chosen_return=best.worth,
            rejected_return=worst.worth,
            chosen_count=len(best.returns),
            rejected_count=len(worst.returns),
            prompt_ids=branch.prompt_ids,
            chosen_ids=best.ids,
            rejected_ids=worst.ids,
        )


def drawn(*what: object) -> int:
    """A number that chance is left to: the same in an interrupted run as in one that was not."""
    return int.from_bytes(blake2b("|".join(map(str, what)).encode(), digest_size=6).digest())


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
        box: list[Any] = [self._kept() if rank() == 0 else None]
        broadcast_object_list(box)
        made, pairs = box[0]
        if number not in made:
            if step != number * self._config.refresh_every:
                raise BadArgument(
                    f"{self._folder.path / PAIRS} lacks the pairs of round {number}, with which step {step} goes on: "
                    "put the file back, or begin anew in another folder (output)."
                )
            pairs += self._make(number, pairs, scored)
        newest = max(pair.round for pair in pairs)
        self._round, self._now = number, [pair for pair in pairs if pair.round == newest]

    def _make(self, number: int, before: list[Pair], scored: Callable[[list[Pair]], None]) -> list[Pair]:
        """Hold the conversations of a round, each process its share of them, and write down what came of them."""
        count, processes = self._config.points, int(os.environ.get("WORLD_SIZE", "1"))
        start, stop = (count * (rank() + end) // processes for end in (0, 1))
        first = number * count

        def told(pairs: int, done: int) -> None:
            self._told.doing(f"compares answers, {pairs} pairs", done, stop - start)

        found = self._branches.round(number, self._scenes[first + start : first + stop], start, told)
        scored(found.pairs)
        shares = gather_object([found])
        pairs = [pair for share in shares for pair in share.pairs]
        if not pairs and not before:
            raise self._none()
        self._write([*before, *pairs])
        self._told.note(
            {
                "round": number,
                "pairs": len(pairs),
                "conversations": sum(share.conversations for share in shares),
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

    def _kept(self) -> tuple[set[int], list[Pair]]:
        """The rounds that were made up to here, and their pairs."""
        made = {int(line["round"]) for line in self._folder.metrics() if "round" in line}
        pairs = [pair for pair in read(self._folder) if pair.round in made]
        # Without any, the first is to be made again: one that finds none is no round.
        return (made, pairs) if pairs else (set(), pairs)

    @property
    def spent(self) -> tuple[int, int]:
        """How many conversations were held for them, and how many tokens sampled in these."""
        lines = [line for line in self._folder.metrics() if "round" in line]
        conversations, tokens = (sum(line[name] for line in lines) for name in ("conversations", "sampled_tokens"))
        return int(conversations), int(tokens)


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

"""Answers to one turn: the same transcript answered in several ways, and what came of each.

A conversation is held, a turn of it drawn, and several parts go on from there, each to its end. Of the answers to that
turn, the one with the best return and the one with the worst make a pair: one turn, as it was sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from ..envs.conversation import Snapshot
from ..policies.local.prompt import Prompt
from .configs import DPOConfig
from .episode import Episode, Stage, Start

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
    actions: int = 0
    tokens: int = 0
    """Those that were sampled."""

    def add(self, episodes: Sequence[Episode]) -> None:
        """Count conversations that were held."""
        self.conversations += len(episodes)
        self.actions += sum(len(episode.rewards) for episode in episodes)
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

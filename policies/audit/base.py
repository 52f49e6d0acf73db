"""What the audit's checks work on, and what they give."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import gymnasium
import msgspec

from ...envs.actions import Action
from ...envs.conversation import ConversationEnv
from ...envs.memory import Fact
from ...envs.parts import Parts
from ...envs.scenes import DIFFICULTIES, SPLITS, ScenePool
from ..base import Kind
from ..rollout import Episode

Stratum = tuple[str, str]
"""A split and a difficulty."""
STRIDE = 97
"""Scenes are taken this far apart: prime, so that a sample holds all kinds of a cycle in their shares."""
KEPT = 5
"""Findings of a check that are kept whole; the rest are counted."""


class Finding(NamedTuple):
    """Something wrong: where, what, and the conversation as it stood at the end."""

    scene: str
    turn: int
    what: str
    messages: list[dict[str, str]]


class Case(NamedTuple):
    """A conversation that was played, and the environment to play it again on."""

    env: ConversationEnv
    """It keeps its turns to itself, so that to play again is to compute again."""
    scene: Any
    """What `reset` takes: a name, or a user's own scene."""
    episode: Episode
    by: str
    """The policy that played."""
    fresh: Callable[[], ConversationEnv]
    """Makes an environment that has met nothing yet."""

    def data(self) -> Any:
        """The scene's data, which no agent sees."""
        self.env.reset(options={"scene": self.scene})
        return self.env.snapshot().turn.scene

    def finding(self, turn: int, what: str, episode: Episode | None = None) -> Finding:
        """Something wrong in this conversation, or in one that derives from it."""
        played = episode or self.episode
        return Finding(played.scene, turn, what if self.by == "expert" else f"({self.by}) {what}", played.messages)


Check = Callable[[Case], Iterator[Finding]]
BUGS = (ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError, LookupError, MemoryError,
        NameError, OSError, RuntimeError, StopIteration, TypeError, ValueError, gymnasium.error.Error,
        msgspec.MsgspecError)  # fmt: skip
"""Whatever an environment may wrongly raise; it is reported with what led there."""


def guarded(check: Check, case: Case) -> Iterator[Finding]:
    """What a check finds; an exception of the environment's is a finding too."""
    try:
        yield from check(case)
    except BUGS:
        yield case.finding(case.episode.turns, f"the environment raises: {traceback.format_exc(limit=-3)}")


class Coverage(NamedTuple):
    """How much of some scenes was explored."""

    scenes: int
    whole: int
    """How many of the scenes were explored whole."""
    explored: int
    """How many of the states found were explored."""
    found: int

    def __str__(self) -> str:
        if self.scenes == 1:
            seen = "the whole scene" if self.whole else "not the whole scene"
        else:
            seen = f"{self.whole:,} of {self.scenes:,} scenes whole"
        return f"{self.explored:,} of {self.found:,} states explored, {seen}"

    def join(self, other: Coverage) -> Coverage:
        """That of both."""
        return Coverage(*map(sum, zip(self, other, strict=True)))


@dataclass
class Outcome:
    """What a check has found so far."""

    name: str
    about: str
    examined: int = 0
    wrong: int = 0
    findings: list[Finding] = field(default_factory=list)
    note: str = ""
    """What the check leaves out."""
    covered: dict[str, Coverage] = field(default_factory=dict)
    """Difficulty and kind of the scenes -> how much of them was explored, where that is what the check does."""

    def add(self, examined: int, findings: Iterable[Finding]) -> None:
        """Count, and keep the first few."""
        self.examined += examined
        for finding in findings:
            self.wrong += 1
            if len(self.findings) < KEPT:
                self.findings.append(finding)

    def join(self, other: Outcome) -> None:
        """Take in what the same check found elsewhere."""
        self.examined += other.examined
        self.wrong += other.wrong
        self.findings = [*self.findings, *other.findings][:KEPT]
        self.note = self.note or other.note
        for where, coverage in other.covered.items():
            self.cover(where, coverage)

    @property
    def extent(self) -> str:
        """How much was explored, where that is what the check does."""
        return str(reduce(Coverage.join, self.covered.values())) if self.covered else ""

    def cover(self, where: str, coverage: Coverage) -> None:
        """Count what was explored."""
        self.covered[where] = coverage.join(self.covered.get(where, Coverage(0, 0, 0, 0)))


@dataclass(frozen=True)
class Subject:
    """The environment that is audited, and which of its scenes."""

    kind: Kind
    arguments: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] | None = None
    """A user's own scene, which is then the only one."""
    difficulties: tuple[str, ...] = DIFFICULTIES

    @property
    def strata(self) -> list[Stratum]:
        """All splits and difficulties; a scene of one's own has one of each."""
        return [(s, d) for s in SPLITS for d in self.difficulties][: 1 if self.own is not None else None]

    def env(self, stratum: Stratum, **more: Any) -> ConversationEnv:
        """An environment of a stratum."""
        split, difficulty = stratum
        return self.kind(split=split, difficulty=difficulty, **self.arguments, **more)  # type: ignore[arg-type]

    def scenes(self, env: ConversationEnv, start: int, stop: int) -> list[Any]:
        """Scenes from all over the pool."""
        if self.own is not None:
            return [dict(self.own)] if start == 0 < stop else []
        return _spread(env.pool, start, stop)

    def scenes_of(self, env: ConversationEnv, place: int, start: int, stop: int) -> list[Any]:
        """Scenes of one kind, by its place among those that the environment has room for."""
        if self.own is not None:
            return self.scenes(env, start, stop)
        pools = env.pool.by_kind()
        return _spread(pools[place], start, stop) if place < len(pools) else []


def _spread(pool: ScenePool, start: int, stop: int) -> list[Any]:
    """Scenes from all over a pool, by their numbers in the sample."""
    size = len(pool)
    return [pool[number * STRIDE % size] for number in range(start, min(stop, size))]


def play(env: ConversationEnv, scene: Any, actions: Iterable[Any]) -> Episode:
    """Play the actions in turn, as many as the conversation takes."""
    episode = Episode()
    observation, info = env.reset(options={"scene": scene})
    episode.begin(observation, info)
    return follow(env, episode, actions)


def follow(env: ConversationEnv, episode: Episode, actions: Iterable[Any]) -> Episode:
    """Go on with a conversation."""
    for action in actions:
        if episode.over:
            break
        observation, reward, _, truncated, info = env.step(action)
        episode.add(action, observation, float(reward), truncated, info)
    return episode


def enact(parts: Parts, state: Any, action: Action) -> list[Fact]:
    """Play an action on a bare state, as the engine does."""
    facts = parts.play(state, action, None)
    state.memory.fold(action, facts)
    return facts

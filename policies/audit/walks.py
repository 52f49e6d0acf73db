"""Walks over a table in the environment itself: what was found without words is seen to be what `step` does."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from ...envs.actions import Action
from ...envs.catalogue import Catalogue, Look
from ...envs.conversation import ConversationEnv, Snapshot
from ...envs.memory import Memory
from ...envs.merging import Places
from ...envs.table import Table
from ...rewards.terms import PRICES
from .base import BUGS
from .judges import Judge, judge_of

_encode = msgspec.json.Encoder().encode

EDGE = 1e-9
MASKED = 0.1
"""The share of a random walk's actions that are masked."""
Shown = dict[tuple[Any, ...], tuple[bytes, bytes, bytes]]
"""What was shown -> the features, the mask and the JSON actions that it gave; of the last a digest."""


@dataclass
class Spot:
    """A point of a conversation."""

    state: int
    path: tuple[int, ...]
    """The templates that led there."""
    snapshot: Snapshot
    memory: Memory
    """What was shown, folded from what `step` handed out and from nothing else."""
    catalogue: Catalogue
    judge: Judge | None = None
    total: float = 0.0
    over: bool = False

    @cached_property
    def look(self) -> Look:
        """What the catalogue makes of what was shown."""
        return self.catalogue.look(self.memory)


@dataclass
class Wrong:
    """What is wrong, on the shortest path to it that was met, and how often it was met."""

    what: str
    path: tuple[int, ...]
    times: int = 1


class Walker:
    """Walks in one scene; `wrong` holds what it met, a case of each sort."""

    def __init__(self, env: ConversationEnv, catalogue: Catalogue, scene: Any, table: Table, shown: Shown) -> None:
        self._env, self._catalogue, self._scene, self._table, self._shown = env, catalogue, scene, table, shown
        self.wrong: dict[str, Wrong] = {}
        self._done, self._goal, self._breach = table.done, table.goal, table.breach
        self._penalty, self._features = table.penalty(), table.features
        self._on = np.zeros_like(self._done)
        """[state, action]: whether the walk goes there: to each state by two last acts, and to what pays the goal."""
        self._on[table.parent[1:], table.via[1:]] = True
        self._tree = self._on.copy()
        self._on |= self._done & (self._goal > 0)
        self._on[_otherwise(table)] = True

    def everywhere(self) -> None:
        """Walk to every state, on two paths with other last acts where there are, and through every end that pays."""
        pending = [*self._begun()]
        while pending:
            spot = pending.pop()
            if not self._look_at(spot) or spot.over:
                continue
            for index in np.flatnonzero(self._on[spot.state]).tolist():
                after = [*self._step(spot, index)]
                if self._tree[spot.state, index]:
                    pending += after
                else:
                    [*map(self._look_at, after)]

    def at_random(self, walks: int) -> None:
        """Walk as chance will have it, so that states which were taken for one another are met by several paths."""
        chance = random.Random(self._table.name)
        starts = [*self._begun()] * walks
        for spot in starts:
            while not spot.over and self._table.explored[spot.state]:
                allowed = self._table.mask[spot.state]
                wanted = allowed if allowed.all() or chance.random() > MASKED else ~allowed
                following = [*self._step(spot, chance.choice(np.flatnonzero(wanted).tolist()))]
                if not following:
                    break
                spot = following[0]
                if not self._look_at(spot):
                    break

    def frontier(self) -> None:
        """Try all that is allowed in the states that were not explored, the first one first, until something fails."""
        for state in np.flatnonzero(~self._table.explored).tolist():
            spots = [*self._begun()]
            for index in self._table.path(state):
                spots = [after for spot in spots for after in self._step(spot, index)]
            for spot in filter(self._look_at, spots):
                for index in np.flatnonzero(spot.look.mask()).tolist():
                    [*self._step(spot, index)]
            if "raises" in self.wrong:
                return

    def _begun(self) -> Iterator[Spot]:
        try:
            _, info = self._env.reset(options={"scene": self._scene})
            snapshot, memory = self._env.snapshot(), Memory()
            memory.fold(None, info["facts"])
            judge = judge_of(self._env.parts.name, snapshot.turn.scene)
            if judge:
                judge.hear(None, info["facts"])
            yield Spot(0, (), snapshot, memory, self._catalogue, judge)
        except BUGS:
            self._raised(())

    def _step(self, spot: Spot, index: int) -> Iterator[Spot]:
        """Play a template; nothing comes of it where the environment raises."""
        path = (*spot.path, index)
        try:
            yield self._played(spot, index, path)
        except BUGS:
            self._raised(path)

    def _played(self, spot: Spot, index: int, path: tuple[int, ...]) -> Spot:
        chosen = self._catalogue.chosen(index, spot.look)
        act = chosen if isinstance(chosen, Action) else None
        self._env.restore(spot.snapshot)
        _, reward, terminated, truncated, info = self._env.step(chosen)
        memory, judge, facts = spot.memory.copy(), spot.judge and spot.judge.copy(), info["facts"]
        memory.fold(act, facts)
        if judge and act is not None:
            judge.hear(act, facts)
        state, over = int(self._table.next_state[spot.state, index]), terminated or truncated
        after = Spot(state, path, self._env.snapshot(), memory, self._catalogue, judge, spot.total + reward, over)
        if state >= 0:
            self._compare(spot, index, after, float(reward), terminated, info["reward_terms"])
        return after

    def _compare(
        self, before: Spot, index: int, after: Spot, reward: float, terminated: bool, terms: dict[str, float]
    ) -> None:
        """Hold a step against the table, and what it pays against the second opinion."""
        done, turn = bool(self._done[before.state, index]), len(after.path)
        if terminated != done:
            self._note("ends", after.path, f"step gives terminated={terminated}, and the facts alone {done}")
        goal = self._goal[before.state, index] if done else self._table.cut[after.state] if after.over else 0.0
        fine = self._penalty[before.state, index] - PRICES.late_turn * (turn > self._table.par)
        paid = goal + max(fine, min(-1 - before.total, 0.0))
        if abs(reward - paid) > EDGE:
            text = ", ".join(f"{name} {value:+.2f}" for name, value in terms.items() if value)
            what = f"the step pays {reward:+.2f} ({text or 'nothing'}), and by the published prices {paid:+.2f}"
            self._note("rewards", after.path, what)
        if after.over:
            self._judge(after, terms["goal"], "the end pays")

    def _judge(self, spot: Spot, paid: float, how: str) -> None:
        earned = None if spot.judge is None else spot.judge.earned()
        if earned is not None and abs(earned - paid) > EDGE:
            what = f"{how} a goal of {paid:.2f}, and by what was said and done {earned:.2f} is earned"
            self._note("goal", spot.path, what)

    def _look_at(self, spot: Spot) -> bool:
        """Look at a state, if that can be done."""
        try:
            self._seen(spot)
        except BUGS:
            self._raised(spot.path)
            return False
        return True

    def _seen(self, spot: Spot) -> None:
        """Hold what a state shows against the table, and against all that has shown the same."""
        features, table = spot.look.array(), self._table
        if features.tobytes() != self._features[spot.state].tobytes():
            odd = np.flatnonzero(features != self._features[spot.state])
            self._note("features", spot.path, f"{self._named(odd)}: what was shown gives other features than the state")
        if spot.over:
            return
        mask = spot.look.mask()
        self._judge(spot, float(table.cut[spot.state]), "cut off here, the conversation pays")
        if table.explored[spot.state]:
            if (mask != table.mask[spot.state]).any():
                self._note("features", spot.path, "what was shown masks other templates than the state")
            for index in np.flatnonzero(mask & ~self._breach[spot.state]).tolist():
                act = spot.look.actions[index]
                if spot.judge and act is not None and spot.judge.needs_yes(act):
                    what = "a change that the customer has not agreed to is no breach"
                    self._note("unasked", (*spot.path, index), what)
        told, *rest = spot.memory.key()
        gives = features.tobytes(), mask.tobytes(), _digest(_encode(spot.look.actions))
        known = self._shown.setdefault((_digest(told), *rest), gives)
        if known[:2] != gives[:2]:
            self._note("features", spot.path, "the same was shown elsewhere, and gave other features or masks")
        elif known != gives:
            self._note("bound", spot.path, "the same was shown elsewhere, and its templates stood for other actions")

    def _named(self, features: Sequence[int] | np.ndarray[Any, Any]) -> str:
        return ", ".join(self._catalogue.feature_names[number] for number in features)

    def _raised(self, path: tuple[int, ...]) -> None:
        self._note("raises", path, f"the environment raises: {traceback.format_exc(limit=-3)}")

    def _note(self, sort: str, path: tuple[int, ...], what: str) -> None:
        known = self.wrong.get(sort)
        if known is None:
            self.wrong[sort] = Wrong(what, path)
        else:
            known.times += 1
            if len(path) < len(known.path):
                known.what, known.path = what, path


def _otherwise(table: Table) -> tuple[Places, Places]:
    """The states and the actions by which each state is come to otherwise: by another last act than on its path."""
    states, actions = np.nonzero(table.mask)
    to = table.next_state[states, actions]
    other = np.flatnonzero((to != states) & (actions != table.via[to]))
    _, first = np.unique(to[other], return_index=True)
    return states[other[first]], actions[other[first]]


def _digest(told: bytes) -> bytes:
    return blake2b(told, digest_size=16).digest()

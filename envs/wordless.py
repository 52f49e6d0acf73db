"""Conversations without their words, which the numbered actions of a catalogue have no use for.

What an index leads to is a pure function of the scene and the state: so it is found out once, and a scene that is met
again is walked through by looking up numbers in arrays, a step of all conversations in a few operations. A bounded
number of states is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..rewards.terms import Reward
from .actions import Action
from .catalogue import Catalogue
from .memory import Fact
from .outcomes import Outcomes
from .parts import Parts
from .walk import Flags, Indices, Rows, Step, Walk, widened

_encode = msgspec.msgpack.Encoder().encode

KEPT = 100_000
"""How many states, and names of scenes met once, a walk keeps."""
NEAR = 1e-9 - 1.0
"""A return above this is not cut: what is paid does not depend on what was paid before."""
UNKNOWN = -1


class Root:
    """A scene that was met again."""

    __slots__ = ("known", "scene", "slot")

    def __init__(self, scene: Any, slot: int) -> None:
        self.scene, self.slot = scene, slot
        self.known: dict[bytes, int] = {}
        """The key of a state, as a digest -> its slot."""


class Wordless(Walk):
    """Each state has a slot: a row of features, of masks, and of where each index leads and what it pays.

    Slot i is conversation i's own while its scene is met for the first time, and is written anew at each turn. The
    slots after those are kept. A conversation that walks through kept slots needs no state, and makes up for it where
    it leaves them.
    """

    def __init__(self, size: int, parts: Parts, catalogue: Catalogue, reward: Reward, max_turns: int | None) -> None:
        super().__init__(size, max_turns)
        self._parts, self._catalogue = parts, catalogue
        self._outcomes = Outcomes(reward)
        room, width = 2 * size, len(catalogue.action_names)
        self._width = width
        self._features: Rows = np.zeros((room, len(catalogue.feature_names)), np.float32)
        self._masks: Flags = np.zeros((room, width), np.bool_)
        self._next: npt.NDArray[np.int32] = np.full((room, width), UNKNOWN, np.int32)
        self._number: npt.NDArray[np.int32] = np.zeros((room, width), np.int32)
        self._actions: list[tuple[Action | None, ...]] = [()] * size
        self._roots: dict[str, Root | None] = {}
        self._ends: dict[tuple[float, ...], int] = {}
        """The features of an end -> its slot: nothing else counts in it."""
        self._at: Indices = np.arange(size)
        self._pars: Indices = np.zeros(size, np.intp)
        self._visited: Indices = np.zeros_like(self.played)
        """The slots in which the indices were played."""
        self._rooted: list[Root | None] = [None] * size
        self._states: list[Any] = [None] * size
        self._current: list[int] = [0] * size
        """The turn of each state."""

    def features(self) -> Rows:
        """The features of each conversation, in an array of their own."""
        return self._features.take(self._at, axis=0)

    def masks(self) -> Flags:
        """The mask of each conversation, in an array of their own."""
        return self._masks.take(self._at, axis=0)

    def _open(self, i: int, name: str, build: Callable[[str], Any]) -> Any:
        self._make_room()
        root = self._roots.get(name)
        if root is None:
            scene = build(name)
            state = self._opened(scene)
            if name in self._roots:
                self._roots[name] = root = Root(scene, self._new_slot())
                root.known[_digest(state)] = root.slot
            else:
                self._roots[name] = None
            self._fill(root.slot if root else i, state)
        else:
            scene, state = root.scene, None
        self._at[i] = root.slot if root else i
        self._pars[i] = scene.par
        self._rooted[i], self._states[i], self._current[i] = root, state, 0
        return scene

    def _play(self, index: Indices) -> Step:
        self._make_room()
        at, turns, outcomes = self._at, self.turns, self._outcomes
        self._visited[self.rows, turns] = at
        edges = at * self._width + index
        allowed = self._masks.take(edges)
        after = np.where(allowed, self._next.take(edges), at)
        numbers = np.where(allowed, self._number.take(edges), Outcomes.MALFORMED)
        for i in np.flatnonzero(after == UNKNOWN).tolist():
            after[i], numbers[i] = self._grown(i, int(at[i]), int(index[i]))
        self._at = after
        turns += 1
        terminated = outcomes.ends.take(numbers)
        truncated = (turns >= self.limits) & ~terminated
        for i in np.flatnonzero(truncated).tolist():
            numbers[i] = self._cut(i, int(numbers[i]))
        late = turns > self._pars
        columns = numbers * 2 + late
        rewards = outcomes.paid.take(columns)
        for i in np.flatnonzero(self.totals + outcomes.low.take(columns) < NEAR).tolist():
            rewards[i] = outcomes.exact(int(numbers[i]), bool(late[i]), float(self.totals[i]))
        return Step(rewards, terminated, truncated, outcomes.won.take(numbers))

    def _pass(self, i: int, index: int) -> None:
        slot = int(self._at[i])
        self._visited[i, self.turns[i]] = slot
        if self._masks[slot, index]:
            self._at[i] = self._grown(i, slot, index)[0]
        self.turns[i] += 1

    def _grown(self, i: int, slot: int, index: int) -> tuple[int, int]:
        """Where an allowed index leads, and what comes of it: a slot and an outcome."""
        after = int(self._next[slot, index])
        if after != UNKNOWN:
            return after, int(self._number[slot, index])
        state = self._state(i)
        facts = self._acted(state, self._actions[slot][index])
        self._current[i] += 1
        if state.ended:
            facts.append({"kind": "end", "why": state.ended, "goal": self._parts.goal(state)})
        number = self._outcomes.number(facts, ends=state.ended != "")
        root = self._rooted[i]
        if root is None:
            self._fill(i, state)
            return i, number
        after = self._slot_of(root, state)
        self._next[slot, index], self._number[slot, index] = after, number
        return after, number

    def _cut(self, i: int, number: int) -> int:
        """The outcome of a conversation that has no turns left."""
        end: Fact = {"kind": "end", "why": "out_of_turns", "goal": self._parts.goal(self._state(i))}
        return self._outcomes.number([*self._outcomes.facts[number], end], ends=False)

    def _state(self, i: int) -> Any:
        """The state of a conversation at its turn: what it walked through is played."""
        state = self._states[i]
        if state is None:
            self._states[i] = state = self._opened(self.scenes[i])
        for turn in range(self._current[i], int(self.turns[i])):
            action = self._actions[self._visited[i, turn]][self.played[i, turn]]
            if action is not None:
                self._acted(state, action)
        self._current[i] = int(self.turns[i])
        return state

    def _opened(self, scene: Any) -> Any:
        state = self._parts.start(scene)
        state.memory.fold(None, self._parts.opening(state))
        return state

    def _acted(self, state: Any, action: Action | None) -> list[Fact]:
        assert action is not None
        facts = self._parts.play(state, action, None)
        state.memory.fold(action, facts)
        return facts

    def _slot_of(self, root: Root, state: Any) -> int:
        """The slot of a state of a scene that was met again."""
        key: Any = self._catalogue.look(state.memory).features if state.ended else _digest(state)
        known: dict[Any, int] = self._ends if state.ended else root.known
        if key not in known:
            known[key] = slot = self._new_slot()
            self._fill(slot, state)
        return known[key]

    def _fill(self, slot: int, state: Any) -> None:
        """Write the row of a state; nothing is allowed at an end."""
        look = self._catalogue.look(state.memory)
        self._features[slot] = look.features
        self._actions[slot] = actions = () if state.ended else look.actions
        self._masks[slot] = [action is not None for action in actions] or False

    def _new_slot(self) -> int:
        slot = len(self._actions)
        self._actions.append(())
        if slot == len(self._features):
            self._features, self._masks = _doubled(self._features), _doubled(self._masks)
            self._next, self._number = _doubled(self._next), _doubled(self._number)
        self._next[slot] = UNKNOWN
        return slot

    def _make_room(self) -> None:
        """Where too much is kept, keep nothing any more; who stands in a kept slot goes on undisturbed in their own."""
        if len(self._actions) - self.size + len(self._roots) <= KEPT:
            return
        for i in range(self.size):
            slot = int(self._at[i])
            if slot != i:
                self._state(i)
                for rows in (self._features, self._masks):
                    rows[i] = rows[slot]
                self._actions[i] = self._actions[slot]
                self._at[i], self._rooted[i] = i, None
        del self._actions[self.size :]
        self._roots.clear()
        self._ends.clear()

    def _widen(self, limit: int) -> None:
        super()._widen(limit)
        self._visited = widened(self._visited, limit)


def _digest(state: Any) -> bytes:
    """What tells a state from the others of its scene, in few bytes; sets in another order only cost a slot."""
    return blake2b(_encode(state.key()), digest_size=16).digest()


def _doubled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array with room for as many rows again."""
    return np.concatenate([rows, np.zeros_like(rows)])

"""Scene names, and the pool that an environment draws its scenes from."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .errors import BadArgument, BadScene, one_of

SPLITS = ("train", "test")
DIFFICULTIES = ("easy", "normal", "hard")
POOL_SIZE = 1_000_000
"""How many scenes each split has at each difficulty."""

_NAME = re.compile(r"([A-Za-z0-9]+-v\d+)/(train|test)/(easy|normal|hard)/(\d{6})(@[0-9a-f]{8})?", re.ASCII)


class SceneName(NamedTuple):
    """The parts of a name such as `CustomerService-v0/test/hard/000123`."""

    env: str
    split: str
    difficulty: str
    number: int
    store: str = ""

    @classmethod
    def parse(cls, text: str) -> SceneName:
        """Read a name; anything else is a `BadScene`."""
        match = _NAME.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise BadScene(f"Scene {text!r} is no scene's name: it reads like 'CustomerService-v0/test/hard/000123'.")
        env, split, difficulty, index, store = match.groups()
        return cls(env, split, difficulty, int(index), store or "")

    def __str__(self) -> str:
        return f"{self.env}/{self.split}/{self.difficulty}/{self.number:06d}{self.store}"


class ScenePool:
    """The scenes an environment plays, of certain kinds, in an order that a generator draws.

    A scene's kind follows from its index: the kinds of a difficulty stand in a cycle, so that every stretch of indices
    holds them in the same shares, and the scenes of one kind are found without building any.
    """

    def __init__(
        self,
        prefix: str,
        cycle: tuple[str, ...],
        suffix: str = "",
        kinds: Sequence[str] | None = None,
        scenes: Iterable[int | str] | None = None,
        kind_of: Callable[[SceneName], str] | None = None,
    ) -> None:
        self._prefix, self._cycle, self._suffix = prefix, cycle, suffix
        self._kind_of = kind_of or (lambda name: cycle[name.number % len(cycle)])
        self._slots = self._allowed(kinds)
        self._names = None if scenes is None else self._listed(scenes, kinds)
        self._size = self._size_of(self._slots, self._names)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> str:
        """The name at a position; those of a given list stand in its order."""
        if not 0 <= position < self._size:
            raise IndexError(f"Scene position {position} is outside the pool of {self._size}.")
        if self._names is not None:
            return self._names[position]
        turn, slot = divmod(position, len(self._slots))
        return f"{self._prefix}{turn * len(self._cycle) + self._slots[slot]:06d}{self._suffix}"

    def draw(self, generator: np.random.Generator) -> str:
        """The name of the next scene."""
        return self[int(generator.random() * self._size)]

    def by_kind(self) -> list[ScenePool]:
        """The same scenes in pools of one kind each."""
        if self._names is None:
            slots: dict[str, list[int]] = {}
            for slot in self._slots:
                slots.setdefault(self._cycle[slot], []).append(slot)
            return [self._part(tuple(some), None) for some in slots.values()]
        names: dict[str, list[str]] = {}
        for name in self._names:
            names.setdefault(self._kind_of(SceneName.parse(name)), []).append(name)
        return [self._part(self._slots, some) for some in names.values()]

    def _part(self, slots: tuple[int, ...], names: list[str] | None) -> ScenePool:
        """A pool of some of these scenes."""
        part = copy.copy(self)
        part._slots, part._names = slots, names
        part._size = self._size_of(slots, names)
        return part

    def _size_of(self, slots: tuple[int, ...], names: list[str] | None) -> int:
        return POOL_SIZE // len(self._cycle) * len(slots) if names is None else len(names)

    def _allowed(self, kinds: Sequence[str] | None) -> tuple[int, ...]:
        if kinds is None:
            return tuple(range(len(self._cycle)))
        if isinstance(kinds, str):
            raise BadArgument(f"kinds={kinds!r} is a string: give a list, [{kinds!r}].")
        known = tuple(dict.fromkeys(self._cycle))
        for kind in kinds:
            one_of(f"kinds (of {self._prefix})", kind, known)
        slots = tuple(slot for slot, kind in enumerate(self._cycle) if kind in kinds)
        if not slots:
            raise BadArgument(f"kinds={list(kinds)!r} leaves no scene: name at least one of {', '.join(known)}.")
        return slots

    def _listed(self, scenes: Iterable[int | str], kinds: Sequence[str] | None) -> list[str]:
        if isinstance(scenes, str) or not isinstance(scenes, Iterable):
            raise BadArgument(f"scenes={scenes!r} is no list: give a range, or a list of numbers or scene names.")
        names = [self._named(scene) for scene in scenes]
        kept = names if kinds is None else [name for name in names if self._kind_of(SceneName.parse(name)) in kinds]
        if not kept:
            raise BadArgument(f"scenes={scenes!r} with kinds={kinds!r} leaves no scene: widen one of them.")
        return kept

    def _named(self, scene: int | str) -> str:
        if isinstance(scene, str):
            name = SceneName.parse(scene)
            own = self._prefix.split("/", 1)[0]
            if name.env != own or name.store != self._suffix:
                raise BadScene(f"Scene {scene!r} belongs to another environment or store than {own}{self._suffix}.")
            return scene
        if isinstance(scene, bool) or not isinstance(scene, int | np.integer) or not 0 <= scene < POOL_SIZE:
            raise BadArgument(f"scenes holds {scene!r}: give whole numbers from 0 to {POOL_SIZE - 1}, or scene names.")
        return f"{self._prefix}{int(scene):06d}{self._suffix}"

"""Conversations played by the engine, word by word: for rewards and customers of a user's own, which may heed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .actions import Action
from .catalogue import Catalogue, Look
from .conversation import ConversationEnv
from .memory import Memory
from .turns import Turn
from .walk import Flags, Indices, Rows, Step, Walk


class Spoken(Walk):
    """Each conversation in an environment of its own."""

    def __init__(self, envs: Sequence[ConversationEnv], catalogue: Catalogue, max_turns: int | None) -> None:
        super().__init__(len(envs), max_turns)
        self._envs, self._catalogue = envs, catalogue
        self._memories = [Memory() for _ in envs]
        self._looks: list[Look] = [catalogue.look(memory) for memory in self._memories]

    def features(self) -> Rows:
        """The features of each conversation, in an array of their own."""
        return np.array([look.features for look in self._looks], np.float32)

    def masks(self) -> Flags:
        """The mask of each conversation, in an array of their own."""
        return np.array([look.mask() for look in self._looks])

    def _open(self, i: int, name: str, build: Callable[[str], Any]) -> Any:
        turn = self._envs[i].open(name, build)
        self._memories[i] = Memory()
        self._see(i, None, turn)
        return turn.scene

    def _play(self, index: Indices) -> Step:
        turns = [self._turn(i, each) for i, each in enumerate(index.tolist())]
        return Step(
            np.array([turn.reward for turn in turns]),
            np.array([turn.terminated for turn in turns]),
            np.array([turn.truncated for turn in turns]),
            np.array([turn.over and turn.info()["is_success"] for turn in turns]),
        )

    def _pass(self, i: int, index: int) -> None:
        self._turn(i, index)

    def _turn(self, i: int, index: int) -> Turn:
        chosen = self._catalogue.chosen(index, self._looks[i])
        turn = self._envs[i].advance(chosen)
        self._see(i, chosen if isinstance(chosen, Action) else None, turn)
        self.turns[i] += 1
        return turn

    def _see(self, i: int, action: Action | None, turn: Turn) -> None:
        """Take in what an action brought, and look anew."""
        self._memories[i].fold(action, turn.facts)
        self._looks[i] = self._catalogue.look(self._memories[i])

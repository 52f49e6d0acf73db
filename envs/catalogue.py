"""Catalogues: what the discrete view of an environment consists of, computed from memory alone.

A catalogue is a fixed list of action templates and a fixed list of features, each with a name. A template's slots are
bound from memory: what the agent has been shown. One that cannot be bound is masked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .actions import Action
from .errors import InvalidAction
from .memory import Memory

Bound = Mapping[str, Action | None]
"""Template -> its action; None where memory does not hold what its slots need."""
Values = Mapping[str, float]
"""Feature -> its value, from 0 to 1."""


class Look:
    """What one memory makes of a catalogue."""

    __slots__ = ("_actions", "_bind", "_case", "features")

    def __init__(self, case: Any, bind: Callable[[Any], Bound], features: tuple[float, ...]) -> None:
        self._case, self._bind = case, bind
        self._actions: tuple[Action | None, ...] | None = None
        self.features = features

    @property
    def actions(self) -> tuple[Action | None, ...]:
        """The action of each template, None where it is masked; bound when they are first asked for."""
        if self._actions is None:
            self._actions = tuple(self._bind(self._case).values())
        return self._actions

    def array(self) -> npt.NDArray[np.float32]:
        """The features as an array of their own."""
        return np.array(self.features, np.float32)

    def mask(self) -> npt.NDArray[np.bool_]:
        """Which templates are allowed."""
        return np.array([action is not None for action in self.actions], np.bool_)


class Catalogue:
    """The action templates and the features of an environment.

    `consider` makes of a memory, once, what `bind` and `read` work on. It keeps nothing of any conversation, and is a
    view for `sb3:` policies as it stands.
    """

    def __init__(
        self,
        consider: Callable[[Memory], Any],
        bind: Callable[[Any], Bound],
        read: Callable[[Any], Values],
    ) -> None:
        self._consider, self._bind, self._read = consider, bind, read
        nothing = consider(Memory())
        self.action_names = tuple(bind(nothing))
        """The templates, in the order of their indices."""
        self.feature_names = tuple(read(nothing))
        """The features, in their order."""

    def look(self, memory: Memory) -> Look:
        """The actions and the features that a memory gives; it holds until the memory takes in more."""
        case = self._consider(memory)
        return Look(case, self._bind, tuple(self._read(case).values()))

    def features(self, memory: Memory, observation: Any = None) -> npt.NDArray[np.float32]:
        """The features of a memory; the observation adds nothing to it."""
        return self.look(memory).array()

    def masks(self, memory: Memory) -> npt.NDArray[np.bool_]:
        """Which templates are allowed."""
        return self.look(memory).mask()

    def action(self, answer: Any, memory: Memory) -> Action | str:
        """The action of a template; a masked one gives a text that is no action, and is priced as such."""
        return self.chosen(answer, self.look(memory))

    def chosen(self, answer: Any, look: Look) -> Action | str:
        """The action of a template within a look."""
        index = self.index(answer)
        return look.actions[index] or f"(masked: {self.action_names[index]})"

    def index(self, answer: Any) -> int:
        """A template's index, if it is one."""
        try:
            index = operator.index(answer)
        except TypeError:
            index = -1
        if not 0 <= index < len(self.action_names):
            last = len(self.action_names) - 1
            raise InvalidAction(f"{answer!r} is no index of the catalogue: give a whole number from 0 to {last}.")
        return index


class Numbered:
    """What is played by a catalogue's numbers; it tells what they mean."""

    catalogue: Catalogue

    @property
    def action_names(self) -> tuple[str, ...]:
        """The templates, by index."""
        return self.catalogue.action_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in their order."""
        return self.catalogue.feature_names

"""What an environment is made of, as the engine sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .actions import Action, ActionSet
from .catalogue import Catalogue
from .memory import Fact, Memory


class Role(Protocol):
    """The customer at one act of speech of the agent, for whoever plays them."""

    format: dict[str, Any]
    """The `response_format` that asks a model for one of the customer's acts."""

    def brief(self) -> dict[str, Any]:
        """What a callable that plays them is told."""

    def checked(self, answer: Any) -> dict[str, Any]:
        """A callable's act, complete; or a `BadArgument`."""

    def prompt(self, heard: Sequence[Line]) -> tuple[str, str]:
        """What a model that plays them is told: the rules of the game, and the moment."""

    def held(self, answer: Any, heard: Sequence[Line]) -> dict[str, Any]:
        """A model's act, complete and true to the brief; or a `BadArgument` that says why it is not."""


Line = str | Action
"""What was said: the customer's words, or the agent's act of speech."""
Decide = Callable[[Role, Action], dict[str, Any]]
"""A customer: (their role, the agent's act of speech) -> one customer act."""


class Scene(Protocol):
    """What the engine asks of a scene; the rest is its environment's own business."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def par(self) -> int: ...
    @property
    def limit(self) -> int: ...


class State(Protocol):
    """What the engine asks of a conversation's state: plain data, copied in microseconds."""

    memory: Memory
    ended: str

    @property
    def scene(self) -> Any: ...
    def copy(self) -> Any: ...
    def key(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Parts:
    """An environment's small parts, as the engine calls them."""

    name: str
    actions: ActionSet
    cycles: Mapping[str, tuple[str, ...]]
    """Difficulty -> the scene kinds, in the cycle in which indices bear them."""
    build: Callable[[str], Any]
    """Scene name -> scene."""
    load: Callable[[dict[str, Any]], Any]
    """A user's own scene, as JSON -> scene."""
    start: Callable[[Any], Any]
    """Scene -> state."""
    opening: Callable[[Any], list[Fact]]
    """State -> what the customer says first."""
    play: Callable[[Any, Action, Decide | None], list[Fact]]
    """State, act, customer -> facts; changes the state."""
    show: Callable[[Any, Fact], str]
    """Scene, a result -> its words."""
    say: Callable[[Any, Sequence[Fact], int], str]
    """Scene, what the customer said, turn -> their words; writes each fact's own words into it."""
    goal: Callable[[Any], float]
    """State -> the share of the goal that is reached."""
    brief: Callable[[str], str]
    """Prompt mode -> the system message."""
    expert: Callable[[Memory], Action]
    """The scripted expert: what it knows is what memory holds."""
    answers: bool
    """Whether the customer answers acts of speech, so that a user's callable can play them."""
    floors: Mapping[str, tuple[float, float, str]]
    """Cheap agent -> the success and the mean return it may reach, and why."""
    catalogue: Catalogue | None = None
    """What its discrete view consists of, where it has one."""

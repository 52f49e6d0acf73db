"""The desk: where an agent's act meets the house rules, the records and the customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..actions import Action
from ..memory import Fact, Memory
from ..parts import Decide
from . import customer
from .actions import Close, HandOver
from .conduct import breaches, slips
from .customer import Mind
from .goals import alike
from .role import Part
from .rules import RULES
from .scenes import Scene
from .store import Refused, Result, Store


class State:
    """A conversation at one turn: the records, the customer's mind, what the agent was shown."""

    __slots__ = ("ended", "memory", "mind", "scene", "store", "writes")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.store = Store(scene.base)
        self.mind = Mind(scene.plot.temper.patience)
        self.memory = Memory()
        self.writes: list[Action] = []
        """The changes made, in their order."""
        self.ended = ""

    def copy(self) -> State:
        """A state that goes its own way."""
        twin = State.__new__(State)
        twin.scene, twin.ended, twin.writes = self.scene, self.ended, self.writes.copy()
        twin.store, twin.mind, twin.memory = self.store.copy(), self.mind.copy(), self.memory.copy()
        return twin

    def key(self) -> tuple[Any, ...]:
        """What tells two states of one scene apart; words and the turn are no part of it."""
        return self.store.key(), self.mind.key(self.scene.plot), self.memory.key(), self.ended


def opening(state: State) -> list[Fact]:
    """The customer begins."""
    return customer.opening(state.scene.plot, state.mind)


def play(state: State, act: Action, decide: Decide | None) -> list[Fact]:
    """One act of the agent: the house rules that it breaks, then what comes of it."""
    memory = state.memory
    facts = breaches(memory, act)
    sound = not facts
    facts += slips(memory, state.scene.people, act)
    rule = RULES.get(act.__class__)
    if rule is not None:
        facts.append(_recorded(state, act, rule(state.store, act)))
    elif isinstance(act, HandOver):
        facts.append(_handed_over(state, sound))
    elif isinstance(act, Close):
        state.ended = "closed"
    else:
        facts += _answered(state, act, decide, sound)
    return facts


def goal(state: State) -> float:
    """1 when every request is settled and the records have come to an accepted end."""
    scene = state.scene
    if len(state.mind.settled) < len(scene.plot.requests):
        return 0.0
    if scene.plot.accepted_ends is None and state.writes == scene.goals:
        return 1.0  # the very changes that were wanted, in their order: no need to compare the records
    return float(state.store.key() in scene.accepted())


def _recorded(state: State, act: Action, outcome: Result | Refused) -> Fact:
    """What an act on the records came to: one result, or a refusal with its reason."""
    name = act.__struct_config__.tag
    if isinstance(outcome, Refused):
        return {"kind": "refused", "act": name, "why": outcome.reason}
    if outcome.writes:
        state.writes.append(act)
        _settle(state, lambda goal: alike(goal.action, act))
        return {"kind": "result", "act": name, "shows": _news(state.memory, outcome.shows)}
    return {"kind": "result", "act": name, "shows": outcome.shows}


def _news(memory: Memory, shows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a change shows: of each record that was read before, the fields that are not as they were shown."""
    found = {}
    for name, view in shows.items():
        known = memory.seen.get(name, {})
        found[name] = {field: value for field, value in view.items() if field not in known or known[field] != value}
    return found


def _handed_over(state: State, sound: bool) -> Fact:
    state.ended = "handed_over"
    if sound:
        _settle(state, lambda goal: goal.hand_over)
    return {"kind": "result", "act": "hand_over", "shows": {}}


def _answered(state: State, act: Action, decide: Decide | None, sound: bool) -> list[Fact]:
    """What the customer says to an act of speech."""
    plot, mind = state.scene.plot, state.mind
    if decide is None:
        answer = customer.decide(plot, mind, act, sound)
    else:
        answer = decide(Part(state.scene, mind, act, sound), act)
    said = customer.enact(plot, mind, act, answer, sound)
    if answer["act"] == "leave":
        state.ended = "left"
    if "message" in answer:
        said[0]["message"] = answer["message"]
    return said


def _settle(state: State, done: Callable[[Any], bool]) -> None:
    for no, request in customer.open_requests(state.scene.plot, state.mind):
        if done(request.goal):
            state.mind.settled.add(no)
            return

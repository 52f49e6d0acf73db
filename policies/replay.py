"""Play a trace again, and recompute its reward: whether what was recorded is still what comes of the same actions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium

from ..envs.conversation import ConversationEnv
from ..envs.errors import BadArgument
from ..envs.parse import transcribe
from ..rewards.terms import Reward
from .recorded import as_recorded, fitting, made, place, reward_of, scene_of, was_played
from .runs import versions
from .trace import Trace

CLOSE = 1e-9
"""Rewards that differ by less are equal: sums of floats differ in the last digit from one Python to another."""
REASONED = ("facts", "messages", "malformed")
"""What holds the reason why an action was malformed."""
AROUND = {"messages": 60}
"""What differs -> the characters that are shown on either side of where it does."""
ELSE = 150
"""The same for everything else."""


class Difference(NamedTuple):
    """The first thing in which a replay is not what was recorded."""

    turn: int
    """0 is the opening."""
    what: str
    """`facts`, `messages`, `terms`, ..."""
    recorded: Any
    found: Any
    versions: dict[str, tuple[str, str]] = {}
    """What has another version than then: name -> (then, now)."""
    before: int = 0
    """Of messages: how many come before these in the conversation."""

    def __str__(self) -> str:
        where, recorded, found = self._first()
        at = f"turn {self.turn}" if self.turn else "at the opening"
        sides = _beside(recorded, found, AROUND.get(self.what, ELSE))
        old = "".join(f"\n  {name} was {then}, and is {now}" for name, (then, now) in self.versions.items())
        return f"{at}: {self.what} differ{where}\n{sides}{old}"

    def _first(self) -> tuple[str, str, str]:
        """Which message is the first that differs, and both as text; of all else only these."""
        if self.what != "messages":
            return "", repr(self.recorded), repr(self.found)
        longest = max(len(self.recorded), len(self.found))
        ours, theirs = ([*side, *[None] * (longest - len(side))] for side in (self.recorded, self.found))
        place = next(place for place in range(longest) if ours[place] != theirs[place])
        one, other = ours[place], theirs[place]
        where = f", first in number {self.before + place + 1} ({(one or other)['role']})"
        whole = one is None or other is None or one["role"] != other["role"]
        return where, _json(one if whole else one["content"]), _json(other if whole else other["content"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _beside(one: str, other: str, around: int) -> str:
    """Two texts, one above the other, around the first character that differs; it is marked below."""
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    place = next(differing, min(len(one), len(other)))
    start = max(place - around, 0)
    head = "..." if start else ""
    first, second = (
        head + text[start : place + around] + ("..." if len(text) > place + around else "") for text in (one, other)
    )
    return f"  recorded: {first}\n  found:    {second}\n{' ' * (12 + len(head) + place - start)}^"


class Scored(NamedTuple):
    """A reward, recomputed."""

    steps: list[dict[str, float]]
    """The terms of each step."""
    terms: dict[str, float]
    """These added up by term."""
    total: float


def replay(trace: Trace, env: gymnasium.Env[Any, Any] | None = None) -> Difference | None:
    """Play a trace's actions again; back comes the first difference, or `None`.

    The environment is made from what the trace tells, or is the one that is given, e.g. one with a reward of your own.
    A customer who was no agenda is not asked again: they say what was recorded.
    """
    world = made(trace) if env is None else fitting(trace, env)
    with as_recorded(world, trace):
        return next(_differences(trace, world), None)


def recompute(trace: Trace, reward: Reward | None = None) -> Scored:
    """What a trace was paid, from its facts alone; `reward`: by other prices, or with terms of your own."""
    reward = reward or reward_of(trace)
    steps: list[dict[str, float]] = []
    rewards: list[float] = []
    before = 0.0
    for number, step in enumerate(trace.steps, 1):
        steps.append(reward.score(step.facts, number > trace.par, before))
        rewards.append(sum(steps[-1].values()))
        before += rewards[-1]
    return Scored(steps, summed(steps), sum(rewards))


def summed(steps: list[dict[str, float]]) -> dict[str, float]:
    """Terms of steps, added up by term."""
    terms: dict[str, float] = {}
    for step in steps:
        for name, value in step.items():
            terms[name] = terms.get(name, 0.0) + value
    return terms


def _differences(trace: Trace, world: ConversationEnv) -> Iterator[Difference]:
    changed = _changed(trace)
    observation, info = world.reset(options={"scene": scene_of(trace)})
    found = {**info, "messages": observation["messages"]}
    yield from _compared(0, _opening(trace), found, changed, 0)
    paid: list[dict[str, float]] = []
    for turn, step in enumerate(trace.steps, 1):
        if info["outcome"]:
            yield Difference(turn, "outcome", "", info["outcome"], changed)
            return
        try:
            observation, reward, _, cut, info = world.step(step.action)
        except BadArgument as error:
            if not was_played(trace):
                raise
            yield Difference(turn, "customer", step.facts, str(error), changed)
            return
        found = {**info, "messages": observation["messages"][-2:], "reward": reward, "truncated": cut}
        recorded = _turn(trace, turn)
        if info["malformed"] and step.malformed and _lost(trace, turn, world):
            recorded = {what: value for what, value in recorded.items() if what not in REASONED}
        yield from _compared(turn, recorded, found, changed, place(trace, turn) - 1)
        paid.append(info["reward_terms"])
    sums = {"terms": summed(paid), "total": sum(sum(terms.values()) for terms in paid)}
    yield from _compared(len(trace.steps), {"terms": trace.terms, "total": trace.total}, sums, changed)


def _opening(trace: Trace) -> dict[str, Any]:
    return {
        "scene": trace.scene,
        "kind": trace.kind,
        "par": trace.par,
        "facts": trace.opening,
        "messages": trace.messages[: place(trace, 0) + 1],
    }


def _lost(trace: Trace, turn: int, world: ConversationEnv) -> bool:
    """Whether the action of a turn was something that JSON does not hold: of a tuple a trace has `<a Python tuple>`."""
    said = trace.messages[place(trace, turn) - 1]["content"]
    return said.startswith("<") and transcribe(world.parts.actions, trace.steps[turn - 1].action) != said


def _turn(trace: Trace, turn: int) -> dict[str, Any]:
    """What is recorded of a turn, what explains the most in front."""
    step, at, last = trace.steps[turn - 1], place(trace, turn), turn == len(trace.steps)
    return {
        "facts": step.facts,
        "messages": trace.messages[at - 1 : at + 1],
        "reward_terms": step.terms,
        "reward": step.reward,
        "malformed": step.malformed,
        "refused": step.refused,
        "violations": step.violations,
        "outcome": trace.outcome if last else "",
        "is_success": trace.success if last else False,
        "truncated": trace.truncated if last else False,
    }


def _compared(
    turn: int, recorded: dict[str, Any], found: dict[str, Any], changed: dict[str, tuple[str, str]], before: int = 0
) -> Iterator[Difference]:
    for what, value in recorded.items():
        if not _same(value, found[what]):
            yield Difference(turn, what, value, found[what], changed, before if what == "messages" else 0)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=CLOSE)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _changed(trace: Trace) -> dict[str, tuple[str, str]]:
    now = versions(trace.env)
    names = [*trace.versions, *(name for name in now if name not in trace.versions)]
    pairs = {name: (trace.versions.get(name, "unknown"), now.get(name, "unknown")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

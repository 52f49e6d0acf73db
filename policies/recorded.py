"""The environment of a trace, made anew: its scene, its prices, and a customer who says what was recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium

from ..envs.actions import Action
from ..envs.conversation import ConversationEnv
from ..envs.errors import BadArgument
from ..envs.parts import Role
from ..envs.turns import Turn
from ..rewards.terms import Prices, Reward
from . import registry
from .trace import Trace

BESIDE = ("customer", "kinds", "on_invalid", "render_mode", "reward", "scenes")
"""Arguments that a replay of a named scene leaves out, or makes anew."""
SILENCE = {"act": "tell"}
"""What a recorded customer does where nothing was recorded: by then the conversation is another."""
VOICED = "opening"
"""How a request is told for the first time; no act asks for that, for it goes without saying."""


def reward_of(trace: Trace) -> Reward:
    """The reward that a trace was paid by; extra terms are code, which no trace holds."""
    told = trace.arguments.get("reward") or {}
    if extra := told.get("extra"):
        raise BadArgument(
            f"{trace.scene} was paid by extra terms, {', '.join(map(repr, extra))}, which a trace does not hold: give "
            "replay an `env` that has them, and recompute a `reward`."
        )
    return Reward(Prices(**told.get("prices", {})))


def made(trace: Trace, reward: Reward | None = None) -> ConversationEnv:
    """The environment of a trace, made anew; a customer who was no agenda is the one that was recorded."""
    arguments: dict[str, Any] = {name: value for name, value in trace.arguments.items() if name not in BESIDE}
    # With a reward of its own an environment keeps its turns to itself: what was met before is not taken on trust.
    arguments["reward"] = reward or reward_of(trace)
    if was_played(trace):
        arguments["customer"] = _nobody
    try:
        return fitting(trace, gymnasium.make(trace.env, disable_env_checker=True, **arguments))
    except (OSError, TypeError, ValueError) as error:
        raise BadArgument(
            f"The environment of {trace.scene} cannot be made from what its trace tells of it, {trace.arguments} "
            f"({error}): give an `env` that is like it."
        ) from error


def fitting(trace: Trace, env: gymnasium.Env[Any, Any]) -> ConversationEnv:
    """An environment without its wrappers, where it can play a trace."""
    registry.kind_of(env)
    world: Any = env.unwrapped
    name = trace.env.rpartition("/")[2]
    if world.parts.name != name:
        raise BadArgument(f"{trace.scene} is played in {name}, not in {world.parts.name}: give an env of its own.")
    if was_played(trace) and world._customer is None:
        raise BadArgument(
            f"In {trace.scene} the customer was {trace.arguments['customer']!r}: give an env with a `customer` too. "
            "Any callable will do; what they say is taken from the trace."
        )
    found: ConversationEnv = world
    return found


def was_played(trace: Trace) -> bool:
    """Whether somebody else than the agenda played the customer."""
    return bool(trace.arguments.get("customer", "agenda") != "agenda")


def scene_of(trace: Trace) -> Any:
    """What a reset takes for the scene of a trace."""
    return trace.scene if trace.own is None else trace.own


@contextlib.contextmanager
def as_recorded(world: ConversationEnv, trace: Trace) -> Iterator[None]:
    """Within this the customer says what was recorded, where it was not the agenda who spoke."""
    tree = world._tree
    live = tree._decide
    if was_played(trace):
        tree._decide = _Recorded(world, trace)
    try:
        yield
    finally:
        tree._decide = live


def _nobody(brief: Any, transcript: Any, action: Any) -> dict[str, Any]:
    raise BadArgument("The customer of this trace was played by a model or by your own code: give an `env` with them.")


class _Recorded:
    """A customer who says what a trace holds."""

    def __init__(self, world: ConversationEnv, trace: Trace) -> None:
        self._world, self._trace = world, trace

    def __call__(self, role: Role, act: Action) -> dict[str, Any]:
        before = self._world.snapshot().turn
        said = [fact for fact in self._trace.steps[before.number].facts if fact["kind"] == "said"]
        if not said:
            return role.checked(SILENCE)
        how = {"how": said[0]["how"]} if said[0]["how"] != VOICED else {}
        return role.checked(_act(said) | self._words(before, said)) | how

    def _words(self, before: Turn, said: list[dict[str, Any]]) -> dict[str, str]:
        """Their own words, where these are not the phrases of the act."""
        turn, worded = before.number + 1, [fact.copy() for fact in said]
        text = _spoken(self._trace, turn)
        phrases = self._world.parts.say(before.scene, worded, turn)
        if worded != said or not text.endswith(phrases):
            return {"message": text}
        # Words that leave something out were completed by the phrases.
        return {} if text == phrases else {"message": text[: -len(phrases) - 1]}


def _act(said: list[dict[str, Any]]) -> dict[str, Any]:
    """The act of a customer that leads to these facts."""
    first = said[0]
    act = {"act": first["act"], "no": first["no"]}
    if "field" in first:
        act["field"] = first["field"]
    if first["act"] == "decline" and len(said) > 1:
        act["field"] = said[1]["field"]
    return act


def _spoken(trace: Trace, turn: int) -> str:
    """The customer's words in a turn: the message without the lines of the engine."""
    step = trace.steps[turn - 1]
    text = trace.messages[place(trace, turn)]["content"]
    for fact in step.facts:
        if fact["kind"] == "end":
            text = text.removesuffix(fact["words"][0]).removesuffix("\n")
        elif fact["kind"] != "said":
            text = text.removeprefix(f"{fact['words'][0]}\n")
    return text


def place(trace: Trace, turn: int) -> int:
    """Where the answer of a turn stands among the messages."""
    return len(trace.messages) - 1 - 2 * (len(trace.steps) - turn)

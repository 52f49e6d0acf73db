"""Other ways a conversation could have gone: from the turns of a trace, a policy goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import gymnasium
import msgspec

from ...envs.conversation import ConversationEnv, Snapshot
from ...envs.errors import BadArgument
from .. import registry
from ..adapt import adapt
from ..base import Policy, Remembering, Usage
from ..recorded import as_recorded, fitting, made, scene_of, was_played
from ..replay import summed
from ..trace import Step, Trace

NOTHING = object()


def branches(
    trace: Trace,
    policy: Any,
    *,
    turns: Iterable[int] | None = None,
    tries: int = 1,
    instead: Any = NOTHING,
    env: gymnasium.Env[Any, Any] | None = None,
) -> Iterator[Trace]:
    """Conversations that part from a trace: each keeps its turns up to one, and there `policy` takes over.

    They are traces like any other; with the one they come from, they make preference pairs.

    Args:
        policy: a name (see `policies.make`), a policy or a function. It goes on from the transcript, or from what a
            `Remembering` policy would remember by then.
        turns: at which turns it takes over, from 1; by default at each.
        tries: how often at each turn; the policy is given another seed each time.
        instead: the action that is played at the turn, before the policy goes on.
        env: an environment like the trace's; for one whose customer was a model, or whose reward has terms of your own.
    """
    if env is None and was_played(trace):
        raise BadArgument(
            f"In {trace.scene} the customer was {trace.arguments['customer']!r}, who must go on too: give an `env`."
        )
    world = made(trace) if env is None else fitting(trace, env)
    wanted = range(1, len(trace.steps) + 1) if turns is None else [*turns]
    for turn in wanted:
        if not 1 <= turn <= len(trace.steps):
            raise BadArgument(f"turns holds {turn!r}: {trace.scene} was played in turns 1 to {len(trace.steps)}.")
    agent = adapt(registry.make(policy, world) if isinstance(policy, str) else policy)
    label = policy if isinstance(policy, str) else getattr(policy, "__name__", type(policy).__name__)
    for turn, snapshot in _snapshots(trace, world, {*wanted}):
        for attempt in range(tries):
            branch = _branch(trace, world, snapshot, agent, _seed(trace, turn, attempt), instead)
            if branch is not None:
                name = f"{trace.policy}, from turn {turn} {label}"
                yield msgspec.structs.replace(branch, policy=name, trial=trace.trial * tries + attempt)


def _snapshots(trace: Trace, world: ConversationEnv, wanted: set[int]) -> Iterator[tuple[int, Snapshot]]:
    """The conversation before each of the turns that are wanted."""
    found: list[tuple[int, Snapshot]] = []
    with as_recorded(world, trace):
        world.reset(options={"scene": scene_of(trace)})
        for turn, step in enumerate(trace.steps, 1):
            if turn in wanted:
                found.append((turn, world.snapshot()))
            observation = world.step(step.action)[0]
    if observation["messages"] != trace.messages:
        raise BadArgument(f"{trace.scene} does not play as it was recorded: see what replay(trace) says.")
    yield from found


def _branch(
    trace: Trace, world: ConversationEnv, snapshot: Snapshot, agent: Policy, seed: int, instead: Any
) -> Trace | None:
    """The conversation from a snapshot on, as another went on with it; `None` where they did what was done."""
    observation, info = world.restore(snapshot)
    steps, start, cut = trace.steps[: snapshot.turn.number], snapshot.turn.number, False
    _catch_up(agent, snapshot, seed)
    while not info["outcome"]:
        planned = instead is not NOTHING and len(steps) == start
        action = instead if planned else agent.act(observation, info["facts"])
        observation, reward, _, cut, info = world.step(action)
        place = len(observation["messages"]) - 2
        if len(steps) == start and observation["messages"][place] == trace.messages[place]:
            return None
        if planned:
            _catch_up(agent, world.snapshot(), seed)
        faults = info["malformed"], info["refused"], info["violations"]
        steps.append(Step(action, float(reward), info["reward_terms"], info["facts"], *faults))
    return msgspec.structs.replace(
        trace,
        messages=observation["messages"],
        steps=steps,
        terms=summed([step.terms for step in steps]),
        total=sum(step.reward for step in steps),
        outcome=info["outcome"],
        success=info["is_success"],
        truncated=cut,
        usage=Usage(),
        seconds=0.0,
    )


def _catch_up(agent: Policy, snapshot: Snapshot, seed: int) -> None:
    """A conversation begins for the agent in its midst; a policy that remembers is told what it would remember."""
    agent.reset(seed)
    if isinstance(agent, Remembering):
        path = snapshot.turn.path()
        for turn in path[:-1]:
            agent.memory.fold(turn.act, turn.facts)
        agent._last = path[-1].act


def _seed(trace: Trace, turn: int, attempt: int) -> int:
    text = f"{trace.scene}|{trace.trial}|{turn}|{attempt}"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) >> 1

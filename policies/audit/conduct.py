"""The house rules, broken on purpose: each breach that can be had in a scene must be named and priced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ...envs.conversation import ConversationEnv
from ...envs.customer_service.conduct import PROSE
from ...rewards.terms import PRICES
from .. import registry
from ..rollout import Episode, rollout
from .base import Finding, Stratum, Subject, follow
from .breaches import DESK, Breach, Look

EDGE = 1e-9
Way = Callable[[Look], Iterator[Breach]]


class House(NamedTuple):
    """The house rules of an environment, as agents are told them, and the ways to break each."""

    rules: Mapping[str, str]
    ways: Mapping[str, tuple[Way, ...]]


HOUSES = {"CustomerService-v0": House(PROSE, DESK)}
"""Environment -> its house rules; the others have none."""


def conduct(subject: Subject, stratum: Stratum, size: int) -> Iterator[Finding | None]:
    """Each house rule can be broken, and each breach of it is named in `violations` and priced."""
    house = HOUSES[subject.kind.parts.name]
    env, met = subject.env(stratum), set[str]()
    for scene in subject.scenes(env, 0, size):
        for rule, finding in _scene(env, scene, house):
            met.add(rule)
            yield finding
    # A few scenes, or those of a user's own, need not have room for every breach.
    few = size < len(subject.kind.parts.cycles[stratum[1]])
    if not (few or subject.arguments or subject.own is not None):
        for rule in [rule for rule in house.rules if rule not in met]:
            yield Finding("", 0, f"{rule}: no breach of it could be made on {'/'.join(stratum)}", [])


def _scene(env: ConversationEnv, scene: Any, house: House) -> Iterator[tuple[str, Finding | None]]:
    """Every breach that a scene has room for: the rule, and what is wrong."""
    episode = rollout(registry.make("expert", type(env)), env, scene)
    env.reset(options={"scene": scene})
    starts, memories = [env.snapshot()], [env.memory.copy()]
    for action in episode.actions[:-1]:
        env.step(action)
        starts.append(env.snapshot())
        memories.append(env.memory.copy())
    look = Look(episode.actions, memories, starts[0].turn.scene)
    for rule, ways in house.ways.items():
        for way in ways:
            for breach in way(look):
                env.restore(starts[breach.turn])
                branch = follow(env, Episode(scene=episode.scene), breach.actions)
                what = _unseen(branch, breach, rule)
                said = f"{rule}: {way.__doc__} {breach.actions!r} {what}"
                yield rule, Finding(episode.scene, breach.turn, said, branch.messages) if what else None


def _unseen(branch: Episode, breach: Breach, rule: str) -> str:
    """How a breach gets by, or ""."""
    if branch.turns < len(breach.actions):
        return f"ends early: {branch.outcome}"
    info = branch.infos[-1]
    if rule not in info["violations"]:
        return f"gives the violations {info['violations']}"
    term, price = ("truth", PRICES.truth) if rule == "supported_claims" else ("conduct", PRICES.conduct)
    least = price * sum((other == "supported_claims") == (term == "truth") for other in info["violations"])
    # What came before has left less than the full price, at times.
    paid = info["reward_terms"][term]
    return "" if paid <= EDGE - least or sum(branch.rewards) <= EDGE - 1 else f"costs {abs(paid)} and not {least}"

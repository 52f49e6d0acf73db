"""Runs: many conversations in this process, in several, or on a Ray cluster; each as a trace.

What is played is the same wherever it is played: an episode is a function of its scene, its trial and the policy.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import pickle
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import gymnasium

from .. import __version__
from ..envs.conversation import ConversationEnv
from ..envs.errors import BadArgument
from ..rewards.terms import Reward
from . import registry
from .adapt import adapt
from .base import Policy
from .rollout import Episode, Job, rollouts
from .trace import Step, Trace, decode, encode

CHUNK = 64
"""The most episodes that another process is given at once."""


@dataclass(frozen=True)
class Setting:
    """Who plays what; it is sent to other processes as it is."""

    env_id: str
    policy: Any
    """A name for `policies.make`, a policy, or a function."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `policies.make` is given beside the name."""
    parallel: int | None = None
    """How many conversations are held at once; by default as the policy likes it."""

    @property
    def label(self) -> str:
        """What the policy is called."""
        if isinstance(self.policy, str):
            return self.policy
        return getattr(self.policy, "__name__", None) or type(self.policy).__name__

    def env(self, **more: Any) -> ConversationEnv:
        """The environment, bare: scenes are named, actions judged and turns counted by itself."""
        made: Any = gymnasium.make(self.env_id, disable_env_checker=True, **{**self.arguments, **more}).unwrapped
        registry.kind_of(made)
        env: ConversationEnv = made
        return env

    def common(self) -> dict[str, Any]:
        """What all traces of this have in common."""
        return {
            "env": self.env_id,
            "policy": self.label,
            "versions": versions(self.env_id),
            "arguments": plain(self.arguments),
        }


class Player:
    """A policy and its environments, in one process."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        first = setting.env()
        made = isinstance(setting.policy, str)
        self.policy: Policy = adapt(registry.make(setting.policy, first, **setting.options) if made else setting.policy)
        self._made = made
        parallel = setting.parallel or self.policy.parallel
        self._envs = [first, *(setting.env() for _ in range(parallel - 1))]
        self._slow = setting.arguments.get("customer", "agenda") != "agenda"
        self._common = setting.common()

    def play(self, jobs: Sequence[Job]) -> Iterator[Episode]:
        """Hold the conversations; each is given when it has ended."""
        return rollouts(self.policy, self._envs[: max(1, len(jobs))], jobs, self._slow)

    def trace(self, episode: Episode) -> Trace:
        """An episode as a trace."""
        infos = episode.infos
        steps = [
            Step(
                action,
                reward,
                info["reward_terms"],
                info["facts"],
                info["malformed"],
                info["refused"],
                info["violations"],
                round(wait, 6),
            )
            for action, reward, info, wait in zip(
                episode.actions, episode.rewards, islice(infos, 1, None), episode.waits, strict=False
            )
        ]
        return Trace(
            scene=episode.scene,
            trial=episode.trial,
            kind=episode.kind,
            par=episode.par,
            opening=infos[0]["facts"],
            messages=episode.messages,
            steps=steps,
            terms=episode.terms,
            total=episode.total,
            outcome=episode.outcome,
            success=episode.success,
            truncated=episode.truncated,
            own=episode.own,
            usage=episode.usage,
            seconds=round(episode.seconds, 6),
            notes=[*self.policy.notes],
            error=str(episode.error or ""),
            **self._common,
        )

    def close(self) -> None:
        """Close what was made here."""
        if self._made:
            self.policy.close()
        for env in self._envs:
            env.close()


def serial(setting: Setting, jobs: Sequence[Job]) -> Iterator[Trace]:
    """Play in this process; each trace is given when its episode ends."""
    player = Player(setting)
    try:
        yield from map(player.trace, player.play(jobs))
    finally:
        player.close()


def in_processes(setting: Setting, jobs: Sequence[Job], workers: int) -> Iterator[Trace]:
    """Play in processes of their own, in chunks; the traces stand in the order of the jobs."""
    sendable(setting)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (setting,)) as pool:
        pending = [pool.submit(_play, chunk) for chunk in chunks(jobs, workers)]
        yield from _collected(pending)


def _collected(pending: list[Future[list[bytes]]]) -> Iterator[Trace]:
    """The traces of the chunks in their order; an interruption still gives those that are done."""
    waiting = iter(pending)
    try:
        for future in waiting:
            yield from map(decode, future.result())
    except KeyboardInterrupt:
        for future in waiting:
            if not future.cancel() and future.done():
                yield from map(decode, future.result())
        raise
    finally:
        for future in waiting:
            future.cancel()


_player: Player | None = None


def _begin(setting: Setting) -> None:
    """Make this process a player; an interruption is its parent's business."""
    global _player
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _player = Player(setting)


def _play(jobs: Sequence[Job]) -> list[bytes]:
    assert _player is not None
    return played(_player, jobs)


def played(player: Player, jobs: Sequence[Job]) -> list[bytes]:
    """A chunk, in the order of its jobs."""
    episodes = sorted(player.play(jobs), key=lambda episode: episode.number)
    return [encode(player.trace(episode)) for episode in episodes]


def chunks(jobs: Sequence[Job], workers: int) -> list[Sequence[Job]]:
    """The jobs in runs of their order: several for each worker, and none too small to be worth sending."""
    size = max(1, min(CHUNK, math.ceil(len(jobs) / (workers * 4))))
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def sendable(setting: Setting) -> None:
    """Raise `BadArgument` where a setting cannot be sent to another process."""
    try:
        pickle.dumps(setting)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise BadArgument(
            f"The policy {setting.label} or an argument cannot be sent to another process ({error}): "
            "give it by name ('module:factory'), or leave out workers and ray."
        ) from None


@functools.cache
def versions(env_id: str) -> dict[str, str]:
    """What a trace was made with."""
    return {"stateset_gym": __version__, "env": env_id.rpartition("/")[2]}


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an environment as JSON: what a trace tells of them."""
    return {name: _plain(value) for name, value in arguments.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Reward):
        return {"prices": {n: getattr(value.prices, n) for n in value.prices.__slots__}, "extra": [*value.extra]}
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    return str(value) if hasattr(value, "__fspath__") else getattr(value, "__qualname__", type(value).__qualname__)

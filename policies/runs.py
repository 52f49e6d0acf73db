"""Runs: many conversations in this process, in several, or on a Ray cluster; each as a trace.

What is played is the same wherever it is played: an episode is a function of its scene, its trial and the policy.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from inspect import signature
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium

from .. import __version__
from ..envs.conversation import ConversationEnv
from ..envs.errors import BadArgument
from ..rewards.terms import Reward
from . import registry
from .adapt import adapt
from .base import Kind, Policy
from .rollout import Episode, Job, rollouts
from .trace import Step, Trace, decode, encode

CHUNK = 64
"""The most episodes that another process is given at once."""
MOMENT = 0.1
"""Seconds that a chunk may take before chunks grow no more."""
SECRETS = ("api_key",)
"""Options of policies that stand in no trace."""


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
        given, known = {**self.arguments, **more}, taken(registry.kind_of(self.env_id))
        for name in given:
            if name not in known:
                about = f"{name}={given[name]!r} is no argument of {self.env_id}"
                raise BadArgument(f"{about}{registry.hint(name, known)}")
        made: Any = gymnasium.make(self.env_id, disable_env_checker=True, **given).unwrapped
        env: ConversationEnv = made
        return env

    def common(self) -> dict[str, Any]:
        """What all traces of this have in common."""
        return {
            "env": self.env_id,
            "policy": self.label,
            "versions": versions(self.env_id),
            "arguments": plain(self.arguments),
            "options": plain({name: value for name, value in self.options.items() if name not in SECRETS}),
        }


def taken(kind: Kind) -> list[str]:
    """The arguments that an environment takes."""
    makers = [vars(each)["__init__"] for each in kind.__mro__ if "__init__" in vars(each)]
    found = [each for maker in makers for each in signature(maker).parameters.values()]
    return sorted({each.name for each in found if each.kind is each.KEYWORD_ONLY})


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
        try:
            yield from _in_order(pool, Chunks(jobs), workers)
        except BrokenProcessPool:
            raise RuntimeError(
                "A worker process has ended by itself. In a script of your own, call evaluate() with workers under "
                "`if __name__ == '__main__':`, as workers import the script; else see what it printed."
            ) from None


def _in_order(pool: ProcessPoolExecutor, chunks: Chunks, workers: int) -> Iterator[Trace]:
    """The traces of the chunks in their order; an interruption still gives those that are under way."""
    pending: deque[Future[Played]] = deque()
    try:
        while True:
            with _uninterrupted():  # what is started now inherits that it is not to be interrupted
                while len(pending) < 2 * workers and (chunk := chunks.next()):
                    pending.append(pool.submit(_play, chunk))
            if not pending:
                return
            played = pending[0].result()
            pending.popleft()
            yield from map(decode, played.lines)
            chunks.took(played)
    except KeyboardInterrupt:
        for future in [*pending]:
            if not future.cancel():
                yield from map(decode, future.result().lines)
        raise
    finally:
        for future in pending:
            future.cancel()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for a moment, where that can be had."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_player: Player | Exception | None = None


def _begin(setting: Setting) -> None:
    """Make this process a player; an interruption is its parent's business."""
    global _player
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _player = Player(setting)
    except (ValueError, TypeError, ImportError, RuntimeError, OSError, gymnasium.error.Error) as error:
        _player = error  # told where it can be caught: by the first chunk


def _end_with_parent() -> None:
    """Leave no process behind where the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _play(jobs: Sequence[Job]) -> Played:
    if isinstance(_player, Exception):
        raise _player
    assert _player is not None
    return played(_player, jobs)


class Played(NamedTuple):
    """A chunk that was played."""

    lines: list[bytes]
    """The traces, in the order of the jobs."""
    seconds: float
    fatal: bool
    """Whether something failed for good."""


def played(player: Player, jobs: Sequence[Job]) -> Played:
    """Play a chunk."""
    started = perf_counter()
    episodes = sorted(player.play(jobs), key=lambda episode: episode.number)
    lines = [encode(player.trace(episode)) for episode in episodes]
    fatal = any(episode.error is not None and episode.error.fatal for episode in episodes)
    return Played(lines, perf_counter() - started, fatal)


class Chunks:
    """Jobs in runs of their order, each of about a moment, so that little is under way; none after a fatal failure."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._left, self._size = iter(jobs), 1

    def next(self) -> list[Job]:
        """The next jobs; none where there are no more."""
        return [*islice(self._left, self._size)]

    def took(self, played: Played) -> None:
        """Learn from a chunk."""
        if played.fatal:
            self._left = iter(())
        if played.seconds < MOMENT:
            self._size = min(2 * self._size, CHUNK)


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

"""Runs on a Ray cluster: an actor a worker, a chunk of conversations a call.

A call for each episode would cost ten times the episode.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from ..envs.errors import BadArgument
from .rollout import Job
from .runs import Chunks, Played, Player, Setting, played, sendable
from .trace import Trace, decode


class Worker:
    """A player on a node of the cluster."""

    def __init__(self, setting: Setting) -> None:
        self._player = Player(setting)

    def play(self, jobs: Sequence[Job]) -> Played:
        """Play a chunk."""
        return played(self._player, jobs)


def on_ray(setting: Setting, jobs: Sequence[Job], workers: int | None, address: str) -> Iterator[Trace]:
    """Play on a cluster (`local` starts one here); the traces stand in the order of the jobs."""
    sendable(setting)
    with connected(workers, address) as (ray, workers):
        remote = ray.remote(num_cpus=1)(Worker)
        actors = [remote.remote(setting) for _ in range(min(workers, len(jobs)))]
        yield from _in_turn(ray, actors, Chunks(jobs))


@contextlib.contextmanager
def connected(workers: int | None, address: str) -> Iterator[tuple[Any, int]]:
    """Ray, and for how many workers it has cores; where it runs already it is used, and left running."""
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        _reachable(address)
        here = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, **(here if address == "local" else {"address": address}))
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if (workers := workers or cores) > cores:
            raise BadArgument(f"workers={workers}: the Ray cluster at {address!r} has {cores} cores; ask for no more.")
        yield ray, workers
    finally:
        if own:
            ray.shutdown()


def _in_turn(ray: Any, actors: list[Any], chunks: Chunks) -> Iterator[Trace]:
    """Each actor gets the next chunk when it has done one; results are handed out in the chunks' order."""
    running: dict[Any, tuple[int, Any]] = {}
    done: dict[int, Played] = {}
    numbers = itertools.count()
    due = 0

    def start(actor: Any) -> None:
        if chunk := chunks.next():
            running[actor.play.remote(chunk)] = next(numbers), actor

    for actor in actors:
        start(actor)
    try:
        while running:
            (ready, *_), _ = ray.wait([*running])
            number, actor = running.pop(ready)
            done[number] = ray.get(ready)
            chunks.took(done[number])
            start(actor)
            while due in done:
                yield from map(decode, done.pop(due).lines)
                due += 1
    except KeyboardInterrupt:
        for number in sorted(done):
            yield from map(decode, done[number].lines)
        raise


def _reachable(address: str) -> None:
    """Raise where nobody listens at HOST:PORT; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=10).close()
        except OSError as error:
            raise BadArgument(
                f"There is no Ray cluster at {address!r} ({error}): start one, or give another."
            ) from None


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise BadArgument('ray=... needs the package ray: pip install "stateset-gym[ray]".') from None
    return ray

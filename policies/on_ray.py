"""Runs on a Ray cluster: an actor a worker, a chunk of conversations a call.

A call for each episode would cost ten times the episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..envs.errors import BadArgument
from .rollout import Job
from .runs import Player, Setting, chunks, played, sendable
from .trace import Trace, decode


class Worker:
    """A player on a node of the cluster."""

    def __init__(self, setting: Setting) -> None:
        self._player = Player(setting)

    def play(self, jobs: Sequence[Job]) -> list[bytes]:
        """The traces of a chunk."""
        return played(self._player, jobs)


def on_ray(setting: Setting, jobs: Sequence[Job], workers: int | None, address: str) -> Iterator[Trace]:
    """Play on a cluster (`local` starts one here); the traces stand in the order of the jobs."""
    ray = _ray()
    sendable(setting)
    own = not ray.is_initialized()
    if own:
        here = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, **(here if address == "local" else {"address": address}))
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if (workers := workers or cores) > cores:
            raise BadArgument(f"workers={workers}: the Ray cluster at {address!r} has {cores} cores; ask for no more.")
        parts = chunks(jobs, workers)
        remote = ray.remote(num_cpus=1)(Worker)
        actors = [remote.remote(setting) for _ in range(min(workers, len(parts)))]
        yield from _in_turn(ray, actors, parts)
    finally:
        if own:
            ray.shutdown()


def _in_turn(ray: Any, actors: list[Any], chunks: Sequence[Sequence[Job]]) -> Iterator[Trace]:
    """Each actor gets the next chunk when it has done one; results are handed out in the chunks' order."""
    waiting = iter(enumerate(chunks))
    running: dict[Any, tuple[int, Any]] = {}
    done: dict[int, list[bytes]] = {}
    due = 0

    def start(actor: Any) -> None:
        if (following := next(waiting, None)) is not None:
            number, chunk = following
            running[actor.play.remote(chunk)] = number, actor

    for actor in actors:
        start(actor)
    try:
        while running:
            (ready, *_), _ = ray.wait([*running])
            number, actor = running.pop(ready)
            done[number] = ray.get(ready)
            start(actor)
            while due in done:
                yield from map(decode, done.pop(due))
                due += 1
    except KeyboardInterrupt:
        for number in sorted(done):
            yield from map(decode, done[number])
        raise


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise BadArgument('ray=... needs the package ray: pip install "stateset-gym[ray]".') from None
    return ray

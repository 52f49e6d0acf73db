"""The audit: all checks on a sample of scenes, in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from ...envs.scenes import DIFFICULTIES
from ..base import Kind
from ..rollout import Episode
from .base import Outcome, Subject
from .jobs import CHECKS, OF_POOL, Job, Size, Yield, failed, fresh, jobs_of, process, work
from .whole import Score

Tick = Callable[[str, int, int], None]
"""Told of what is being done, how much is done, and of how much."""
FULL = Size()


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks on."""


@dataclass
class Report:
    """What the audit of an environment found."""

    env: str
    floors: Mapping[str, tuple[float, float, str]]
    outcomes: dict[str, Outcome]
    scores: list[Score] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not any(outcome.wrong for outcome in self.outcomes.values())


def audit(
    kind: Kind,
    size: Size = FULL,
    checks: tuple[str, ...] | None = None,
    arguments: dict[str, Any] | None = None,
    own: dict[str, Any] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    tick: Tick = silent,
    difficulties: tuple[str, ...] = DIFFICULTIES,
) -> Report:
    """Put an environment to the checks that are named, or to all; a scene of one's own, to those of a conversation."""
    subject = Subject(kind, arguments or {}, own, difficulties)
    wanted = tuple(name for name in checks or CHECKS if own is None or name not in OF_POOL)
    report = Report(kind.parts.name, kind.parts.floors, {name: fresh(name) for name in wanted})
    sample: list[Episode] = []
    pieces = list(jobs_of(subject, size, wanted, seed))
    for found in _worked(pieces, min(jobs or os.cpu_count() or 1, len(pieces)), tick):
        for name, outcome in found.outcomes.items():
            report.outcomes[name].join(outcome)
        sample += found.sample
        report.scores += found.scores
    report.scores.sort(key=lambda score: [*report.floors].index(score.agent))
    if "process" in wanted:
        process(report.outcomes, subject, sample)
    return report


def _worked(pieces: list[Job], jobs: int, tick: Tick) -> Iterator[Yield]:
    """What comes of the pieces of work, as it comes."""
    total, done = sum(piece.cost for piece in pieces), 0
    tick("", 0, total)
    for cost, found in _here(pieces) if jobs <= 1 else _elsewhere(pieces, jobs):
        done += cost
        tick("conversations", done, total)
        yield found


def _here(pieces: list[Job]) -> Iterator[tuple[int, Yield]]:
    for piece in pieces:
        yield piece.cost, work(piece)


def _elsewhere(pieces: list[Job], jobs: int) -> Iterator[tuple[int, Yield]]:
    # Not forked: a progress bar has a thread of its own.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending: dict[Future[Yield], Job] = {pool.submit(work, piece): piece for piece in pieces}
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                piece, error = pending.pop(future), future.exception()
                yield piece.cost, failed(piece, error) if error else future.result()

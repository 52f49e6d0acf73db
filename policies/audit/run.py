"""The audit: all checks on a sample of scenes, in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...rewards.terms import Reward
from .. import registry
from ..base import Kind
from ..rollout import Episode, rollout
from . import episodes, fuzz, whole, words
from .base import Case, Check, Outcome, Stratum, Subject, guarded

DEEP: dict[str, Check] = {
    "writes": episodes.writes,
    "reads": episodes.reads,
    "order": episodes.order,
    "ends": episodes.ends,
    "snapshots": episodes.snapshots,
    "ended": episodes.ended,
}
"""Checks that start from the expert's conversation."""
ANY: dict[str, Check] = {
    "returns": episodes.returns,
    "prefixes": words.prefixes,
    "lacks": words.lacks,
    "leaks": words.leaks,
    "infos": words.infos,
}
"""Checks of any conversation; the expert's and one of another agent's are put to them."""
WHOLE: dict[str, Callable[..., Any]] = {
    "floors": whole.floors,
    "process": whole.process,
    "openings": whole.openings,
    "splits": whole.splits,
    "fuzz": fuzz.fuzz,
}
CHECKS: dict[str, Callable[..., Any]] = {"expert": episodes.expert, **DEEP, **ANY, **WHOLE}


class Size(NamedTuple):
    """How many scenes of each split and difficulty, and how many fuzzed actions."""

    scenes: int = 10_000
    """Conversations of the expert's."""
    deep: int = 300
    """Of these, those that all other checks start from."""
    floors: int = 240
    openings: int = 10_000
    fuzz: int = 50_000
    chunk: int = 250
    """Scenes that a process is given at a time; no part of the result."""


QUICK = Size(scenes=144, deep=24, floors=24, openings=1_000, fuzz=10_000, chunk=72)


@dataclass
class Report:
    """What the audit of an environment found."""

    env: str
    floors: Mapping[str, tuple[float, float, str]]
    outcomes: dict[str, Outcome]
    scores: list[whole.Score] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not any(outcome.wrong for outcome in self.outcomes.values())


@dataclass(frozen=True)
class Chunk:
    """A piece of work for one process: the expert on some scenes of a stratum, or one agent's floors."""

    subject: Subject
    checks: tuple[str, ...]
    size: Size
    stratum: Stratum = ("", "")
    start: int = 0
    stop: int = 0
    agent: str = ""

    @property
    def cost(self) -> int:
        """How many conversations it takes, about."""
        return self.stop - self.start or 6 * self.size.floors


class Yield(NamedTuple):
    """What comes of a chunk."""

    outcomes: dict[str, Outcome]
    sample: list[Episode]
    scores: list[whole.Score]


def audit(
    kind: Kind,
    size: Size = Size(),
    checks: tuple[str, ...] | None = None,
    arguments: dict[str, Any] | None = None,
    own: dict[str, Any] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    tick: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Report:
    """Put an environment to the checks that are named, or to all of them."""
    subject = Subject(kind, arguments or {}, own)
    wanted = tuple(checks or CHECKS)
    if own is not None:
        wanted = tuple(name for name in wanted if name not in WHOLE)
    report = Report(kind.parts.name, kind.parts.floors, {name: _fresh(name) for name in wanted})
    sample: list[Episode] = []
    for found in _worked(list(_chunks(subject, size, wanted)), jobs, tick):
        for name, outcome in found.outcomes.items():
            report.outcomes[name].join(outcome)
        sample += found.sample
        report.scores += found.scores
    tick("the whole", 0, 1)
    _whole(report, subject, size, wanted, sorted(sample, key=lambda episode: episode.scene), seed)
    return report


def _fresh(name: str) -> Outcome:
    return Outcome(name, (CHECKS[name].__doc__ or "").split("\n")[0])


def _chunks(subject: Subject, size: Size, wanted: tuple[str, ...]) -> Iterator[Chunk]:
    if "floors" in wanted:
        for agent in subject.kind.parts.floors:
            yield Chunk(subject, ("floors",), size, agent=agent)
    own = tuple(name for name in wanted if name not in WHOLE)
    scenes = size.scenes if "expert" in own else size.deep
    if not own and "process" not in wanted:
        return
    for stratum in subject.strata:
        for start in range(0, scenes, size.chunk):
            yield Chunk(subject, own, size, stratum, start, min(start + size.chunk, scenes))


def _worked(chunks: list[Chunk], jobs: int | None, tick: Callable[[str, int, int], None]) -> Iterator[Yield]:
    """What comes of the chunks, as it comes."""
    total, done = sum(chunk.cost for chunk in chunks), 0
    jobs = jobs or os.cpu_count() or 1
    tick("conversations", 0, total)
    if jobs == 1:
        for chunk in chunks:
            yield work(chunk)
            done += chunk.cost
            tick("conversations", done, total)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending: dict[Future[Yield], int] = {pool.submit(work, chunk): chunk.cost for chunk in chunks}
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                done += pending.pop(future)
                tick("conversations", done, total)
                yield future.result()


def work(chunk: Chunk) -> Yield:
    """Do a piece of work."""
    outcomes = {name: _fresh(name) for name in chunk.checks}
    if chunk.agent:
        found = list(whole.floors(chunk.subject, chunk.agent, chunk.size.floors))
        outcomes["floors"].add(2 * 3 * chunk.size.floors, [finding for _, finding in found if finding])
        return Yield(outcomes, [], [score._replace(example=Episode()) for score, _ in found])
    subject, kind = chunk.subject, chunk.subject.kind
    env = subject.env(chunk.stratum)
    # Turns are shared between like environments, but not with one that has a reward of its own.
    twin = subject.env(chunk.stratum, reward=Reward())
    expert = registry.make("expert", kind)
    others = [name for name in kind.parts.floors if name in registry.own(kind)]
    sample = []
    for number, scene in enumerate(subject.scenes(env, chunk.start, chunk.stop), chunk.start):
        case = Case(twin, scene, rollout(expert, env, scene), "expert")
        if "expert" in outcomes:
            outcomes["expert"].add(1, guarded(episodes.expert, case))
        if number < chunk.size.deep:
            sample.append(case.episode)
            _deep(case, outcomes)
            if others:
                name = others[number % len(others)]
                other = rollout(registry.make(name, kind), env, scene)
                _deep(Case(twin, scene, other, name), {n: o for n, o in outcomes.items() if n in ANY})
    return Yield(outcomes, sample, [])


def _deep(case: Case, outcomes: dict[str, Outcome]) -> None:
    for name, check in (ANY | DEEP).items():
        if name in outcomes:
            outcomes[name].add(1, guarded(check, case))


def _whole(
    report: Report, subject: Subject, size: Size, wanted: tuple[str, ...], sample: list[Episode], seed: int
) -> None:
    """The checks that need all conversations, or none."""
    if "process" in wanted:
        encode = subject.kind.parts.actions.encode
        played = [(e.scene, [encode(action) for action in e.actions]) for e in sample[:: max(len(sample) // 200, 1)]]
        report.outcomes["process"].add(len(played), whole.process(subject, played))
    if "openings" in wanted:
        for what, finding in whole.openings(subject, size.openings):
            report.outcomes["openings"].add(size.openings, [finding] if finding else [])
            report.outcomes["openings"].note = what
    if "splits" in wanted and not subject.arguments:
        report.outcomes["splits"].add(size.deep, whole.splits(subject, size.deep))
    if "fuzz" in wanted:
        report.outcomes["fuzz"].add(size.fuzz, fuzz.fuzz(subject, size.fuzz, seed))


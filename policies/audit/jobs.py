"""The audit's work in pieces, each done by one process: which checks there are, and what a piece of work gives."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from ...envs.scenes import SPLITS
from ...rewards.terms import Reward
from .. import registry
from ..rollout import Episode, rollout
from . import conduct, episodes, fuzz, reachable, whole, words
from .base import BUGS, Case, Check, Finding, Outcome, Stratum, Subject, guarded
from .walks import Shown

DEEP: dict[str, Check] = {
    "writes": episodes.writes,
    "reads": episodes.reads,
    "order": episodes.order,
    "ends": episodes.ends,
    "snapshots": episodes.snapshots,
    "kept": episodes.kept,
    "ended": episodes.ended,
}
"""Checks that start from the expert's conversation."""
NEEDS: dict[str, Callable[[Case], bool]] = {
    "reads": episodes.has_reads,
    "order": episodes.has_several,
    "ends": episodes.has_goals,
}
"""What a conversation must have to be put to a check."""
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
    "conduct": conduct.conduct,
    "reachable": reachable.reachable,
    "fuzz": fuzz.fuzz,
}
"""Checks of the environment as a whole."""
CHECKS: dict[str, Callable[..., Any]] = {"expert": episodes.expert, **DEEP, **ANY, **WHOLE}
OF_POOL = ("floors", "openings", "splits")
"""Checks that a single scene cannot be put to."""
PART = 50_000
"""Fuzzed actions of one piece of work; no less, so that a seed and a count always mean the same actions."""


class Size(NamedTuple):
    """How many scenes of each split and difficulty, and how many fuzzed actions."""

    scenes: int = 10_000
    """Conversations of the expert's."""
    deep: int = 240
    """Of these, those that all other checks start from."""
    floors: int = 240
    openings: int = 10_000
    fuzz: int = 100_000
    reachable: int = 4
    """Scenes of each kind and difficulty that are explored state by state."""
    cap: int = 10_000
    """How many states of a scene are found before exploring it stops."""
    chunk: int = 250
    """Scenes that a process is given at a time; no part of the result."""


QUICK = Size(scenes=144, deep=24, floors=24, openings=1_000, fuzz=10_000, reachable=1, cap=500, chunk=72)
HEAVY = 100
"""How many conversations take as long as exploring a scene."""
FEW = 8
"""Scenes that a process explores at a time."""


class Job(NamedTuple):
    """A piece of work."""

    kind: str
    """`scenes`, or the check of the whole that it belongs to."""
    subject: Subject
    size: Size
    checks: tuple[str, ...]
    cost: int
    """How many conversations or the like it takes."""
    stratum: Stratum = ("", "")
    start: int = 0
    """The first scene, or the part of the fuzzing."""
    stop: int = 0
    agent: str = ""
    seed: int = 0
    place: int = 0
    """The place of the scenes' kind in its cycle."""


class Yield(NamedTuple):
    """What comes of a piece of work."""

    outcomes: dict[str, Outcome]
    sample: list[Episode]
    """Conversations of the expert's, to be played again in another process."""
    scores: list[whole.Score]


def fresh(name: str) -> Outcome:
    """A check that has found nothing yet."""
    return Outcome(name, (CHECKS[name].__doc__ or "").split("\n")[0])


def jobs_of(subject: Subject, size: Size, wanted: tuple[str, ...], seed: int) -> Iterator[Job]:
    """The pieces of work, the longest first."""
    if "floors" in wanted:
        for agent in subject.kind.parts.floors:
            yield Job("floors", subject, size, ("floors",), 6 * size.floors, agent=agent)
    if "fuzz" in wanted:
        for part, first in enumerate(range(0, size.fuzz, PART)):
            count = min(PART, size.fuzz - first)
            yield Job("fuzz", subject, size, ("fuzz",), count // 10, start=part, stop=count, seed=seed)
    if "openings" in wanted:
        for stratum in subject.strata:
            yield Job("openings", subject, size, ("openings",), size.openings // 3, stratum)
    if "splits" in wanted and not subject.arguments:
        for difficulty in subject.difficulties:
            yield Job("splits", subject, size, ("splits",), whole.FAR // 2, ("", difficulty))
    if "conduct" in wanted and subject.kind.parts.name in conduct.HOUSES:
        for stratum in subject.strata:
            yield Job("conduct", subject, size, ("conduct",), size.deep, stratum)
    if "reachable" in wanted:
        yield from _reachable_jobs(subject, size)
    yield from _scene_jobs(subject, size, wanted)


def _reachable_jobs(subject: Subject, size: Size) -> Iterator[Job]:
    """Scenes of each kind and difficulty, by halves of each split, and of train where there is one too many."""
    for split, difficulty in subject.strata:
        count = (size.reachable + (split == SPLITS[0])) // 2
        for place in range(1 if subject.own is not None else len({*subject.kind.parts.cycles[difficulty]})):
            for start in range(0, count, FEW):
                stop = min(start + FEW, count)
                cost = HEAVY * (stop - start)
                stratum = (split, difficulty)
                yield Job("reachable", subject, size, ("reachable",), cost, stratum, start, stop, place=place)


def _scene_jobs(subject: Subject, size: Size, wanted: tuple[str, ...]) -> Iterator[Job]:
    own = tuple(name for name in wanted if name not in WHOLE)
    if own or "process" in wanted:
        count = size.scenes if "expert" in own else size.deep
        for start in range(0, count, size.chunk):
            stop = min(start + size.chunk, count)
            for stratum in subject.strata:
                yield Job("scenes", subject, size, own, stop - start, stratum, start, stop)


def work(job: Job) -> Yield:
    """Do a piece of work; what stops it is a finding."""
    done = Yield({name: fresh(name) for name in job.checks}, [], [])
    try:
        WORK[job.kind](job, done)
    except BUGS:
        _stopped(done, "", f"the check cannot go on: {traceback.format_exc(limit=-3)}")
    return done


def failed(job: Job, error: BaseException) -> Yield:
    """What comes of a piece of work whose process gave an error and no answer."""
    done = Yield({name: fresh(name) for name in job.checks}, [], [])
    where = "/".join([job.kind, *filter(None, job.stratum), job.agent])
    return _stopped(done, "", f"{where}: its process failed: {type(error).__name__}: {error}")


def _stopped(done: Yield, scene: str, what: str) -> Yield:
    """Count what stopped a piece of work under its first check; with none of its own, it plays for `process`."""
    name = next(iter(done.outcomes), "process")
    done.outcomes.setdefault(name, fresh(name)).add(1, [Finding(scene, 0, what, [])])
    return done


def _scenes(job: Job, done: Yield) -> None:
    kind = job.subject.kind
    env = job.subject.env(job.stratum)
    # Turns are shared between like environments, but not with one that has a reward of its own.
    fresh = partial(job.subject.env, job.stratum, reward=Reward())
    twin = fresh()
    others = [name for name in kind.parts.floors if name in registry.own(kind)]
    for number, scene in enumerate(job.subject.scenes(env, job.start, job.stop), job.start):
        deep = number < job.size.deep
        agents = ["expert", *([others[number % len(others)]] if deep and others else [])]
        for agent in agents:
            try:
                case = Case(twin, scene, rollout(registry.make(agent, kind), env, scene), agent, fresh)
            except BUGS:
                _stopped(done, str(scene), f"{agent} cannot play: {traceback.format_exc(limit=-3)}")
                continue
            checks = DEEP | ANY if agent == "expert" else ANY
            _put(case, {**({"expert": episodes.expert} if agent == "expert" else {}), **(checks if deep else {})}, done)
            if deep and agent == "expert":
                done.sample.append(case.episode)


def _put(case: Case, checks: dict[str, Check], done: Yield) -> None:
    for name, check in checks.items():
        if name in done.outcomes and _has(case, name):
            done.outcomes[name].add(1, guarded(check, case))


def _has(case: Case, name: str) -> bool:
    """Whether a conversation has what a check needs; where that cannot be told, the check shall say why."""
    try:
        return name not in NEEDS or NEEDS[name](case)
    except BUGS:
        return True


def _floors(job: Job, done: Yield) -> None:
    for score, finding in whole.floors(job.subject, job.agent, job.size.floors):
        done.outcomes["floors"].add(2 * job.size.floors, [finding] if finding else [])
        done.scores.append(score)


def _openings(job: Job, done: Yield) -> None:
    done.outcomes["openings"].add(job.size.openings, whole.openings(job.subject, job.stratum, job.size.openings))


def _splits(job: Job, done: Yield) -> None:
    done.outcomes["splits"].add(2 * job.size.deep, whole.splits(job.subject, job.stratum[1], job.size.deep))


def _conduct(job: Job, done: Yield) -> None:
    for finding in conduct.conduct(job.subject, job.stratum, job.size.deep):
        done.outcomes["conduct"].add(1, [finding] if finding else [])


def _reachable(job: Job, done: Yield) -> None:
    env = job.subject.env(job.stratum)
    outcome, shown = done.outcomes["reachable"], Shown()
    outcome.note = reachable.note_of(env.parts)
    if env.parts.catalogue is None:
        return
    for scene in job.subject.scenes_of(env, job.place, job.start, job.stop):
        checked = reachable.reachable(job.subject, env, scene, job.size.cap, shown)
        outcome.add(1, checked.findings)
        outcome.cover(f"{job.stratum[1]}/{checked.kind}", checked.coverage)


def _fuzz(job: Job, done: Yield) -> None:
    done.outcomes["fuzz"].add(job.stop, fuzz.fuzz(job.subject, job.stop, job.seed, job.start))


WORK: dict[str, Callable[[Job, Yield], None]] = {
    "scenes": _scenes,
    "floors": _floors,
    "openings": _openings,
    "splits": _splits,
    "conduct": _conduct,
    "reachable": _reachable,
    "fuzz": _fuzz,
}


def process(report: dict[str, Outcome], subject: Subject, sample: list[Episode], most: int = 200) -> None:
    """Play a part of the sample again, in another process."""
    encode = subject.kind.parts.actions.encode
    chosen = sorted(sample, key=lambda episode: episode.scene)[:: max(len(sample) // most, 1)]
    own = subject.own
    played = [
        (episode.scene if own is None else dict(own), [encode(action) for action in episode.actions])
        for episode in chosen
    ]
    try:
        report["process"].add(len(played), whole.process(subject, played))
    except BUGS:
        what = f"the conversations cannot be played again: {traceback.format_exc(limit=-3)}"
        report["process"].add(len(played), [Finding("", 0, what, [])])

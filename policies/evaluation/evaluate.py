"""Measure a policy: many scenes, some trials each, every episode a trace, one report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import Any

from ...envs.conversation import ConversationEnv
from ...envs.errors import BadArgument
from .. import runs
from ..progress import Tick, bar, quiet
from ..rollout import Job
from ..runs import Setting
from ..trace import Trace
from ..tracefile import TraceFile
from .report import Collector, Report

SHOWN = 0.1
"""Seconds between two advances of the progress bar."""
CHOICE = ("split", "difficulty", "kinds")
"""The arguments of an environment that choose its scenes, and concern no conversation."""


def evaluate(
    policy: Any,
    env_id: str,
    *,
    scenes: int | Iterable[int | str | dict[str, Any]] = 100,
    trials: int = 1,
    workers: int | None = None,
    ray: str | None = None,
    parallel: int | None = None,
    traces: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Tick = False,
    partial: bool = False,
    prices: tuple[float, float] | None = None,
    options: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Report:
    """Play a policy and report how it does.

    Args:
        policy: a name (see `policies.make`), a policy, any object with `act`, or a function.
        env_id: the id of an environment; its other `arguments` go along, by default `split="test"`; a list of
            difficulties takes the scenes of each.
        scenes: the first so many of the environment's scenes, or their numbers or names, or scenes of your own.
        trials: how often each scene is played; the policy is given another seed each time.
        workers: processes to play in, by default this one alone.
        ray: the address of a Ray cluster to play on instead (`local` starts one here); `workers` are then its actors,
            by default as many as it has cores.
        parallel: how many conversations a process holds at once; by default as the policy likes it.
        traces: a file for the traces, a line each; `resume` goes on with one, `overwrite` begins it anew.
        progress: show a progress bar, or call this function (what, done, total).
        partial: report what there is when the run is interrupted (Ctrl-C), rather than raise.
        prices: the cost of a million tokens, (in, out), in any currency.
        options: what the policy is made with, where `policy` is a name.
    """
    if options and not isinstance(policy, str):
        raise BadArgument(f"options={options!r} are for a policy that is made by name: make this one with them.")
    _at_least_one(trials=trials, workers=workers, parallel=parallel)
    choice = {"split": "test"} | {name: arguments.pop(name) for name in CHOICE if name in arguments}
    setting = Setting(env_id, policy, arguments, dict(options or {}), parallel)
    jobs = listed(setting, choice, scenes, trials)
    file = TraceFile(Path(traces), resume, overwrite) if traces else None
    if resume and not file:
        raise BadArgument("resume=True needs traces=FILE: the file that is gone on with.")
    collector = Collector(env_id, setting.label, runs.plain(choice | arguments), [*jobs], prices)
    started = monotonic()
    with nullcontext(progress or quiet) if progress is not True else bar() as tick:
        try:
            for trace in _shown(_played(setting, jobs, workers, ray, file), len(jobs), tick):
                collector.add(trace)
        except KeyboardInterrupt:
            if not partial:
                raise
            collector.interrupted = True
    return collector.report(monotonic() - started)


def listed(
    setting: Setting, choice: dict[str, Any], scenes: int | Iterable[int | str | dict[str, Any]], trials: int
) -> dict[tuple[str, int], Job]:
    """The jobs by their keys, the trials of a scene side by side; several difficulties give their scenes in turn."""
    difficulties = choice.get("difficulty", "easy")
    jobs: dict[tuple[str, int], Job] = {}
    given = scenes if isinstance(scenes, int) else [*scenes]
    for difficulty in [difficulties] if isinstance(difficulties, str) else difficulties:
        env = setting.env(**choice | {"difficulty": difficulty})
        limited = functools.partial(setting.env, **choice | {"difficulty": difficulty})
        for scene in _chosen(env, given, limited):
            name = scene if isinstance(scene, str) else env.parts.load(scene).name
            for trial in range(trials):
                known = jobs.setdefault((name, trial), Job(scene, trial, len(jobs)))
                if known.scene != scene:
                    raise BadArgument(f"scenes= holds two different scenes of the name {name!r}: rename one.")
    return jobs


def _chosen(env: ConversationEnv, scenes: int | list[Any], limited: Callable[..., ConversationEnv]) -> Iterator[Any]:
    """The first so many of the pool; or numbers and names, as an environment reads them; own scenes as they are."""
    if isinstance(scenes, int):
        if not 1 <= scenes <= len(env.pool):
            raise BadArgument(f"scenes={scenes!r}: give a number from 1 to {len(env.pool)}, or a list of names.")
        pool, size = env.pool, scenes
    else:
        named = [scene for scene in scenes if not isinstance(scene, dict)]
        pool, size = (limited(scenes=named).pool, len(named)) if named or not scenes else (env.pool, 0)
        size = min(size, len(pool))
        yield from (scene for scene in scenes if isinstance(scene, dict))
    yield from (pool[number] for number in range(size))


def _played(
    setting: Setting, jobs: Mapping[tuple[str, int], Job], workers: int | None, ray: str | None, file: TraceFile | None
) -> Iterator[Trace]:
    """What is on file, then what is played now; each trace is written before it is given."""
    left = dict(jobs)
    if file:
        for trace in file.kept(setting.common(), jobs):
            if left.pop(trace.key, None) is not None:
                yield trace
    with file or nullcontext():
        for trace in _now(setting, [*left.values()], workers, ray) if left else ():
            if file:
                file.add(trace)
            yield trace


def _now(setting: Setting, jobs: Sequence[Job], workers: int | None, ray: str | None) -> Iterator[Trace]:
    if ray is not None:
        from ..on_ray import on_ray

        return on_ray(setting, jobs, workers, ray)
    if workers is None or workers == 1:
        return runs.serial(setting, jobs)
    return runs.in_processes(setting, jobs, workers)


def _shown(traces: Iterable[Trace], total: int, tick: Tick) -> Iterator[Trace]:
    """The traces, with the progress told now and then."""
    won = failed = 0
    told = -SHOWN
    for done, trace in enumerate(traces, 1):
        won += trace.success
        failed += not trace.measured
        if monotonic() - told > SHOWN or done == total:
            told = monotonic()
            rate = f"{won / (done - failed):.0%} success" if done > failed else "not measured"
            tick(rate + (f", {failed} not measured" if failed and done > failed else ""), done, total)
        yield trace


def _at_least_one(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise BadArgument(f"{name}={value!r} must be a whole number from 1 up.")

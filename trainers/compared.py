"""What a comparison comes to: figures of every cell, as JSON and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..envs.errors import BadArgument
from ..policies.evaluation import Interval, statistics
from ..policies.evaluation.numbers import signed
from . import plan
from .cells import Measured
from .plan import EXPERT, RANDOM, Cell, Plan
from .scores import Scale, Score, score
from .side_by_side import Job

RESULTS, TIMINGS = "results.json", "timings.json"


class Figures(NamedTuple):
    """A cell's figures, of the seeds that have come to their end."""

    cell: Cell
    done: list[Job]
    left: list[Job]
    """The runs that have not come to their end."""
    success: Interval | None
    """Of all conversations, with the scenes as the sample."""
    mean_return: Interval | None
    score: Score | None
    """`None` also where random play or the expert is not measured, or the one paid no less than the other."""

    @property
    def name(self) -> str:
        """What the cell is called."""
        return self.cell.name

    @property
    def results(self) -> list[Measured]:
        """What came of the runs."""
        return [job.result for job in self.done if job.result]

    @property
    def cpu_seconds(self) -> float:
        """What a run took, the mean."""
        return fmean(job.progress.cpu_seconds for job in self.done)

    @property
    def begun_with(self) -> float:
        """What those took that it begins from."""
        total = 0.0
        start = self.done[0].start
        while start:
            total, start = total + start.progress.cpu_seconds, start.start
        return total


class Compared(NamedTuple):
    """What a comparison comes to."""

    plan: Plan
    cells: list[Figures]
    scale: Scale | None
    """Between what scores are; `None` where random play or the expert is not measured."""
    changed: list[str]
    """What has changed since runs were made, a sentence each."""

    @property
    def versions(self) -> dict[str, list[str]]:
        """Packages, and with which versions of them the runs were made."""
        found: dict[str, set[str]] = {}
        for result in (result for cell in self.cells for result in cell.results):
            for name, version in (*result.versions.items(), *result.earlier):
                found.setdefault(name, set()).add(version)
        return {name: sorted(found[name]) for name in sorted(found)}

    @property
    def whole(self) -> bool:
        """Whether every run has come to its end."""
        return not any(cell.left for cell in self.cells)

    def cell(self, name: str) -> Figures:
        """The cell of a name."""
        return next(cell for cell in self.cells if cell.name == name)


def compared(found: Plan, jobs: Iterable[Job]) -> Compared:
    """What the runs come to that have come to their end."""
    by_cell: dict[str, list[Job]] = {name: [] for name in found.all_cells}
    for job in jobs:
        by_cell[job.cell.name].append(job)
    ends = [job.result for name in (RANDOM, EXPERT) for job in by_cell[name] if job.result]
    scale = Scale.of(ends[0].kinds, *(each.returns for each in ends)) if len(ends) == 2 else None
    cells = [_figures(cell, by_cell[name], scale) for name, cell in found.all_cells.items()]
    return Compared(found, cells, scale, _changed(found, [job for cell in cells for job in cell.done]))


def _changed(found: Plan, jobs: Iterable[Job]) -> list[str]:
    """In what trained models would be made otherwise now, such as by defaults of a trainer that have changed."""
    told = []
    for job in (job for job in jobs if job.cell.trainer):
        try:
            for name, old, new in found.changes(job.cell, job.seed, job.folder):
                told.append(f"{job.name}: {name} was {old!r} when it was trained, and would be {new!r} now.")
        except (BadArgument, ImportError, AttributeError) as error:
            told.append(f"{job.name}: whether it would be trained alike now cannot be told: {error}")
    return told


def _figures(cell: Cell, jobs: Sequence[Job], scale: Scale | None) -> Figures:
    done = [job for job in jobs if job.result]
    left = [job for job in jobs if not job.result]
    results = [job.result for job in done if job.result]
    if not results:
        return Figures(cell, done, left, None, None, None)
    seeds = len(results)
    wins = [sum(each) for each in zip(*(result.successes for result in results), strict=True)]
    sums = [math.fsum(each) for each in zip(*(result.returns for result in results), strict=True)]
    return Figures(
        cell,
        done,
        left,
        statistics.success([(won, seeds) for won in wins]),
        statistics.bootstrap(sums, [seeds] * len(sums)),
        scale and score(scale, [result.returns for result in results]),
    )


def write(found: Compared, output: Path) -> None:
    """Write the figures, and in a file of their own those that a clock gave."""
    plan.write(output / RESULTS, as_json(found))
    times = {
        cell.name: [
            {"seed": job.seed, "cpu_seconds": job.progress.cpu_seconds, "seconds": job.progress.seconds}
            for job in cell.done
        ]
        for cell in found.cells
    }
    plan.write(output / TIMINGS, times)


def as_json(found: Compared) -> dict[str, Any]:
    """The figures as plain JSON, the same whether or not the comparison was interrupted: no timings."""
    return {
        "plan": asdict(found.plan),
        "cells": {cell.name: _as_json(cell) for cell in found.cells},
        "not_scored": found.scale.left_out if found.scale else [],
        "versions": found.versions,
        "changed": found.changed,
    }


def _as_json(cell: Figures) -> dict[str, Any]:
    return {
        "trainer": cell.cell.trainer or None,
        "policy": cell.cell.policy or None,
        "start": cell.cell.start or None,
        "success": cell.success and cell.success._asdict(),
        "mean_return": cell.mean_return and cell.mean_return._asdict(),
        "score": cell.score and cell.score._asdict(),
        "seeds": [_seed(job, job.result) for job in cell.done if job.result],
        "not_finished": [{"seed": job.seed, "state": job.state, "why": job.why} for job in cell.left],
    }


def _seed(job: Job, result: Measured) -> dict[str, Any]:
    return {
        "seed": job.seed,
        "success": fmean(result.successes),
        "mean_return": fmean(result.returns),
        "steps": result.steps,
        "episodes": result.episodes,
        "actions": result.actions,
        "tokens": result.tokens,
        "stopped": result.stopped,
        "best_step": result.best_step,
        "outgrown": result.outgrown,
    }


def tables(found: Compared) -> RenderableType:
    """The figures for people: what all reach, and beside it what that took."""
    trained = [cell for cell in found.cells if cell.done and cell.cell.trainer]
    told = ", ".join(f"{name}={value}" for name, value in found.plan.arguments.items())
    head = Text.assemble((found.plan.env, "bold"), f" ({told})" * bool(told), f", {found.plan.scenes:,} test scenes")
    parts: list[RenderableType] = [head, Text(), _reached(found.cells)]
    if trained:
        parts += [Text(), Text("What a run took, the mean of its seeds"), Text(), _taken(trained)]
    return Group(*parts, *_remarks(found))


def _reached(cells: Sequence[Figures]) -> Table:
    table = _table(("", "success", "95 %", "return", "score", "95 %"))
    best = max((cell.score for cell in cells if cell.score and cell.cell.trainer), default=None)
    for cell in cells:
        success, paid, middle = cell.success, cell.mean_return, cell.score
        table.add_row(
            cell.name,
            f"{success.mean:.1%}" if success else "-",
            f"{success.lower:.1%} to {success.upper:.1%}" if success else "-",
            signed(paid.mean) if paid else "-",
            f"{middle.mean:.3f}" if middle else "-",
            f"{middle.lower:.3f} to {middle.upper:.3f}" if middle else "-",
            style="dim" if cell.name in (RANDOM, EXPERT) else "bold green" if middle and middle == best else "",
        )
    return table


def _taken(cells: Sequence[Figures]) -> Table:
    table = _table(("", "seeds", "steps", "talks", "actions", "tokens", "CPU s", "after (CPU s)"))
    for cell in cells:
        steps, talks, actions, tokens = (
            fmean(getattr(result, name) for result in cell.results)
            for name in ("steps", "episodes", "actions", "tokens")
        )
        start = cell.cell.start
        table.add_row(
            cell.name,
            f"{len(cell.done)}",
            *map(_count, (steps, talks, actions, tokens)),
            f"{cell.cpu_seconds:,.0f}",
            f"{start} ({cell.begun_with:,.0f})" if start else "",
        )
    return table


def _count(number: float) -> str:
    """A count in few letters; what was not counted is no zero."""
    if not number:
        return "-"
    return f"{number:,.0f}" if number < 100_000 else f"{number / 1000:,.0f}k"


def _remarks(found: Compared) -> list[RenderableType]:
    """What is to be known of the figures, and what is missing in them."""
    seeds = found.plan.seeds
    drawn = "scenes of each kind" if seeds == 1 else f"{seeds} seeds and the scenes of each kind"
    said = (
        "Score: 0 is random play, 1 the expert; the interquartile mean over seeds and kinds of scene, with a "
        f"stratified bootstrap over {drawn}. Success and return: all conversations, with intervals over scenes."
    )
    told: list[RenderableType] = [Text(), Text(said, style="dim")]
    left = [job for cell in found.cells for job in cell.left]
    told += [Text(f"Not in the figures: {job.name}: {job.state}, {job.why}", style="bold yellow") for job in left]
    told += _not_scored(found.scale) if found.scale else ()
    for job in (job for cell in found.cells for job in cell.done):
        if job.result and job.result.stopped:
            told.append(Text(f"{job.name} ended before its last step: {job.result.stopped}.", style="yellow"))
        if job.result and job.result.outgrown:
            told.append(Text(f"{job.name}: {job.result.outgrown} talks outgrew the model, and failed.", style="yellow"))
    told += [Text(each, style="yellow") for each in found.changed]
    if several := {name: versions for name, versions in found.versions.items() if len(versions) > 1}:
        made = "; ".join(f"{name} {', '.join(versions)}" for name, versions in several.items())
        told.append(Text(f"The runs were made with several versions of packages: {made}.", style="bold yellow"))
    return told


def _not_scored(scale: Scale) -> Iterator[Text]:
    """The kinds of scene that are in no score."""
    for kind in scale.left_out:
        paid = f"random play is paid {scale.random[kind]:+.3f} on average and the expert {scale.expert[kind]:+.3f}"
        why = f"Not in the scores: scenes of the kind {kind!r}: {paid}, and no score lies between the two."
        yield Text(why, style="bold yellow")


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table

"""The command that compares trainers and policies."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import app
from .given import env_id, settings
from .playing import DESK

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..trainers.experiment import Compared, Job, Plan
    from ..trainers.side_by_side import Show

SECONDS = 30.0
"""Between two lines on a run, where no terminal is there."""
STYLES = {"runs": "bold", "done": "green", "failed": "bold red", "not run": "red", "stopped": "yellow", "waits": "dim"}


@app.command()
def compare(
    file: Annotated[Path | None, typer.Argument(help="What is compared, YAML or JSON.")] = None,
    algo: Annotated[
        list[str] | None, typer.Option(help="Without a file: a trainer or a policy, by its name; may be given again.")
    ] = None,
    env: Annotated[str | None, typer.Option(help=f"The id of the environment; by default {DESK}.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="name=value of the environment, e.g. difficulty=hard; may repeat.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="With --algo: the steps of every trainer.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How often each trainer trains.")] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="Test scenes that all are measured on in the end.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at once; by default as many as cores.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder; by default runs/ and the file's name, or a new one.")
    ] = None,
) -> None:
    """Compare trainers and policies on the same scenes; with the same --output it goes on where it was interrupted.

    Exits with 0 where every run has come to its end, 1 where one has failed, 130 after Ctrl-C.
    """
    from rich.console import Console

    from ..trainers import experiment

    if file is None and not algo and output is None:
        raise typer.BadParameter("name a FILE, or trainers and policies with --algo, or the --output to go on with.")
    if file is not None and (algo or steps):
        raise typer.BadParameter("--algo and --steps go without a FILE: it tells of the cells and their steps.")
    if steps and not algo:
        raise typer.BadParameter("--steps goes with --algo: a folder that is gone on with tells of its steps.")
    given = {
        "env": env_id(env) if env else None,
        "arguments": settings(set_, "--set") or None,
        "seeds": seeds,
        "scenes": scenes,
    }
    plan = _plan(file, algo, steps, output, {name: value for name, value in given.items() if value is not None})
    folder = output or Path("runs") / (file.stem if file else time.strftime("%Y%m%d-%H%M%S-compare"))
    console, error = Console(), Console(stderr=True)
    error.print(
        f"Everything goes into {folder}; the same command with --output {folder} goes on.",
        soft_wrap=True,
        highlight=False,
    )
    try:
        with _shown(error) as show:
            found = experiment.compare(plan, folder, jobs, show)
    except KeyboardInterrupt:
        again = f"stateset-gym compare --output {shlex.quote(str(folder))}"
        error.print(f"Interrupted; what was done is kept. To go on: {again}", soft_wrap=True, highlight=False)
        raise typer.Exit(130) from None
    _tell(found, folder, console, error)
    raise typer.Exit(not found.whole)


def _plan(
    file: Path | None, algo: list[str] | None, steps: int | None, output: Path | None, given: dict[str, Any]
) -> Plan:
    """What is compared: what the file, the names or the folder tell, and over it what is given."""
    from ..trainers import experiment

    if file is not None or not algo:
        begun = experiment.read(file) if file else experiment.kept(output or Path())
        arguments = {**begun.arguments, **given.get("arguments", {})}
        return experiment.changed(begun, **{**given, "arguments": arguments})
    name = given.get("env", DESK)
    told = {"steps": steps} if steps else {}
    return experiment.plan(**{"env": name, **given, "cells": experiment.of_names(algo, name, **told)})


@contextmanager
def _shown(console: Console) -> Iterator[Show]:
    """A table that is kept up to date, or lines where no terminal is there."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda jobs: live.update(_table(jobs, console.height), refresh=True)


def _table(jobs: Sequence[Job], height: int) -> Table:
    """How all runs stand; where the terminal is too low for all, those that go on and those that have failed."""
    from rich import box
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    many = len(jobs) > height - 6
    states = Counter(job.state for job in jobs)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.caption = ", ".join(f"{count} {state}" for state, count in states.items())
    for name in ("run", "", "", "", "", "CPU s"):
        table.add_column(name, justify="right" if name == "CPU s" else "left", no_wrap=True)
    for job in jobs:
        if many and job.state in ("waits", "done", "not run"):
            continue
        now = job.progress
        steps = f"{now.done:,}/{now.total:,}" if now.total and job.state == "runs" else ""
        table.add_row(
            job.name,
            f"[{STYLES[job.state]}]{job.state}[/]",
            ProgressBar(now.total, now.done, width=16) if steps else "",
            steps,
            now.what if job.state == "runs" else job.why,
            f"{now.cpu_seconds:,.0f}" if now.cpu_seconds else "",
        )
    return table


class _Lines:
    """For logs: a line when a run begins or ends, and now and then how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}
        self._next: dict[str, float] = {}

    def __call__(self, jobs: Sequence[Job]) -> None:
        """See what has changed."""
        for job in jobs:
            before, now = self._states.get(job.name, "waits"), job.progress
            self._states[job.name] = job.state
            due = job.state == "runs" and time.monotonic() > self._next.get(job.name, 0.0)
            if job.state == before and not due:
                continue
            self._next[job.name] = time.monotonic() + SECONDS
            far = f", {now.what} {now.done:,}/{now.total:,}" if job.state == before and now.total else ""
            took = f" ({now.cpu_seconds:,.0f} CPU s)" if now.cpu_seconds else ""
            self._console.print(
                f"{job.name}: {job.state}{f', {job.why}' * bool(job.why)}{far}{took}", soft_wrap=True, highlight=False
            )


def _tell(found: Compared, folder: Path, console: Console, error: Console) -> None:
    """The figures, what failed, and where all lies."""
    from ..trainers import compared, curves

    console.print(compared.tables(found))
    for cell in found.cells:
        for job in cell.left:
            if job.state == "failed":
                error.print(f"\n{job.name}: {job.why}. The end of {job.folder / 'log.txt'}:", style="bold red")
                error.print(job.tail(), markup=False, highlight=False)
    names = [compared.RESULTS, compared.TIMINGS, curves.FILE]
    told = ", ".join(name for name in names if (folder / name).exists())
    console.print(f"\nIn {folder}: {told}, and a folder for each run.", soft_wrap=True, highlight=False)

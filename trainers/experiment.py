"""The first comparison: trainers and policies on one environment, on the same scenes and paid alike.

    from stateset_gym.trainers import experiment

    found = experiment.compare(experiment.read("examples/demo.yaml"), "runs/demo")

Every cell and seed is a run in a folder and a process of its own. The same call goes on where it was interrupted.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from ..envs.errors import BadArgument
from . import compared, curves
from .compared import Compared
from .plan import Plan, changed, check, keep, kept, of_names, plan, read, same
from .scores import missing
from .side_by_side import Job, Show, SideBySide, held, listed

__all__ = ["Compared", "Job", "Plan", "changed", "compare", "kept", "of_names", "plan", "read"]
PACKAGES = ("scipy", "matplotlib")


class Stopped(KeyboardInterrupt):
    """A comparison was interrupted; all that was done is kept."""


def compare(found: Plan, output: str | os.PathLike[str], jobs: int | None = None, show: Show | None = None) -> Compared:
    """Run what is not done yet, `jobs` processes at once (by default one a core), and write what it comes to.

    Raises `Stopped` where Ctrl-C or SIGTERM ended it; called again, it goes on from there. A run that fails takes
    nothing along but what begins from it.
    """
    if jobs is not None and jobs < 1:
        raise BadArgument(f"jobs={jobs!r} must be a whole number from 1 up.")
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise missing(package)
    folder = Path(output)
    same(found, folder)
    if any(job.state != "done" for job in listed(found, folder)):
        check(found, folder)
    with held(folder) as lock:
        same(found, folder)  # another process may have worked on it until now
        todo = listed(found, folder)
        if any(job.state != "done" for job in todo):
            keep(found, folder)
            work = SideBySide(todo, folder, jobs or cores(), show or _silent)
            work.run(lock)
            if work.interrupted and any(job.state != "done" for job in todo):
                raise Stopped
        result = compared.compared(found, todo)
        compared.write(result, folder)
        curves.draw(result, folder)
    return result


def cores() -> int:
    """How many processes run beside each other at their full pace."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _silent(jobs: Sequence[Job]) -> None:
    """Show nothing."""

"""A run of a cell, in a process of its own: train, measure what was trained, write down what came of it.

What it needs to know is in the comparison's folder: `python -m stateset_gym.trainers.cells FOLDER CELL SEED`. It may be
killed at any time: run again, it goes on from the last checkpoint, and what it writes in the end is the same.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import msgspec

from ..envs.errors import BadArgument
from ..policies import evaluate
from ..policies.base import Policy
from ..policies.evaluation import Report
from ..rewards.errors import InfrastructureError
from . import plan
from .folder import RUN, Folder, Summary, versions
from .plan import RESULT, Cell, Plan

LOG, PROGRESS, TRACES = "log.txt", "progress.json", "traces.jsonl"
FILES = {
    LOG: "what the process of the cell has printed",
    PROGRESS: "how far it is, and what it took",
    TRACES: "the conversations of the final measurement",
    RESULT: "what they came to, without any timings",
}
"""What every run of a cell has in its folder, beside what its trainer leaves there."""
INTERRUPTED = 130
"""What the process ends with where it was asked to end before its last step."""
OFTEN = 0.5
"""Seconds between two words on how far it is."""
OUTGROWN = "has outgrown the model's context"
"""What the reason says of a conversation that was not measured because it became too long for its model."""


class Measured(msgspec.Struct, kw_only=True):
    """What came of a run: the same, whether or not it was interrupted."""

    scenes: list[str]
    kinds: list[str]
    successes: list[bool]
    returns: list[float]
    """For each scene of the final measurement its kind, whether it ended well, and what it paid."""
    outgrown: int = 0
    """Conversations that outgrew the trained model's context: they count as failures."""
    steps: int = 0
    episodes: int = 0
    actions: int = 0
    tokens: int = 0
    stopped: str = ""
    best_step: int | None = None
    """What its trainer's summary tells."""
    versions: dict[str, str] = {}
    """What it was made with,"""
    earlier: list[tuple[str, str]] = []
    """and packages with other versions that it was begun with: it was interrupted, and they have changed since."""


class Progress(msgspec.Struct):
    """How far a run is."""

    what: str = ""
    done: int = 0
    total: int = 0
    cpu_seconds: float = 0.0
    """Of all processes that the run took, those included that were killed."""
    seconds: float = 0.0
    """As long as they took beside each other's."""
    earlier: list[tuple[str, str]] = []
    """Packages with versions that are no longer used, and that a part of the training was made with."""


class Clock:
    """Tells how far a run is and what it took, in its folder; called as progress is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / PROGRESS
        self._before = progress(folder)
        self._begun = time.monotonic()
        self._told = -OFTEN
        self.versions = versions()
        """What the run is made with, and"""
        self.earlier: list[tuple[str, str]] = []
        """packages with other versions that what it goes on with was made with."""

    def __call__(self, what: str, done: int, total: int, last: bool = False) -> None:
        """So much is done."""
        seconds = time.monotonic() - self._begun
        if seconds - self._told >= OFTEN or last:
            self._told = seconds
            before = self._before
            spent = before.cpu_seconds + cpu_seconds(), before.seconds + seconds
            plan.write(self._file, Progress(what, done, total, *spent, self.earlier or before.earlier))

    def goes_on(self, made_with: Mapping[str, str]) -> None:
        """What was trained before, with these versions, is gone on with."""
        self.versions = {**made_with, **versions()}
        self.earlier = sorted({*self._before.earlier, *made_with.items()} - self.versions.items())


def cpu_seconds() -> float:
    """The processor time of this process and of those that it has started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def progress(folder: Path) -> Progress:
    """How far the run of a folder is."""
    try:
        return msgspec.json.decode((folder / PROGRESS).read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress()


def result(folder: Path) -> Measured | None:
    """What came of the run of a folder, where it has come to its end."""
    try:
        return msgspec.json.decode((folder / RESULT).read_bytes(), type=Measured)
    except FileNotFoundError:
        return None


class Interrupted(Exception):
    """The training was asked to end before its last step."""


class Playing(NamedTuple):
    """Who is measured, and with which arguments of the environment."""

    policy: Policy | str
    arguments: dict[str, Any]
    options: dict[str, Any]


def run(found: Plan, cell: Cell, seed: int, output: Path) -> None:
    """Do what is left to be done of a run."""
    folder = found.folder(output, cell.name, seed)
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(folder)
    clock("loads", 0, 0)
    if cell.trainer:
        playing, summary = _trained(found, cell, seed, output, clock)
    else:
        playing, summary = Playing(cell.policy, dict(found.arguments), dict(cell.settings)), Summary()
    report = _measured(found, playing, folder, clock)
    results = report.results
    measured = Measured(
        scenes=[each.scene for each in results],
        kinds=[each.kind for each in results],
        successes=[each.success for each in results],
        returns=[each.total for each in results],
        outgrown=len(results) - report.measured,
        steps=summary.steps,
        episodes=summary.episodes,
        actions=summary.actions,
        tokens=summary.tokens,
        stopped=summary.stopped,
        best_step=summary.best_step,
        versions={**clock.versions, **versions()},
        earlier=clock.earlier,
    )
    clock("measured", len(results), len(results), last=True)
    plan.write(folder / RESULT, measured)


def _trained(found: Plan, cell: Cell, seed: int, output: Path, clock: Clock) -> tuple[Playing, Summary]:
    """Train to the end, from the last checkpoint where there is one; what is measured is what the folder keeps."""
    trainer = found.trainer(cell, seed, output)
    folder = trainer.folder
    if not _over(folder):
        resumes = bool(folder.saved())
        if resumes:
            clock.goes_on(folder.record().versions)
        else:
            _clear(folder.path)
        trainer.train(resume=resumes, progress=clock)
        if folder.summary().stopped == "interrupted":
            raise Interrupted
    else:
        clock.goes_on(folder.record().versions)
    return Playing(trainer.load(folder.final), trainer.arguments, {}), folder.summary()


def _over(folder: Folder) -> bool:
    """Whether the training has come to its end."""
    return (folder.path / "summary.json").exists() and folder.summary().stopped != "interrupted"


def _clear(folder: Path) -> None:
    """Remove what a training left that was killed before its first checkpoint."""
    for each in folder.iterdir() if (folder / RUN).exists() else ():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name not in FILES:
            each.unlink()


def _measured(found: Plan, playing: Playing, folder: Path, clock: Clock) -> Report:
    """Play the test scenes, anew where this was interrupted: then no sum of numbers depends on where that was."""
    part = folder / f"{TRACES}.part"
    report = evaluate(
        playing.policy,
        found.env,
        scenes=found.scenes,
        traces=part,
        overwrite=True,
        progress=lambda what, done, total: clock(f"measures, {what}", done, total),
        options=playing.options,
        **playing.arguments,
    )
    trained = not isinstance(playing.policy, str)
    failed = [each for each in report.not_measured if not (trained and OUTGROWN in each.why)]
    if failed:
        raise InfrastructureError(
            f"{len(failed)} of {report.planned} conversations could not be measured, the first because: "
            f"{failed[0].why}",
            str(playing.policy),
            "run the comparison again when it can be",
        )
    part.replace(folder / TRACES)
    return report


def _end_with_parent() -> None:
    """Leave no process behind where the comparison was killed: it holds the other end of the standard input."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> int:
    """The process of a run."""
    output, name, seed = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = plan.kept(Path(output))
        run(found, found.all_cells[name], int(seed), Path(output))
    except Interrupted:
        return INTERRUPTED
    except (gymnasium.error.Error, BadArgument, InfrastructureError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

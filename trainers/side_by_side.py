"""Many runs beside each other: a process each, so many at once, each when what it begins from is there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..envs.errors import BadArgument
from .cells import INTERRUPTED, LOG, Measured, Progress, progress, result
from .plan import Cell, Plan
from .telling import heeded

State = Literal["waits", "runs", "done", "failed", "not run", "stopped"]
LOCK = "lock"
"""The file in a comparison's folder that whoever runs it holds, and with it the processes of its cells."""
PATIENCE = 15.0
"""Seconds in which the processes of a comparison that was killed are expected to have ended."""
PAUSE = 0.2
"""Seconds between two looks at the processes."""
TAIL = 12
"""So many lines of what a failed process has printed are shown."""
ALONE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What keeps a process on one core, as many run beside each other."""


@dataclass(eq=False)
class Job:
    """A run, and how it stands."""

    cell: Cell
    seed: int
    folder: Path
    start: Job | None = None
    """The run that it begins from."""
    state: State = "waits"
    result: Measured | None = None
    why: str = ""
    """Why it has failed or was not run."""
    process: subprocess.Popen[bytes] | None = None
    asked: bool = False
    """Whether its process was asked to end."""

    @property
    def name(self) -> str:
        """The cell and the seed."""
        return f"{self.cell.name}, seed {self.seed}"

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return progress(self.folder)

    def close(self) -> None:
        """Its process has ended."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None

    def tail(self) -> str:
        """The end of what its process has printed."""
        file = self.folder / LOG
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
        return "\n".join(lines[-TAIL:])


Show = Callable[[Sequence[Job]], None]
"""Called again and again while the runs go on."""


def listed(found: Plan, output: Path) -> list[Job]:
    """The runs of a comparison in the order of its cells; those that have come to their end are done."""
    jobs: dict[tuple[str, int], Job] = {}
    for cell in found.all_cells.values():
        for seed in found.seeds_of(cell):
            folder = found.folder(output, cell.name, seed)
            ended = result(folder)
            jobs[cell.name, seed] = Job(cell, seed, folder, state="done" if ended else "waits", result=ended)
    for job in jobs.values():
        job.start = jobs[job.cell.start, job.seed] if job.cell.start else None
    return [*jobs.values()]


class SideBySide:
    """Runs jobs, so many at once; the first Ctrl-C or SIGTERM lets each end after its step, the second at once."""

    def __init__(self, jobs: Sequence[Job], output: Path, at_once: int, show: Show) -> None:
        self.jobs, self.interrupted = jobs, False
        self._output, self._at_once, self._show = output, at_once, show
        needed = [start for job in jobs for start in _starts(job)]
        self._queue = sorted(jobs, key=needed.count, reverse=True)
        """Those first that most others wait for."""

    def run(self, lock: int) -> None:
        """Run all that is not done, in a folder that is `held`."""
        with heeded(self._interrupt):
            try:
                while self._advance(lock):
                    self._show(self.jobs)
                    time.sleep(PAUSE)
            finally:
                self._kill()
        self._show(self.jobs)

    def _advance(self, lock: int) -> bool:
        """See who has ended, and begin what can be begun; whether anything goes on."""
        for job in self.jobs:
            if job.process is not None and (code := job.process.poll()) is not None:
                self._ended(job, code)
            elif job.process is not None and self.interrupted and not job.asked:
                job.process.terminate()
                job.asked = True
        for job in self._queue:
            if job.state == "waits" and job.start and job.start.state in ("failed", "not run"):
                job.state, job.why = "not run", f"it begins from {job.start.name}, which has not come to its end"
        free = self._at_once - sum(job.state == "runs" for job in self.jobs)
        ready = [job for job in self._queue if job.state == "waits" and (not job.start or job.start.state == "done")]
        for job in ready[: free * (not self.interrupted)]:
            self._begin(job, lock)
        return any(job.state == "runs" for job in self.jobs)

    def _begin(self, job: Job, lock: int) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"{__package__}.cells", str(self._output), job.cell.name, str(job.seed)]
        with (job.folder / LOG).open("ab") as log:
            job.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its other end tells the process when this one is gone
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ALONE},
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is told to it by this process, and not by the terminal
            )
        job.state = "runs"

    def _ended(self, job: Job, code: int) -> None:
        job.close()
        job.result = result(job.folder)
        if job.result is not None:
            job.state = "done"
        elif self.interrupted:
            job.state = "stopped"
        else:
            job.state = "failed"
            job.why = {INTERRUPTED: "it was interrupted"}.get(code, f"it was killed by signal {-code}" * (code < 0))
            job.why = job.why or f"it ended with {code}"

    def _interrupt(self) -> None:
        self.interrupted = True

    def _kill(self) -> None:
        """Leave no process behind."""
        for job in self.jobs:
            if job.process is not None:
                job.process.kill()
                job.process.wait()
                job.close()
                job.state = "stopped"


def _starts(job: Job) -> Iterator[Job]:
    """What a job waits for, directly or not."""
    while job.start:
        job = job.start
        yield job


@contextlib.contextmanager
def held(output: Path) -> Iterator[int]:
    """Hold a comparison's folder against another process; the cells' processes hold it too."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK).open("wb") as file:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BadArgument(
                        f"{output} is being worked on by another process: wait until that has ended, or name another "
                        "folder (output)."
                    ) from None
            time.sleep(PAUSE)
        yield file.fileno()

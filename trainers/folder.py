"""The folder of a run: what is trained and how, the metrics as they come, and what came of it in the end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from ..envs.errors import BadArgument
from ..policies.evaluation.statistics import wilson

S = TypeVar("S", bound=msgspec.Struct)

RUN, METRICS, SUMMARY = "run.json", "metrics.jsonl", "summary.json"
FILES = {
    RUN: "what is trained: the trainer, the environment, the config, the versions",
    METRICS: "what is measured, a line each time",
    SUMMARY: "what came of it: success before and after, and what it took",
    "final/": "the trained model, at the end",
}
"""What every run leaves in its folder."""
UNFINISHED = "unfinished"
"""The file in a checkpoint that is still being written; one that keeps it is of a process that was killed."""
PACKAGES = (
    "gymnasium", "numpy", "torch", "transformers", "tokenizers", "trl", "peft", "accelerate", "datasets",
    "stable_baselines3", "sb3_contrib", "ray",
)  # fmt: skip
"""The packages whose versions a run tells, where it uses them."""


class Share(msgspec.Struct, frozen=True):
    """How many of how many scenes succeeded, with Wilson's 95 % interval."""

    successes: int
    scenes: int
    low: float
    high: float

    @classmethod
    def of(cls, successes: int, scenes: int) -> Self:
        """The share of a count."""
        return cls(successes, scenes, *wilson(successes, scenes))

    @property
    def mean(self) -> float:
        """The share itself."""
        return self.successes / self.scenes

    def __str__(self) -> str:
        return f"{self.mean:.1%} ({self.low:.1%} to {self.high:.1%})"


class Summary(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a training; what was not measured is `None`."""

    before: Share | None = None
    """Success on held-out scenes of the test split before the training."""
    after: Share | None = None
    """The same after it, of the model that is kept."""
    train: Share | None = None
    """Success after it on scenes of the split that was trained on."""
    return_before: float | None = None
    return_after: float | None = None
    episodes: int = 0
    actions: int = 0
    """How many were taken in the environment in these conversations."""
    tokens: int = 0
    minutes: float = 0.0
    steps: int = 0
    """How many were made, those before a resumption included."""
    stopped: str = ""
    """Why it ended before its last step: `interrupted`, `early stop` or `callback`; nothing where it did not."""
    best_step: int | None = None
    """The step whose model is kept as the best, where any is."""

    def __str__(self) -> str:
        told = []
        if self.before or self.after:
            scenes = (self.after or self.before or Share(0, 0, 0, 0)).scenes
            told.append(f"Success on {scenes:,} held-out test scenes: {_change(self.before, self.after)}.")
        if self.train:
            told.append(f"On {self.train.scenes:,} scenes of the train split: {self.train}.")
        returns = [None if each is None else f"{each:+.3f}" for each in (self.return_before, self.return_after)]
        if any(returns):
            told.append(f"Mean return: {_change(*returns)}.")
        best = "" if self.best_step is None else f", the best at step {self.best_step:,}"
        took = [f"{self.steps:,} steps{best}", f"{self.episodes:,} episodes"]
        took += [f"{self.tokens:,} tokens"] if self.tokens else []
        told.append(", ".join([*took, f"{self.minutes:.1f} minutes"]) + ".")
        if self.stopped:
            told.append(f"Ended before its last step: {self.stopped}.")
        return " ".join(told)


def _change(before: Any, after: Any) -> str:
    told = [(before, "before"), (after, "after")]
    return ", ".join(f"{value} {when}" for value, when in told if value is not None)


class Record(msgspec.Struct):
    """What is trained: the content of `run.json`."""

    trainer: str
    env_id: str
    config: dict[str, Any]
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    objects: list[str] = msgspec.field(default_factory=list)
    """Arguments of the environment that no file holds: whoever resumes gives them again."""


class _Absent:
    """In the place of a setting that a run had not: a trainer has gained or lost it since."""

    def __repr__(self) -> str:
        return "no setting"


def differences(old: Record, new: Record) -> Iterator[tuple[str, Any, Any]]:
    """What differs between two runs, where it is no matter of versions or of where they are kept."""
    absent = _Absent()
    for name in ("trainer", "env_id"):
        if getattr(old, name) != getattr(new, name):
            yield name, getattr(old, name), getattr(new, name)
    for name in {**old.config, **new.config}:
        before, now = old.config.get(name, absent), new.config.get(name, absent)
        if name != "output" and before != now:
            yield name, before, now


def versions() -> dict[str, str]:
    """What a run is made with: Python, this package, and those of the others that are in use."""
    from .. import __version__

    used = {name: importlib.metadata.version(name) for name in PACKAGES if name in sys.modules}
    return {"python": platform.python_version(), "stateset_gym": __version__, **used}


class Folder:
    """A run's folder. Where `writes` is false it is another process that writes, and nothing is done here."""

    def __init__(self, path: str | os.PathLike[str], writes: bool = True) -> None:
        self.path, self.writes = Path(path), writes

    @property
    def final(self) -> Path:
        """Where the trained model is kept."""
        return self.path / "final"

    @property
    def best(self) -> Path:
        """Where the model is kept that did best on held-out scenes."""
        return self.path / "best"

    @property
    def checkpoints(self) -> Path:
        """Where what is needed to resume is kept, a folder a step."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The folder of a step's checkpoint."""
        return self.checkpoints / f"checkpoint-{step}"

    def saved(self) -> list[tuple[int, Path]]:
        """The checkpoints there are, the newest last."""
        found = [(each.name.rpartition("-")[2], each) for each in self.checkpoints.glob("checkpoint-*")]
        whole = [(step, each) for step, each in found if step.isdecimal() and not (each / UNFINISHED).exists()]
        return sorted((int(step), each) for step, each in whole)

    def last(self) -> tuple[int, Path]:
        """The newest checkpoint."""
        saved = self.saved()
        if not saved:
            raise BadArgument(
                f"{self.path} holds no checkpoint to go on from: begin a new run in another folder (output)."
            )
        return saved[-1]

    @contextlib.contextmanager
    def whole(self, target: Path) -> Iterator[Path]:
        """A folder to write into that takes the target's place when all of it is written."""
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)

    def check(self) -> None:
        """Raise `BadArgument` where a run is here already."""
        if (self.path / RUN).exists():
            raise BadArgument(
                f"{self.path} holds a run already: go on with it (resume), remove it, or name another folder (output)."
            )

    def begin(self, record: Record) -> None:
        """A new run begins here; one that is here already is not lost."""
        if not self.writes:
            return
        self.check()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write(RUN, record)
        (self.path / METRICS).write_bytes(b"")

    def resume(self, record: Record, step: int, changed: Collection[str] = ()) -> None:
        """Go on after a step: what was measured later is dropped. Only what is named in `changed` may have changed."""
        found = self.record()
        for name, old, new in differences(found, record):
            if name not in changed:
                raise BadArgument(
                    f"{self.path} is a run of another kind: its {name} is {old!r}, here it is {new!r}. "
                    "Resume with what it was begun with, or name another folder (output)."
                )
        if self.writes:
            self._write(RUN, record)
            self._rewrite([line for line in self.metrics() if line["step"] <= step])
            (self.path / SUMMARY).unlink(missing_ok=True)

    def add(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """Write what was measured at a step."""
        if self.writes:
            with (self.path / METRICS).open("ab", buffering=0) as file:
                file.write(msgspec.json.encode({"step": step, **metrics}) + b"\n")

    def metrics(self) -> list[dict[str, Any]]:
        """What was measured so far; a last line that was cut short is left out."""
        file = self.path / METRICS
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        found = []
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            try:
                metrics = msgspec.json.decode(line, type=dict[str, int | float | None])
                found.append({"step": int(metrics.pop("step") or 0), **metrics})
            except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
                raise BadArgument(f"{file}, line {number}, is no line of metrics ({error}): remove it.") from None
        return found

    def finish(self, summary: Summary) -> None:
        """Write what came of it."""
        if self.writes:
            self._write(SUMMARY, summary)

    def record(self) -> Record:
        """What is trained here."""
        return self._read(RUN, Record, "name the folder of a run (output), as `train` told it")

    def summary(self) -> Summary:
        """What came of it."""
        return self._read(SUMMARY, Summary, "it is written when a training ends")

    def _read(self, name: str, kind: type[S], remedy: str) -> S:
        file = self.path / name
        try:
            return msgspec.json.decode(file.read_bytes(), type=kind)
        except (FileNotFoundError, NotADirectoryError):
            raise BadArgument(f"There is no {file}: {remedy}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadArgument(f"{file} cannot be read ({error}): {remedy}.") from None

    def _write(self, name: str, value: msgspec.Struct) -> None:
        self._replace(name, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def _rewrite(self, lines: Sequence[Mapping[str, Any]]) -> None:
        self._replace(METRICS, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        part = self.path / f"{name}.part"
        part.write_bytes(content)
        part.replace(self.path / name)

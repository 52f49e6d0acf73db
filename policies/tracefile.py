"""A run's traces on disk: written as they come, and taken up again after an interruption."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import msgspec

from ..envs.errors import BadArgument
from .trace import Trace, append, decode

SLOW = 0.05
"""Seconds beyond which an episode is too dear to be lost: its trace is written at once."""
FLUSH = 0.5
"""Seconds after which the traces of faster ones are written, if there is a next one."""
BUFFER = 1 << 20
"""Bytes that are written at once: a trace has some 10,000."""
Key = tuple[str, int]
"""A scene and a trial."""


class TraceFile:
    """A file that traces are added to."""

    def __init__(self, path: Path, resume: bool = False, overwrite: bool = False) -> None:
        if resume and overwrite:
            raise BadArgument("resume and overwrite exclude each other: go on with the file, or begin it anew.")
        if path.exists() and not (resume or overwrite):
            raise self._taken(path)
        self.path, self._resume = path, resume
        self._mode = "r+b" if resume and path.exists() else "wb" if overwrite else "xb"
        path.parent.mkdir(parents=True, exist_ok=True)

    def kept(self, expected: dict[str, Any], planned: Container[Key]) -> Iterator[Trace]:
        """The measured traces of the run that is resumed; what was not measured or is cut short is dropped."""
        if not self._resume or not self.path.exists():
            return
        fresh = self.path.with_name(f"{self.path.name}.part")
        met: set[Key] = set()
        try:
            with self.path.open("rb") as old, fresh.open("wb") as new:
                for number, line in enumerate(old, 1):
                    if not line.endswith(b"\n"):
                        break
                    trace = self._checked(line, number, expected, planned)
                    if trace.measured and trace.key not in met:
                        met.add(trace.key)
                        new.write(line)
                        yield trace
            os.replace(fresh, self.path)
        finally:
            fresh.unlink(missing_ok=True)

    def _checked(self, line: bytes, number: int, expected: dict[str, Any], planned: Container[Key]) -> Trace:
        try:
            trace = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadArgument(f"{self.path}, line {number}, is no trace ({error}): name another file.") from None
        for name, value in expected.items():
            if (found := getattr(trace, name)) != value:
                raise BadArgument(
                    f"{self.path}, line {number}, is of another run: its {name} is {found!r}, here it is {value!r}. "
                    "Resume with what it was begun with, or name another file."
                )
        if trace.key not in planned:
            raise BadArgument(
                f"{self.path}, line {number}, is of another run: it holds {trace.scene}, trial {trace.trial}, which is "
                "not to be played here. Resume with the scenes it was begun with, or more, or name another file."
            )
        return trace

    @staticmethod
    def _taken(path: Path) -> BadArgument:
        return BadArgument(
            f"{path} is there already: go on with it (resume), or begin it anew and lose it (overwrite)."
        )

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open(self._mode, buffering=0)
        except FileExistsError:
            raise self._taken(self.path) from None
        self._waiting = self._file.seek(0, os.SEEK_END), bytearray()
        self._flushed = monotonic()
        return self

    def add(self, trace: Trace) -> None:
        """Write a trace: at once, or with others that took no time."""
        lines = self._waiting[1]
        append(lines, trace)
        if trace.seconds > SLOW or len(lines) > BUFFER or monotonic() - self._flushed > FLUSH:
            self._flush()

    def _flush(self) -> None:
        """Write what waits where it belongs: after an interruption, the same at the same place again."""
        start, lines = self._waiting
        self._file.seek(start)
        written = 0
        with memoryview(lines) as view:
            while written < len(view):
                written += self._file.write(view[written:])
        self._waiting = start + written, bytearray()
        self._flushed = monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._file:
            self._flush()
        if error is not None and self.path.stat().st_size == 0:
            self.path.unlink()

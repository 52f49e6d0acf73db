"""A run's traces on disk: written as they come, and taken up again after an interruption."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import msgspec

from ..envs.errors import BadArgument
from .trace import Trace, append, decode

FLUSH = 0.5
"""Seconds between two flushes: what a killed process loses at most, beside the episodes it was at."""
BUFFER = 1 << 20
"""Bytes that are written at once: a trace has some 10,000."""


class TraceFile:
    """A file that traces are added to."""

    def __init__(self, path: Path, resume: bool = False, overwrite: bool = False) -> None:
        if resume and overwrite:
            raise BadArgument("resume and overwrite exclude each other: go on with the file, or begin it anew.")
        if path.exists() and path.stat().st_size and not (resume or overwrite):
            raise BadArgument(f"{path} holds traces already: give resume to go on with it, or overwrite to lose it.")
        self.path, self._resume = path, resume
        path.parent.mkdir(parents=True, exist_ok=True)

    def kept(self, expected: dict[str, Any]) -> Iterator[Trace]:
        """The measured traces of the run that is resumed; what was not measured or is cut short is dropped."""
        if not self._resume or not self.path.exists():
            return
        fresh = self.path.with_name(f"{self.path.name}.part")
        with self.path.open("rb") as old, fresh.open("wb") as new:
            for number, line in enumerate(old, 1):
                if not line.endswith(b"\n"):
                    break
                trace = self._checked(line, number, expected)
                if trace.measured:
                    new.write(line)
                    yield trace
        os.replace(fresh, self.path)

    def _checked(self, line: bytes, number: int, expected: dict[str, Any]) -> Trace:
        try:
            trace = decode(line)
        except msgspec.DecodeError as error:
            raise BadArgument(f"{self.path}, line {number}, is no trace ({error}): name another file.") from None
        for name, value in expected.items():
            if (found := getattr(trace, name)) != value:
                raise BadArgument(
                    f"{self.path}, line {number}, is of another run: its {name} is {found!r}, here it is {value!r}. "
                    "Resume with what it was begun with, or name another file."
                )
        return trace

    def __enter__(self) -> Self:
        self._file = self.path.open("ab" if self._resume else "wb", buffering=0)
        self._lines = bytearray()
        self._flushed = monotonic()
        return self

    def add(self, trace: Trace) -> None:
        """Write a trace."""
        append(self._lines, trace)
        if len(self._lines) > BUFFER or monotonic() - self._flushed > FLUSH:
            self._flush()

    def _flush(self) -> None:
        while self._lines:
            del self._lines[: self._file.write(self._lines)]
        self._flushed = monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._flush()
        self._file.close()

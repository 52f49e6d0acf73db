"""Outputs that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...envs.errors import BadArgument


def check(out: Path, overwrite: bool, mark: str | None) -> None:
    """Raise `BadArgument` where something stands at `out` that must stay.

    `mark` is the file by which a folder of the format is known; `None` for a format that is one file.
    """
    if not out.exists():
        return
    if not overwrite:
        raise BadArgument(f"{out} exists: give overwrite=True (--overwrite) to replace it, or another name.")
    if out.is_dir() != (mark is not None):
        what, wanted = ("folder", "file") if out.is_dir() else ("file", "folder")
        raise BadArgument(f"{out} is a {what}, and the output is a {wanted}: give another name.")
    if mark is not None and not (out / mark).exists() and any(out.iterdir()):
        raise BadArgument(f"{out} holds other things than an earlier output (it has no {mark}): give another name.")


@contextlib.contextmanager
def fresh(out: Path) -> Iterator[Path]:
    """A path beside `out` to write to; once that has gone well, what stands there takes the place of `out`."""
    out = out.absolute()  # what stores the data joins a relative path to itself
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        part, old = Path(folder, "new"), Path(folder, "old")
        yield part
        if not out.is_dir():
            os.replace(part, out)
            return
        os.replace(out, old)
        try:
            os.replace(part, out)
        except OSError:
            os.replace(old, out)
            raise
        shutil.rmtree(old)

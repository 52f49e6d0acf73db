"""Traces for training: chat data, preference pairs, Hugging Face datasets, Minari datasets."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import gymnasium
import msgspec

from ...envs.errors import BadArgument
from ..registry import hint
from ..trace import Trace, read
from . import files, hub, offline, sft
from .branches import branches
from .pairs import pairs
from .select import Filters, Selection

__all__ = ["FORMATS", "Exported", "Filters", "branches", "export", "pairs"]


@dataclass(frozen=True)
class Exported:
    """What an export has written."""

    path: Path
    rows: int
    seen: int
    """How many traces were looked at."""
    kept: int
    fallen: dict[str, int] = field(default_factory=dict)
    """Why a trace fell out -> how many did."""

    def __str__(self) -> str:
        left = "".join(f", {count} left out by {reason}" for reason, count in Counter(self.fallen).most_common())
        return f"{self.path}: {self.rows} rows from {self.kept} of {self.seen} traces{left}"


@dataclass(frozen=True)
class Kind:
    """A format: what it makes of traces, and what that takes."""

    what: str
    write: Callable[[Iterator[Trace], Path, Path, float], int]
    """Traces, where to write to, the output's own name, margin -> how many rows were written."""
    mark: str | None = None
    """The file by which a folder of this format is known; `None`: it is one file."""
    needs: tuple[str, ...] = ()


FORMATS: dict[str, Kind] = {
    "sft": Kind(
        "chat data, a conversation a line: `messages`",
        lambda traces, part, out, margin: _lines((row for t in traces for row in sft.conversations(t)), part),
    ),
    "sft-turns": Kind(
        "chat data, a turn a line: `prompt`, `completion`",
        lambda traces, part, out, margin: _lines((row for t in traces for row in sft.turns(t)), part),
    ),
    "dpo": Kind(
        "preference pairs, a turn a line: `prompt`, `chosen`, `rejected`",
        lambda traces, part, out, margin: _lines(pairs(traces, margin), part),
    ),
    "hf": Kind(
        "a Hugging Face dataset, for datasets.load_from_disk",
        lambda traces, part, out, margin: hub.write(traces, part),
        "dataset_info.json",
        ("datasets",),
    ),
    "minari": Kind(
        "a Minari dataset, for minari.load_dataset",
        lambda traces, part, out, margin: offline.write(traces, part, offline.dataset_id(out)),
        "data/metadata.json",
        ("minari", "pyarrow", "PIL"),
    ),
}


def export(
    traces: Iterable[Trace] | Path | str,
    to: str,
    out: Path | str,
    *,
    overwrite: bool = False,
    margin: float = 0.0,
    **filters: Unpack[Filters],
) -> Exported:
    """Write traces in a format for training, those alone that the filters let through.

    Args:
        traces: the traces, or the file they are in.
        to: `sft`, `sft-turns`, `dpo`, `hf` or `minari` (see `FORMATS`).
        out: a file for the first three, a folder for the others. It is there whole, or not at all.
        overwrite: replace an output that exists.
        margin: for `dpo`: by how much the returns of a pair must differ, at least.
        filters: `min_return`, `max_return`, `success`, `faultless`, and by name `outcome`, `policy`, `kind`, `scene`,
            `split`, `difficulty`, each one name or several.
    """
    if to not in FORMATS:
        raise BadArgument(f"The format {to!r} does not exist{hint(to, FORMATS)}")
    if margin and to != "dpo":
        raise BadArgument(f"margin={margin!r} is for the format 'dpo', not for {to!r}: leave it out.")
    kind, path, selection = FORMATS[to], Path(out), Selection(filters)
    _check_packages(to, kind.needs)
    files.check(path, overwrite, kind.mark)
    source = read(traces) if isinstance(traces, Path | str) else traces
    with files.fresh(path) as part:
        rows = kind.write(_some(selection.of(source), selection), part, path, margin)
        if not rows:
            raise BadArgument(
                f"Nothing to write to {path}: {selection.kept} traces gave no {'pair' if to == 'dpo' else 'row'}. "
                + ("Pairs need several episodes of a scene, with other returns." if to == "dpo" else "")
            )
    return Exported(path, rows, selection.seen, selection.kept, dict(selection.fallen))


def _some(traces: Iterator[Trace], selection: Selection) -> Iterator[Trace]:
    """The traces; an error where there are none."""
    yield from traces
    if not selection.kept:
        raise BadArgument(f"Nothing to export: {selection.why_none()}")


def _lines(rows: Iterable[sft.Row], path: Path) -> int:
    """Write rows as lines of JSON."""
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
            count += 1
    return count


def _check_packages(to: str, needs: tuple[str, ...]) -> None:
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    if missing:
        raise gymnasium.error.DependencyNotInstalled(
            f"The format {to!r} needs {', '.join(missing)}, which is not installed: "
            'run pip install "stateset-gym[data]", or choose another format.'
        )

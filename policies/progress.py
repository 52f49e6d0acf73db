"""Progress bars for people, and nothing where none looks on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

Tick = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and how much there is."""


@contextlib.contextmanager
def bar(console: Any = None) -> Iterator[Tick]:
    """A progress bar, as a function to be called at each advance."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console or Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=shown, transient=True) as progress:
        task = progress.add_task("")
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""

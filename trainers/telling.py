"""What a training tells as it goes, and how it is asked to end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from ..policies.progress import Tick
from .folder import Folder, Summary

HEADLINES = ("success", "reward", "loss")
"""What the progress bar shows: the first of these that is measured."""


class Event(NamedTuple):
    """What a callback is told after a step."""

    step: int
    steps: int
    metrics: Mapping[str, float]


Callback = Callable[[Event], bool | None]
"""Called after each step that is told; `True` ends the training there, with all that is needed to resume."""


class Told:
    """What a training tells as it goes: to the metrics in its folder, the progress bar and the callbacks."""

    def __init__(
        self,
        folder: Folder,
        name: str,
        steps: int,
        step: int,
        callbacks: Sequence[Callback],
        tick: Tick,
        finish: Callable[[Summary], None],
        log_every: int = 1,
    ) -> None:
        self.folder, self.steps, self.step = folder, steps, step
        self.stopped = ""
        """Why the training is to end now, as in `Summary.stopped`; a trainer may set it too."""
        self.finish = finish
        """To be called at the end, with what came of it, when the model can be saved."""
        self._callbacks, self._tick, self._name, self._headline = callbacks, tick, name, ""
        self._log_every = log_every
        before = [line for line in self.folder.metrics() if "seconds" in line] if step else []
        self._started = time.monotonic() - max((line["seconds"] for line in before), default=0.0)
        self._used = time.process_time() - max((line.get("cpu_seconds", 0.0) for line in before), default=0.0)
        self._show({})

    @property
    def minutes(self) -> float:
        """How long it has trained, before it was resumed too."""
        return (time.monotonic() - self._started) / 60

    def __call__(self, step: int, metrics: Mapping[str, float]) -> bool:
        """A step was made, and this was measured in it; whether the training is to end after it."""
        values, due = {name: float(value) for name, value in metrics.items()}, self.due(step)
        self.step = step
        if values and due:
            self.note(values)
        self._show(values)
        for callback in self._callbacks:
            if callback(Event(step, self.steps, values)):
                self.stopped = self.stopped or "callback"
        return self.stopped != ""

    def due(self, step: int) -> bool:
        """Whether the next step, with this number, is one whose metrics are written; some trainers make long ones."""
        return crossed(self.step, step, self._log_every) or step >= self.steps

    def note(self, metrics: Mapping[str, float]) -> None:
        """Write what was measured beside the steps, such as an evaluation."""
        used = {"seconds": self.minutes * 60, "cpu_seconds": time.process_time() - self._used}
        self.folder.add(self.step, {**metrics, **{name: round(value, 3) for name, value in used.items()}})

    def doing(self, what: str, done: int, total: int) -> None:
        """Show the progress of something else than steps, such as an evaluation."""
        self._tick(what, done, total)

    def interrupt(self) -> None:
        """End after the step that is under way."""
        self.stopped = self.stopped or "interrupted"
        self._tick("ends after this step", self.step, self.steps)

    def _show(self, metrics: Mapping[str, float]) -> None:
        told = next(((name, metrics[name]) for name in HEADLINES if name in metrics), None)
        self._headline = f"{told[0]} {told[1]:.3f}" if told else self._headline
        self._tick(f"{self._name} {self._headline}".strip(), self.step, self.steps)


def crossed(before: int, now: int, every: int) -> bool:
    """Whether a multiple of a number of steps lies between two steps, the second included; never for 0."""
    return every > 0 and now // every > before // every


@contextlib.contextmanager
def heeded(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM call a function; the next does what it always did."""
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        restore()
        interrupt()

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        restore()


def rank() -> int:
    """Which of the processes this is that train together, as torchrun and accelerate tell; one alone is 0."""
    return int(os.environ.get("RANK", "0"))

"""The best of the models so far: how it did, of which step it is, and for how long none was better."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .folder import Share

BEST = "best.json"
"""Beside the best model: of which step it is, and how it did."""


class Best(msgspec.Struct, frozen=True):
    """The best of the models so far, by its success and then by its return."""

    step: int
    successes: int
    scenes: int
    low: float
    high: float
    mean_return: float

    @property
    def success(self) -> float:
        """The share of the scenes that ended well; how many there are may differ in a resumed run."""
        return self.successes / self.scenes

    @classmethod
    def of(cls, step: int, share: Share, mean_return: float) -> Best:
        """A step's model."""
        return cls(step, share.successes, share.scenes, share.low, share.high, mean_return)

    @classmethod
    def kept(cls, folder: Path) -> Best | None:
        """The one whose model is in the folder, if any is."""
        file = folder / BEST
        return msgspec.json.decode(file.read_bytes(), type=cls) if file.exists() else None

    def beats(self, other: Best | None) -> bool:
        """Whether this is better; of equal ones the earlier stays the best."""
        return other is None or (self.success, self.mean_return) > (other.success, other.mean_return)

    def write(self, folder: Path) -> None:
        """Write it down beside its model."""
        (folder / BEST).write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


class Standing:
    """How a training stands: its best model so far, and for how long success has not grown."""

    def __init__(self) -> None:
        self.best: Best | None = None
        self.waited, self._most = 0, -1.0
        """Evaluations since the success was last better than ever before, and that success."""

    def takes(self, new: Best) -> bool:
        """Take in a measurement; whether it is of the best model so far."""
        self.waited = 0 if new.success > self._most else self.waited + 1
        self._most = max(self._most, new.success)
        better = new.beats(self.best)
        self.best = new if better else self.best
        return better

    def standing(self) -> dict[str, Any]:
        """What a checkpoint holds of this; the best model is kept beside it."""
        return {"waited": self.waited, "most": self._most}

    def goes_on(self, kept: Mapping[str, Any], best: Best | None) -> None:
        """Go on from a checkpoint. The best may be of a later step, and is none the worse for it."""
        self.waited, self._most, self.best = kept["waited"], kept["most"], best


def is_over(waited: int, patience: int) -> bool:
    """Whether so many evaluations without a better success end a training; a patience of 0 never does."""
    return 0 < patience <= waited

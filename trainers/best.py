"""The best of the models so far: how it did, and of which step it is."""

from __future__ import annotations

from pathlib import Path

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

"""Numbers as people read them."""

from __future__ import annotations

from .statistics import Interval


def signed(value: float, places: int = 3) -> str:
    """A number with its sign; nothing is not negative."""
    return f"{round(value, places) + 0.0:+.{places}f}"


def between(interval: Interval) -> str:
    """The bounds of an interval."""
    return f"{signed(interval.lower)} to {signed(interval.upper)}"


def points(interval: Interval) -> str:
    """The bounds of an interval of shares, in points of a hundred."""
    return f"{signed(interval.lower * 100, 1)} to {signed(interval.upper * 100, 1)}"


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

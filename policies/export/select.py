"""Which traces are exported, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypedDict

from ...envs.errors import BadArgument
from ...envs.scenes import DIFFICULTIES, SPLITS
from ...envs.wording import ENDS
from ..registry import hint
from ..trace import Trace, split_of

Names = str | Collection[str] | None


class Filters(TypedDict, total=False):
    """What a trace must be like; each may be left out, or be `None`."""

    min_return: float | None
    max_return: float | None
    success: bool | None
    faultless: bool | None
    """Whether no action was malformed, refused, or broke a house rule."""
    outcome: Names
    policy: Names
    kind: Names
    scene: Names
    split: Names
    difficulty: Names


NAMED: dict[str, Callable[[Trace], str]] = {
    "outcome": lambda trace: trace.outcome,
    "policy": lambda trace: trace.policy,
    "kind": lambda trace: trace.kind,
    "scene": lambda trace: trace.scene,
    "split": lambda trace: split_of(trace.scene).get("split", ""),
    "difficulty": lambda trace: split_of(trace.scene).get("difficulty", ""),
}
"""Filters that name values of a trace."""
KNOWN = {"outcome": tuple(ENDS), "split": SPLITS, "difficulty": DIFFICULTIES}


def faultless(trace: Trace) -> bool:
    """Whether no action was malformed, refused, or broke a house rule."""
    return not any(step.malformed or step.refused or step.violations for step in trace.steps)


class Selection:
    """Goes through traces, and remembers why some fell out."""

    def __init__(self, filters: Mapping[str, Any]) -> None:
        self._filters = {name: value for name, value in filters.items() if value is not None}
        _check(self._filters)
        for name in NAMED.keys() & self._filters.keys():
            if isinstance(self._filters[name], str):
                self._filters[name] = [self._filters[name]]
        self.seen = 0
        self.kept = 0
        self.fallen: Counter[str] = Counter()
        """Why a trace fell out -> how many did."""
        self._met: dict[str, set[str]] = {name: set() for name in NAMED}

    def of(self, traces: Iterable[Trace]) -> Iterator[Trace]:
        """The traces that are like what is wanted."""
        for trace in traces:
            self.seen += 1
            reason = self._reason(trace)
            if reason is None:
                self.kept += 1
                yield trace
            else:
                self.fallen[reason] += 1

    def why_none(self) -> str:
        """Why nothing was found, in a sentence."""
        if not self.seen:
            return "there are no traces to look at"
        found = [f"{count} by {reason}" for reason, count in self.fallen.most_common()]
        near = "".join(map(self._near, NAMED.keys() & self._filters.keys()))
        return f"of {self.seen} traces, {', '.join(found)} fell out{near}"

    def _near(self, name: str) -> str:
        strange = [value for value in self._filters[name] if value not in self._met[name]]
        return f". {name}={strange[0]!r} is in none{hint(strange[0], sorted(self._met[name]))}" if strange else ""

    def _reason(self, trace: Trace) -> str | None:
        if not trace.measured:
            return "not being measured"
        for name, of in NAMED.items():
            self._met[name].add(of(trace))
        broken = [name for name, value in self._filters.items() if not _fits(trace, name, value)]
        return next((f"{name}={self._filters[name]!r}" for name in broken), None)


def _fits(trace: Trace, name: str, value: Any) -> bool:
    if name == "min_return":
        return bool(trace.total >= value)
    if name == "max_return":
        return bool(trace.total <= value)
    if name == "success":
        return bool(trace.success == value)
    if name == "faultless":
        return bool(faultless(trace) == value)
    return NAMED[name](trace) in value


def _check(filters: Mapping[str, Any]) -> None:
    for name, value in filters.items():
        if name not in Filters.__annotations__:
            raise BadArgument(f"The filter {name!r} does not exist{hint(name, Filters.__annotations__)}")
        if name in NAMED:
            _check_names(name, value)
        elif name in ("success", "faultless") and not isinstance(value, bool):
            raise BadArgument(f"{name}={value!r} is neither True nor False.")
        elif name in ("min_return", "max_return") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise BadArgument(f"{name}={value!r} is no number: returns lie between -1 and 1.")
    least, most = filters.get("min_return", -1), filters.get("max_return", 1)
    if least > most:
        raise BadArgument(f"min_return={least} is above max_return={most}: no return lies between.")


def _check_names(name: str, value: Any) -> None:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Collection) or not all(isinstance(each, str) for each in values):
        raise BadArgument(f"{name}={value!r} is no name, and no list of names.")
    for each in values if name in KNOWN else ():
        if each not in KNOWN[name]:
            raise BadArgument(f"{name}={each!r} is not known{hint(each, KNOWN[name])}")

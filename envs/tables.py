"""The tables of many scenes: explored once, kept on disk, shared by scenes that play alike."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .conversation import ConversationEnv
from .errors import BadArgument
from .merging import distinct, merged
from .table import Features, Floats, Ints, Mask, Table
from .table_cache import TableCache, digest_of, shared
from .tabular import CAP, checked_cap, tabulate, unheard

Progress = Callable[[str, int, int], None]
"""Told of what is being done, how much of it is done, and of how much."""
KEPT_TOGETHER = 250
"""After how many scenes what was explored is kept."""


def quiet(what: str, done: int, total: int) -> None:
    """Nobody looks on."""


class Joined(NamedTuple):
    """All different tables one after the other, for look-ups of many scenes at once."""

    step: Ints
    """Flat, at state * actions + action: the next state, shifted by `bits`, and in the lowest bits the outcome."""
    bits: int
    outcomes: Floats
    mask: Mask
    rows: Features
    row: Ints
    cut: Floats
    start: Ints
    """Scene -> its first state."""

    @property
    def nbytes(self) -> int:
        """What they take in memory."""
        return sum(each.nbytes for each in self if isinstance(each, np.ndarray))


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a list of scenes."""

    scenes: tuple[Table, ...]
    """The table of each scene; those that play alike share their arrays."""

    @classmethod
    def build(
        cls,
        kind: type[ConversationEnv],
        names: Iterable[str],
        *,
        cap: int = CAP,
        cache: str | Path | bool = True,
        jobs: int = 1,
        progress: Progress = quiet,
        arguments: Mapping[str, Any] | None = None,
    ) -> Tables:
        """Read the tables of the scenes with these names from the cache, and explore those that it lacks.

        `cache` is a folder, True for the user's own, or False for none. `arguments` are those of the environment's
        class, such as a store. More than one of `jobs` are processes which import the caller's script anew, so that it
        needs `if __name__ == "__main__":`.
        """
        if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
            raise BadArgument(f"jobs={jobs!r} must be a whole number of processes from 1 up.")
        wanted = list(names)
        if not wanted:
            raise BadArgument("There is no scene to be tabulated: name at least one.")
        known = unheard(kind, arguments or {})
        kept = None if cache is False else TableCache(kind, checked_cap(cap), known, None if cache is True else cache)
        found = kept.read(wanted) if kept else {}
        missing = [name for name in dict.fromkeys(wanted) if name not in found]
        fresh: list[Table] = []
        for done, table in enumerate(_explored(partial(_explore, kind, cap, known), missing, jobs), 1):
            progress("scenes explored", done, len(missing))
            found[table.name] = table
            fresh.append(table)
            if kept and (len(fresh) == KEPT_TOGETHER or done == len(missing)):
                kept.add(fresh)
                fresh = []
        return cls(tuple(shared(found[name] for name in wanted)))

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def different(self) -> list[Table]:
        """One table of each set of scenes that play alike."""
        return list({id(table.next_state): table for table in self.scenes}.values())

    @property
    def unfinished(self) -> list[str]:
        """The scenes of which more states were found than explored."""
        return [table.name for table in self.scenes if not table.whole]

    @cached_property
    def fingerprints(self) -> list[str]:
        """What each scene's arrays are, in a few letters: where two differ, the numbers of states mean other states."""
        known = {id(table.next_state): digest_of(table).hex() for table in self.different}
        return [known[id(table.next_state)] for table in self.scenes]

    def report(self) -> dict[str, int]:
        """How much there is: scenes, the different tables, their states and actions, and what was explored for them."""
        different = self.different
        return {
            "scenes": len(self.scenes),
            "whole": len(self.scenes) - len(self.unfinished),
            "states_found": sum(table.found for table in self.scenes),
            "states_explored": sum(table.expanded for table in self.scenes),
            "tables": len(different),
            "states": sum(table.states for table in different),
            "actions": len(different[0].action_names),
        }

    def joined(self) -> Joined:
        """All different tables one after the other; what leads nowhere leads to some state, and nobody comes there."""
        different = self.different
        starts = np.cumsum([0, *(table.states for table in different)])
        places = dict(zip((id(table.next_state) for table in different), starts.tolist(), strict=False))
        following = [table.next_state.astype(np.int64) + start for table, start in zip(different, starts, strict=False)]
        outcomes, outcome = _numbered([table.outcomes for table in different], [table.outcome for table in different])
        bits = len(outcomes).bit_length()
        if int(starts[-1]) << bits > np.iinfo(np.int32).max:
            raise BadArgument(f"These tables have {starts[-1]:,} states in all, too many at once: take fewer scenes.")
        rows, row = _numbered([table.rows for table in different], [table.row for table in different])
        return Joined(
            step=(np.concatenate(following) << bits | outcome).astype(np.int32).ravel(),
            bits=bits,
            outcomes=outcomes,
            mask=np.concatenate([table.mask for table in different]),
            rows=rows,
            row=row.astype(np.int32),
            cut=np.concatenate([table.cut for table in different]),
            start=np.array([places[id(table.next_state)] for table in self.scenes], np.int32),
        )


def _numbered(lists: Sequence[npt.NDArray[Any]], places: Sequence[npt.NDArray[Any]]) -> tuple[Any, Any]:
    """Many lists of rows as one without repeats, and the places in them as places in it."""
    rows = np.concatenate(lists)
    first, which = distinct(rows)
    starts = np.cumsum([0, *map(len, lists)])
    return rows[first], np.concatenate([which[each + start] for each, start in zip(places, starts, strict=False)])


def _explore(kind: type[ConversationEnv], cap: int, arguments: Mapping[str, Any], name: str) -> Table:
    return merged(tabulate(kind, name, cap=cap, arguments=arguments))


def _explored(explore: Callable[[str], Table], names: Sequence[str], jobs: int) -> Iterator[Table]:
    """The tables of the scenes, in their order, made by as many processes."""
    jobs = min(jobs, len(names))
    if jobs <= 1:
        yield from map(explore, names)
        return
    # Not forked: the caller may have threads.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(explore, names)

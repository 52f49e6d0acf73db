"""Which conversations a page holds, where it cannot hold them all."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from hashlib import blake2b

from ....envs.errors import BadArgument
from ...trace import Trace


class Least:
    """The traces of the least ranks, of any number that pass by."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, int, Trace]] = []
        self._seen = 0

    def add(self, first: float, second: int, trace: Trace) -> None:
        """Keep a trace if its rank, (first, second), is among the least."""
        self._seen += 1
        entry = (-first, -second, -self._seen, trace)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def traces(self) -> list[Trace]:
        """What was kept, the least rank first."""
        return [entry[-1] for entry in sorted(self._heap, key=lambda entry: entry[:3], reverse=True)]


def chosen(traces: Iterable[Trace], limit: int) -> tuple[list[Trace], int]:
    """At most `limit` traces, and how many there were: half the worst, some that were not measured, and a sample.

    Which are drawn follows from the scenes and trials alone, not from the order in which they come.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise BadArgument(f"limit={limit!r} must be a whole number from 1 up.")
    worst, failed, sample = Least(limit - limit // 2), Least(limit // 10), Least(limit)
    total = 0
    for trace in traces:
        total += 1
        draw = int.from_bytes(blake2b(f"{trace.scene}|{trace.trial}".encode(), digest_size=8).digest())
        if trace.measured:
            worst.add(trace.total, draw, trace)
        else:
            failed.add(0.0, draw, trace)
        sample.add(0.0, draw, trace)
    found = {trace.key: trace for trace in (*worst.traces(), *failed.traces(), *sample.traces())}
    return list(found.values())[:limit], total

"""Preference pairs: two answers to the same conversation, of which one led to more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import msgspec

from ..trace import Trace
from .sft import Row, spoken_at


def pairs(traces: Iterable[Trace], margin: float = 0.0) -> Iterator[Row]:
    """The turns at which episodes of one scene part, and which answer led to the higher return.

    Episodes are of one scene where it was played in the same environment. Where several go the same way, their mean
    return counts; answers whose returns lie no further apart than `margin` make no pair.
    """
    scenes: dict[bytes, list[Trace]] = defaultdict(list)
    for trace in traces:
        scenes[msgspec.json.encode([trace.env, trace.arguments, trace.scene, trace.own])].append(trace)
    for group in scenes.values():
        yield from _parting(group, 0, margin)


def _parting(group: Sequence[Trace], turn: int, margin: float) -> Iterator[Row]:
    """The pairs of episodes that are alike up to a turn, from that turn on."""
    while len(group) > 1:
        ways: dict[str, list[Trace]] = defaultdict(list)
        for trace in group:
            if turn < len(trace.steps):
                ways[trace.messages[spoken_at(trace, turn)]["content"]].append(trace)
        for one, other in combinations(ways.values(), 2):
            yield from _pair(one, other, turn, margin)
        turn += 1
        # A customer who is played by a model may answer the same words in two ways.
        groups = [same for way in ways.values() for same in _answered_alike(way, turn)]
        for each in groups[1:]:
            yield from _parting(each, turn, margin)
        group = groups[0] if groups else []


def _answered_alike(way: Sequence[Trace], turn: int) -> list[list[Trace]]:
    found: dict[str, list[Trace]] = defaultdict(list)
    for trace in way:
        found[trace.messages[spoken_at(trace, turn) - 1]["content"]].append(trace)
    return list(found.values())


def _pair(one: Sequence[Trace], other: Sequence[Trace], turn: int, margin: float) -> Iterator[Row]:
    (more, chosen), (less, rejected) = sorted(((_mean(one), one[0]), (_mean(other), other[0])), key=lambda way: -way[0])
    if more - less <= max(margin, 1e-9):
        return
    place = spoken_at(chosen, turn)
    yield {
        "prompt": chosen.messages[:place],
        "chosen": [chosen.messages[place]],
        "rejected": [rejected.messages[spoken_at(rejected, turn)]],
        "env": chosen.env,
        "scene": chosen.scene,
        "kind": chosen.kind,
        "turn": turn + 1,
        "chosen_policy": chosen.policy,
        "rejected_policy": rejected.policy,
        "chosen_return": more,
        "rejected_return": less,
    }


def _mean(way: Sequence[Trace]) -> float:
    return sum(trace.total for trace in way) / len(way)

"""Conversations as chat data: whole ones, or a row for each turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..trace import Trace, split_of

Row = dict[str, Any]


def about(trace: Trace) -> Row:
    """What a row tells of its episode."""
    return {
        "env": trace.env,
        "scene": trace.scene,
        "kind": trace.kind,
        "trial": trace.trial,
        "policy": trace.policy,
        "return": trace.total,
        "success": trace.success,
        "outcome": trace.outcome,
        "turns": len(trace.steps),
        "par": trace.par,
        **split_of(trace.scene),
    }


def conversations(trace: Trace) -> Iterator[Row]:
    """The whole conversation, up to the agent's last word: what came after it nobody answered."""
    if trace.steps:
        yield {"messages": trace.messages[:-1], **about(trace)}


def turns(trace: Trace) -> Iterator[Row]:
    """A row for each turn: what the agent had before it, and what it answered."""
    for turn in range(len(trace.steps)):
        place = spoken_at(trace, turn)
        yield {
            "prompt": trace.messages[:place],
            "completion": [trace.messages[place]],
            "turn": turn + 1,
            **about(trace),
        }


def spoken_at(trace: Trace, turn: int) -> int:
    """Where among the messages the agent's words of a turn stand, from turn 0."""
    return len(trace.messages) - 2 * (len(trace.steps) - turn)

"""What a failed test shows: the figures, and the conversations behind them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from stateset_gym.policies.trace import Trace
from stateset_gym.policies.transcript import show

if TYPE_CHECKING:
    from stateset_gym.policies.evaluation import Report

    from .talk import Conversation

WIDTH = 100
MOST = 3
"""How many conversations of a report, and of a test, are shown."""


def sections(reports: Sequence[Report], talks: Sequence[Conversation]) -> Iterator[tuple[str, str]]:
    """Title and text of each."""
    for report in reports:
        yield "evaluated", str(report).rstrip()
        for trace in telling(report):
            yield "one of its conversations", text_of(trace)
    for talk in talks[-MOST:]:
        yield "conversation", text_of(talk.trace)
    if len(talks) > MOST:
        yield "conversations", f"... and {len(talks) - MOST} before these."


def telling(report: Report) -> list[Trace]:
    """The conversation that went worst, and those in which the house rules were broken that it keeps."""
    chosen = {trace.key: trace for trace in report.worst[:1]}
    for rule, trace in report.breaches.items():
        if not any(rule in shown.violations for shown in chosen.values()):
            chosen[trace.key] = trace
    return [*chosen.values()][:MOST]


def text_of(trace: Trace) -> str:
    """A conversation in plain text."""
    file = io.StringIO()
    show(trace, Console(file=file, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False))
    return file.getvalue().rstrip()

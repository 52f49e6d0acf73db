"""Policies side by side: what each reaches on the scenes of each difficulty."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

from rich import box
from rich.table import Table

from ..envs.scenes import DIFFICULTIES
from . import registry
from .rollout import rollout

SHOWN = ("expert", "random", "null", "parrot", "refuse-all-authenticated", "hand-over-all-authenticated", "promise-all",
         "list-everything", "read-only", "never-asks")  # fmt: skip
"""The policies of the demonstration."""


class Row(NamedTuple):
    """How a policy does on one difficulty."""

    policy: str
    difficulty: str
    success: float
    mean: float
    turns: float
    violations: float
    pace: float
    """Conversations a second of CPU time."""


def lineup(
    env_id: str, names: Sequence[str], scenes: int, tick: Callable[[str, int, int], None] = lambda *_: None
) -> list[Row]:
    """Play the same test scenes with each policy."""
    rows: list[Row] = []
    kind = registry.kind_of(env_id)
    for difficulty in DIFFICULTIES:
        env = kind(split="test", difficulty=difficulty)  # type: ignore[arg-type]
        chosen = [env.pool[number] for number in range(scenes)]
        for name in names:
            tick(f"{difficulty}: {name}", len(rows), len(DIFFICULTIES) * len(names))
            policy = registry.make(name, kind)
            started = time.process_time()
            played = [rollout(policy, env, scene) for scene in chosen]
            pace = scenes / max(time.process_time() - started, 1e-9)
            rows.append(
                Row(
                    name,
                    difficulty,
                    fmean(episode.success for episode in played),
                    fmean(episode.total for episode in played),
                    fmean(episode.turns for episode in played),
                    fmean(len(episode.violations) for episode in played),
                    pace,
                )
            )
    return rows


def table(env_id: str, rows: Sequence[Row]) -> Table:
    """The rows for people."""
    title = f"Scripted policies on {env_id}, test scenes"
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("", "policy", "success", "return", "turns", "breaches", "talks/s"):
        made.add_column(column, justify="left" if column in ("", "policy") else "right", no_wrap=True)
    made.caption = "means; breaches of the house rules a conversation; conversations a second of CPU time"
    for place, row in enumerate(rows):
        first = place == 0 or rows[place - 1].difficulty != row.difficulty
        if first and place:
            made.add_section()
        made.add_row(
            row.difficulty if first else "",
            f"[bold green]{row.policy}[/]" if row.policy == "expert" else row.policy,
            f"{row.success:.1%}",
            f"{round(row.mean, 3) + 0.0:+.3f}",
            f"{row.turns:.1f}",
            f"{row.violations:.2f}",
            f"{row.pace:,.0f}",
        )
    return made

"""The audit's report: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from ...envs.scenes import DIFFICULTIES
from .base import Coverage, Finding, Outcome
from .run import Report
from .whole import Score

STYLES = {"assistant": "green", "reward": "yellow", "error": "red"}
"""Who says a line of a finding's conversation -> how it looks; `reward` tells what a step paid."""
SHOWN = 2
"""How many findings of a check are shown in full."""


def show(report: Report, console: Console, seconds: float) -> None:
    """Print what was found."""
    console.print(table(report, seconds))
    if report.scores:
        console.print(floors(report))
    for outcome in report.outcomes.values():
        if outcome.covered:
            console.print(covered(outcome))
    for outcome in report.outcomes.values():
        for finding in outcome.findings[:SHOWN]:
            console.print(panel(outcome, finding))
    verdict = "[bold green]sound[/]" if report.passed else "[bold red]not sound[/]"
    console.print(f"{report.env} is {verdict} by this audit.")


def table(report: Report, seconds: float) -> Table:
    """A line for each check."""
    made = Table(title=f"Audit of {report.env} ({seconds:.0f} s)", title_justify="left")
    for name in ("", "check", "examined", "wrong", "what holds"):
        number = name in ("examined", "wrong")
        made.add_column(name, justify="right" if number else "left", no_wrap=name != "what holds")
    for outcome in report.outcomes.values():
        sign = "[red]✗[/]" if outcome.wrong else "[green]✓[/]" if outcome.examined else "-"
        about = "; ".join(filter(None, (outcome.about.rstrip("."), outcome.note, outcome.extent)))
        made.add_row(sign, outcome.name, f"{outcome.examined:,}", f"{outcome.wrong:,}", escape(about))
    return made


def covered(outcome: Outcome) -> Table:
    """A line for each kind of scene: on each difficulty, the scenes explored whole, and the states explored."""
    made = Table(title=f"{outcome.name}: scenes explored whole, states explored of those found", title_justify="left")
    where = [name.split("/") for name in sorted(outcome.covered)]
    difficulties = sorted({difficulty for difficulty, _ in where}, key=DIFFICULTIES.index)
    for name in ("kind", *difficulties):
        made.add_column(name, justify="left" if name == "kind" else "right")
    for kind in sorted({kind for _, kind in where}):
        made.add_row(kind, *(_extent(outcome.covered.get(f"{each}/{kind}")) for each in difficulties))
    return made


def _extent(coverage: Coverage | None) -> str:
    if coverage is None:
        return "-"
    return f"{coverage.whole:,}/{coverage.scenes:,}, {coverage.explored:,}/{coverage.found:,}"


def floors(report: Report) -> Table:
    """A line for each cheap agent."""
    made = Table(title="Cheap agents: success and mean return", title_justify="left")
    difficulties = list(dict.fromkeys(score.difficulty for score in report.scores))
    for name in ("agent", *difficulties, "at most"):
        made.add_column(name, justify="left" if name == "agent" else "right", no_wrap=name != "agent")
    for agent in dict.fromkeys(score.agent for score in report.scores):
        cells = [_cell(score, report) for score in report.scores if score.agent == agent]
        made.add_row(agent, *cells, _pair(*report.floors[agent][:2]))
    return made


def _cell(score: Score, report: Report) -> str:
    most, best, _ = report.floors[score.agent]
    text = _pair(score.success, score.mean)
    return f"[yellow]{text}[/]" if score.success > most or score.mean > best + 1e-9 else text


def _pair(success: float, mean: float) -> str:
    return f"{success:6.1%} {round(mean, 2) + 0.0:+.2f}"


def panel(outcome: Outcome, finding: Finding) -> Panel:
    """A finding with its conversation."""
    lines = [f"[bold]{escape(finding.what)}[/]"]
    for message in finding.messages:
        if message["role"] != "system":
            style = STYLES.get(message["role"], "cyan")
            lines.append(f"[{style}]{escape(message['content'][:500])}[/]")
    title = f"{outcome.name}: {finding.scene}, turn {finding.turn}"
    return Panel(Group(*lines), title=escape(title), title_align="left")


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON."""
    checks = {
        name: {
            "examined": outcome.examined,
            "wrong": outcome.wrong,
            "what_holds": outcome.about,
            "note": outcome.note,
            "covered": {where: coverage._asdict() for where, coverage in outcome.covered.items()},
            "findings": [finding._asdict() for finding in outcome.findings],
        }
        for name, outcome in report.outcomes.items()
    }
    scores = [
        {"agent": agent, "difficulty": difficulty, "success": success, "mean_return": mean}
        for agent, difficulty, success, mean, _ in report.scores
    ]
    return {"env": report.env, "passed": report.passed, "checks": checks, "agents": scores}

"""A report for eyes and for programs: a table, Markdown, JSON; and the same for a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...envs.blocks import printable
from .comparison import Comparison
from .figures import Figures
from .results import Results
from .sections import Section, compared, facts, ks, sections, warnings
from .statistics import Interval

WIDTH = 80
GAP = 4
"""Columns between small tables that stand side by side."""


def table(report: Results) -> RenderableType:
    """The report for a terminal; it fits 80 columns."""
    head = Text.assemble((printable(report.policy), "bold"), " on ", (printable(report.env), "bold"))
    lines = [_told(printable(line)) for line in warnings(report)]
    return Group(head, Text(printable(facts(report)), style="dim"), *lines, *_grids(sections(report)))


def _told(line: str) -> RenderableType:
    """A warning; what is indented stays so where it takes several lines."""
    text = line.lstrip()
    return Padding(Text(text, style="bold yellow"), (0, 0, 0, len(line) - len(text)))


def comparison(found: Comparison) -> RenderableType:
    """The comparison for a terminal; it fits 80 columns."""
    head = Text.assemble((printable(found.second), "bold"), " beside ", (printable(found.first), "bold"))
    *lines, verdict = (printable(line) for line in found.remarks)
    said = [*(Text(line) for line in lines), Text(verdict, style="bold")]
    return Group(head.append(f" on {printable(found.env)}"), *_grids([compared(found)]), Text(), *said)


def _grids(parts: Iterable[Section]) -> Iterable[RenderableType]:
    """The small tables, side by side where they fit."""
    line: list[Section] = []
    for part in parts:
        if line and sum(map(_width, line)) + len(line) * GAP + _width(part) > WIDTH:
            yield from _beside(line)
            line = []
        line.append(part)
    yield from _beside(line)


def _beside(line: list[Section]) -> Iterable[RenderableType]:
    if line:
        made = Table.grid(padding=(0, GAP, 0, 0))
        made.add_row(*map(_grid, line))
        yield Text()
        yield made


def _grid(section: Section) -> Table:
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for place, name in enumerate(section.columns):
        made.add_column(Text(printable(name)), justify="right" if place else "left", overflow="fold")
    for name, *cells in section.rows:
        made.add_row(Text(printable(name)), *map(Text, cells), style=_style(name, cells))
    return made


def _width(section: Section) -> int:
    """The columns of the terminal that a small table takes."""
    return sum(max(map(len, column)) + 1 for column in zip(section.columns, *section.rows, strict=True))


def _style(name: str, cells: list[str]) -> str:
    """Success stands out; what did not happen steps back."""
    return "bold" if name.startswith("success") else "dim" if cells[:1] == ["0"] else ""


def plain(report: Results) -> str:
    """The table as text, without colours."""
    file = StringIO()
    Console(file=file, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False).print(table(report))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def markdown(what: Results | Comparison) -> str:
    """The report or the comparison as GitHub's Markdown, as for a comment or a job's summary."""
    if isinstance(what, Results):
        head, parts = f"### {_cell(what.policy)} on {_cell(what.env)}", list(sections(what))
        lines = [_cell(line) for line in facts(what).splitlines()]
        told = [f"> **{_cell(line.strip())}**" for line in warnings(what)]
        blocks = ["  \n".join(lines), "  \n".join(told), *map(_markdown, parts)]
    else:
        head = f"### {_cell(what.second)} beside {_cell(what.first)} on {_cell(what.env)}"
        *said, verdict = map(_cell, what.remarks)
        blocks = [_markdown(compared(what)), "  \n".join([*said, f"**{verdict}**"])]
    return "\n\n".join(filter(None, [head, *blocks])) + "\n"


def _markdown(section: Section) -> str:
    marks = (":---", *["---:"] * (len(section.columns) - 1))
    rows = [section.columns, marks, *section.rows]
    return "\n".join(f"| {' | '.join(cells if cells is marks else map(_cell, cells))} |" for cells in rows)


def _cell(text: str) -> str:
    """A text in which nothing is Markdown or HTML."""
    plainly = " ".join(printable(text).split())
    return "".join(f"\\{mark}" if mark in "\\|`*_<>[]#~&" else mark for mark in plainly)


def as_json(report: Results) -> dict[str, Any]:
    """The report as plain JSON; what nothing tells is null.

    `success` and `mean_return` are {mean, lower, upper, n}; `pass_hat` and `pass_at` go from k to a share; `violations`
    from each house rule to a count; `by_kind` and `by_difficulty` from a name to the figures of that group.
    """
    some = range(report.measured and report.trials)
    return {
        "env": report.env,
        "policy": report.policy,
        "arguments": msgspec.json.decode(msgspec.json.encode(report.arguments)),
        "planned": report.planned,
        **_figures(report),
        "pass_hat": {str(k): report.pass_hat(k) for k in ks(len(some))},
        "pass_at": {str(k): report.pass_at(k) for k in ks(len(some))},
        "terms": report.terms if some else {},
        "outcomes": dict(report.outcomes),
        "by_difficulty": _grouped(report.by_difficulty),
        "by_kind": _grouped(report.by_kind),
        "tokens_in": report.tokens_in,
        "tokens_out": report.tokens_out,
        "cost": report.cost,
        "seconds": report.seconds,
        "latency": {"median": report.latency_median, "p95": report.latency_p95},
        "worst": [{"scene": trace.scene, "trial": trace.trial, "return": trace.total} for trace in report.worst],
        "not_measured": [failed._asdict() for failed in report.not_measured],
        "interrupted": report.interrupted,
        "notes": list(report.notes),
    }


def _grouped(groups: Mapping[str, Figures]) -> dict[str, Any]:
    return {name: _figures(figures) for name, figures in groups.items()}


def _figures(figures: Figures) -> dict[str, Any]:
    some = figures.measured > 0
    return {
        "measured": figures.measured,
        "scenes": len(figures.scenes),
        "trials": figures.trials,
        "success": _interval(figures.success) if some else None,
        "mean_return": _interval(figures.mean_return) if some else None,
        "turns": figures.turns if some else None,
        "violations": {**dict.fromkeys(figures.rules or (), 0), **figures.violations},
        "episodes_with_violations": figures.episodes_with_violations,
        "malformed": figures.malformed,
        "refused": figures.refused,
    }


def _interval(interval: Interval) -> dict[str, float]:
    return interval._asdict()


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON: pairs are (first, second), differences the second less the first."""
    return {
        "env": found.env,
        "first": found.first,
        "second": found.second,
        "scenes": found.scenes,
        "episodes": found.episodes,
        "left_out": found.left_out,
        "success": list(found.success),
        "mean_return": list(found.mean_return),
        "success_difference": _interval(found.success_difference),
        "return_difference": _interval(found.return_difference),
        "better": found.better,
        "worse": found.worse,
        "p_value": found.p_value,
        "verdict": found.verdict,
    }

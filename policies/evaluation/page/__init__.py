"""The report as one HTML page that needs nothing beside itself: the figures, and the conversations to read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ...trace import Trace
from ..results import Results
from .choose import chosen
from .summary import name_of, summary
from .talks import embedded

LIMIT = 300
"""How many conversations a page holds at most, unless told otherwise."""


def write_page(path: Path | str, report: Results, traces: Iterable[Trace], limit: int = LIMIT) -> None:
    """Write the page; of more traces than the limit, the worst and a sample of the rest, and the page says so."""
    kept, total = chosen(traces, limit)
    Path(path).write_text(page(report, kept, total), encoding="utf-8")


def page(report: Results, traces: Iterable[Trace], total: int | None = None) -> str:
    """The page with these conversations, out of `total`."""
    kept = list(traces)
    script = _asset("script.js")
    return Template(_asset("template.html")).substitute(
        title=escape(f"{name_of(report.policy)} on {name_of(report.env)}"),
        # Nothing is fetched, and no script runs but our own, whatever a conversation holds.
        allowed=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        style=_asset("style.css"),
        summary=summary(report),
        shown=_shown(kept, len(kept) if total is None else total),
        data=embedded(kept),
        script=script,
    )


def _shown(kept: Sequence[Trace], total: int) -> str:
    if len(kept) >= total:
        return f"All {total:,} conversations are in this page." if total != 1 else "One conversation is in this page."
    return f"{len(kept):,} of {total:,} conversations are in this page: the worst, and a sample of the rest."


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

"""What a report and a comparison say, as small tables of words: the terminal, Markdown and the page show the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .comparison import Comparison
from .figures import Figures
from .numbers import between, duration, points, signed
from .results import Results

REASONS = 3
"""How many reasons are told why episodes were not measured."""
LONG = 300
"""Characters of the arguments that are shown."""
HALF = 800
"""Characters of a reason that are shown from its start, and from its end, where the remedy stands."""
NONE = "-"
"""Stands for a figure of nothing."""


class Section(NamedTuple):
    """A small table: its columns, the first of which names the rows."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def facts(report: Results) -> str:
    """What was played, in a line."""
    scenes = len({scene for scene, _ in report.planned_keys})
    parts = [f"{name}={_word(value)}" for name, value in report.arguments.items()]
    trials = f", {report.planned / scenes:.3g} trials each" if scenes and report.planned > scenes else ""
    seconds = f", in {duration(report.seconds)}" if report.seconds else ""
    size = f"{report.measured:,} of {report.planned:,} episodes measured: {scenes:,} scenes{trials}{seconds}"
    return "\n".join(filter(None, ("  ".join(parts)[:LONG], size)))


def warnings(report: Results) -> Iterator[str]:
    """What a reader must not miss: an interruption, and episodes that were not measured."""
    if report.interrupted:
        yield "Interrupted: these are the figures of what was played."
    yield from (f"Note: {note}" for note in report.notes)
    if report.not_measured:
        yield f"{len(report.not_measured):,} of {report.planned:,} episodes were not measured, and are in no mean:"
    found = reasons(report)
    yield from (f"  {each}" for each in found[:REASONS])
    if len(found) > REASONS:
        yield f"  and {len(found) - REASONS:,} other reasons"


def reasons(report: Results) -> list[str]:
    """Why episodes were not measured, and how many each time, the most frequent first.

    What differs only in the scene's name and in numbers is one reason, of which one example is told.
    """
    groups: dict[str, list[str]] = {}
    for failed in report.not_measured:
        groups.setdefault(re.sub(r"\d+(?:[.,]\d+)*", "#", failed.why.replace(failed.scene, "")), []).append(failed.why)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return [f"{len(whys):,} x{', as in:' * (len({*whys}) > 1)} {_whole(whys[0])}" for whys in ordered]


def _whole(why: str) -> str:
    """A reason; of a huge one the start and the end."""
    more = len(why) - 2 * HALF
    return why if more <= 0 else f"{why[:HALF]}... (and {more:,} more characters) ...{why[-HALF:]}"


def sections(report: Results) -> Iterator[Section]:
    """The figures, the most important first."""
    if report.measured:
        yield _headline(report)
        if report.trials > 1:
            yield _passes(report)
        yield _terms(report)
        yield _outcomes(report)
        yield _conduct(report)
        if len(report.by_difficulty) > 1:
            yield _groups("difficulty", report.by_difficulty)
        if len(report.by_kind) > 1:
            yield _groups("kind", report.by_kind)
    if any(trace.total < 1 for trace in report.worst):
        yield _worst(report)
    if report.tokens_in is not None or report.tokens_out is not None:
        yield _cost(report)


def compared(found: Comparison) -> Section:
    """Both policies, and the second less the first."""
    (a, b), (x, y) = found.success, found.mean_return
    shares, returns = found.success_difference, found.return_difference
    return Section(
        ("", found.first, found.second, "difference", "95 % interval"),
        [
            ("success, %", f"{a * 100:.1f}", f"{b * 100:.1f}", signed(shares.mean * 100, 1), points(shares)),
            ("return", signed(x), signed(y), signed(returns.mean), between(returns)),
        ],
    )


def ks(trials: int) -> list[int]:
    """The k of pass^k that are shown: all of a few, of many the doublings and the last."""
    return [*range(1, trials + 1)] if trials <= 5 else sorted({trials, *(2**i for i in range(trials.bit_length()))})


def _headline(report: Results) -> Section:
    success, mean = report.success, report.mean_return
    rows = [
        ("success", f"{success.mean:.1%}", f"{success.lower:.1%} to {success.upper:.1%}"),
        ("return", signed(mean.mean), between(mean)),
        ("turns", f"{report.turns:.1f}", ""),
    ]
    median, late = report.latency_median, report.latency_p95
    if median is not None and late is not None and late > 0.0005:
        rows.append(("seconds a turn", f"{median:.3g}", f"95 % within {late:.3g}"))
    return Section(("", "mean", "95 % interval"), rows)


def _worst(report: Results) -> Section:
    """The conversations to read first."""
    rows = [
        (trace.scene, str(trace.trial), signed(trace.total), trace.outcome.replace("_", " "), f"{len(trace.steps):,}")
        for trace in report.worst
    ]
    return Section(("the worst", "trial", "return", "ended", "turns"), rows)


def _passes(report: Results) -> Section:
    rows = [
        (f"k = {k}", f"{report.pass_hat(k):.1%}", f"{report.pass_at(k):.1%}", f"{report.short_of(k):,}")
        for k in ks(report.trials)
    ]
    if any(report.short_of(k) for k in ks(report.trials)):
        return Section(("of k trials", "all succeed (pass^k)", "one does (pass@k)", "scenes left out"), rows)
    return Section(("of k trials", "all succeed (pass^k)", "one does (pass@k)"), [row[:3] for row in rows])


def _terms(report: Results) -> Section:
    return Section(("reward term", "mean"), [(name, signed(value)) for name, value in report.terms.items()])


def _conduct(report: Results) -> Section:
    inside = Counter(rule for result in report.counted for rule in set(result.violations))
    rows = [(rule, f"{often:,}", f"{inside[rule]:,}") for rule, often in report.violations.most_common()]
    any_rule = ("any house rule", f"{report.violations.total():,}", f"{report.episodes_with_violations:,}")
    faults = [
        (name, f"{sum(counts):,}", f"{sum(map(bool, counts)):,}")
        for name, counts in (
            ("malformed actions", [result.malformed for result in report.counted]),
            ("refused actions", [result.refused for result in report.counted]),
        )
    ]
    return Section(("broken", "times", "episodes"), [*rows, any_rule, *faults])


def _outcomes(report: Results) -> Section:
    rows = [
        (outcome.replace("_", " "), f"{often:,}", f"{often / report.measured:.1%}")
        for outcome, often in report.outcomes.items()
    ]
    return Section(("outcome", "episodes", "share"), rows)


def _groups(what: str, groups: Mapping[str, Figures]) -> Section:
    columns = (what, "episodes", "success", "interval", "return", "turns", "broken")
    return Section(columns, [(name, *_group(figures)) for name, figures in groups.items()])


def _group(figures: Figures) -> tuple[str, ...]:
    if not figures.measured:
        return ("0", *[NONE] * 5)
    share, low, high, size = figures.success
    return (
        f"{size:,}",
        f"{share:.1%}",
        f"{low:.0%} to {high:.0%}",
        signed(figures.mean_return.mean, 2),
        f"{figures.turns:.1f}",
        f"{figures.violations.total():,}",
    )


def _cost(report: Results) -> Section:
    rows = [
        (
            name,
            NONE if count is None else f"{count:,}",
            NONE if count is None else f"{count / len(report.results):,.0f}",
        )
        for name, count in (("tokens in", report.tokens_in), ("tokens out", report.tokens_out))
    ]
    if (cost := report.cost) is not None:
        rows.append(("cost", f"{cost:,.4g}", f"{cost / len(report.results):,.3g}"))
    return Section(("usage", "total", "an episode"), rows)


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

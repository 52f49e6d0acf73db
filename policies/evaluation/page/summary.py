"""The figures of a report as HTML: numbers, and intervals drawn to scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from urllib.parse import quote

from ....envs.blocks import printable
from ..figures import Figures
from ..numbers import duration
from ..numbers import signed as plainly
from ..results import Results
from ..sections import facts, ks, warnings
from ..statistics import Interval


def summary(report: Results) -> str:
    """Everything above the conversations."""
    return "\n".join([_head(report), *_figures(report)])


def name_of(text: str) -> str:
    """A name in what can be shown."""
    return printable(text)


def _head(report: Results) -> str:
    arguments, _, size = facts(report).rpartition("\n")
    told = "".join(f"<p>{_html(line.strip())}</p>" for line in warnings(report))
    return (
        f"<h1>{_html(report.policy)} <span>on {_html(report.env)}</span></h1>"
        f'<p class="quiet">{_html(size)}{"<br>" if arguments else ""}<code>{_html(arguments)}</code></p>'
        + (f'<div class="warning" role="alert">{told}</div>' if told else "")
    )


def _figures(report: Results) -> Iterator[str]:
    if not report.measured:
        return
    cards = [
        _card(
            "Success", f"{report.success.mean:.1%}", _span_of(report.success, 0, 1, "success"), _share(report.success)
        ),
        _card(
            "Return", signed(report.mean_return.mean), _span_of(report.mean_return, -1, 1), _range(report.mean_return)
        ),
    ]
    if report.trials > 1:
        cards.append(_passes(report))
    yield f'<div class="cards">{"".join(cards)}{_small(report)}</div>'
    yield f'<div class="columns">{"".join(_columns(report))}</div>'


def _columns(report: Results) -> Iterator[str]:
    if len(report.by_difficulty) > 1:
        yield _groups("difficulty", report.by_difficulty)
    if len(report.by_kind) > 1:
        yield _groups("kind", report.by_kind)
    outcomes = {name.replace("_", " "): often for name, often in report.outcomes.items()}
    yield _tally("How they ended", "outcome", outcomes, report.measured)
    inside = {rule: sum(rule in one.violations for one in report.counted) for rule in report.violations}
    if inside:
        ordered = dict(sorted(inside.items(), key=lambda item: -item[1]))
        yield _tally("House rules broken", "rule", ordered, report.measured)
    else:
        yield '<section><h2>House rules broken</h2><p class="quiet">None, in any episode.</p></section>'
    yield _terms(report.terms)


def _card(title: str, value: str, drawing: str, note: str) -> str:
    shown = f'<p class="figure">{value}</p>{drawing}<p class="quiet">{note}</p>'
    return f'<section class="card"><h2>{title}</h2>{shown}</section>'


def _share(interval: Interval) -> str:
    return f"95 % interval {interval.lower:.1%} to {interval.upper:.1%}"


def _range(interval: Interval) -> str:
    return f"95 % interval {signed(interval.lower)} to {signed(interval.upper)}"


def _span_of(interval: Interval, least: float, most: float, style: str = "plain") -> str:
    """An interval on its scale; the numbers beside it say the same, so that it is hidden from readers of the page."""
    low, mean, high = (round((value - least) / (most - least) * 100, 2) for value in
                       (interval.lower, interval.mean, interval.upper))  # fmt: skip
    middle = '<i style="left:50%" class="tick"></i>'
    return (
        f'<div class="scale {style}" aria-hidden="true">{middle}'
        f'<i class="reach" style="left:{low}%;width:{max(round(high - low, 2), 0.4)}%"></i>'
        f'<i class="dot" style="left:{mean}%"></i></div>'
    )


def _passes(report: Results) -> str:
    rows = "".join(
        f'<tr><th scope="row">k = {k}</th><td>{report.pass_hat(k):.1%}</td><td>{report.pass_at(k):.1%}</td></tr>'
        for k in ks(report.trials)
    )
    most = report.trials
    left = report.short_of(most)
    note = f'<p class="quiet">{left:,} scenes have fewer than {most} trials.</p>' if left else ""
    return (
        '<section class="card"><h2>Of k trials of a scene</h2><table><thead><tr><td></td><th scope="col">all succeed'
        f'</th><th scope="col">one does</th></tr></thead><tbody>{rows}</tbody></table>{note}</section>'
    )


def _small(report: Results) -> str:
    """What is worth a line each."""
    lines = {
        "Turns, mean": f"{report.turns:.1f}",
        "Malformed actions": f"{report.malformed:,}",
        "Refused actions": f"{report.refused:,}",
        "Broken house rules": f"{report.violations.total():,} in {report.episodes_with_violations:,} episodes",
    }
    median, late = report.latency_median, report.latency_p95
    if median is not None and late is not None and late > 0.0005:
        lines["Seconds a turn"] = f"{median:.3g} (95 % within {late:.3g})"
    if report.seconds:
        lines["The run took"] = duration(report.seconds)
    for name, count in (("Tokens in", report.tokens_in), ("Tokens out", report.tokens_out)):
        if count is not None:
            lines[name] = f"{count:,}"
    if (cost := report.cost) is not None:
        lines["Cost"] = f"{cost:,.4g}"
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in lines.items())
    return f'<section class="card"><h2>In passing</h2><dl>{rows}</dl></section>'


def _groups(what: str, groups: Mapping[str, Figures]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_filter(what, name)}</th>{_group(each)}</tr>' for name, each in groups.items()
    )
    heads = "".join(
        f'<th scope="col"{" class=wide" if name == "95 % interval" else ""}>{name}</th>'
        for name in ("episodes", "success", "95 % interval", "return", "rules broken")
    )
    return (
        f'<section class="whole"><h2>By {what}</h2><div class="scroll"><table><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _group(figures: Figures) -> str:
    if not figures.measured:
        return '<td>0</td><td colspan="4" class="quiet">not measured</td>'
    success = figures.success
    title = f"{success.lower:.1%} to {success.upper:.1%}"
    return (
        f'<td>{success.n:,}</td><td>{success.mean:.1%}</td><td class="wide" title="{title}">'
        f'<span class="unseen">{title}</span>{_span_of(success, 0, 1, "success")}</td>'
        f"<td>{signed(figures.mean_return.mean, 2)}</td><td>{figures.violations.total():,}</td>"
    )


def _tally(title: str, what: str, counts: Mapping[str, int], whole: int) -> str:
    """Names with counts, each with a bar of its share of the whole."""
    rows = "".join(
        f'<tr><th scope="row">{_filter(what, name)}</th><td>{often:,}</td><td>{often / whole:.1%}</td>'
        f'<td class="wide"><div class="scale share" aria-hidden="true"><i class="reach" style="left:0;'
        f'width:{round(often / whole * 100, 2)}%"></i></div></td></tr>'
        for name, often in counts.items()
    )
    heads = '<tr><td></td><th scope="col">episodes</th><th scope="col">share</th><td class="wide"></td></tr>'
    return f"<section><h2>{title}</h2><table><thead>{heads}</thead><tbody>{rows}</tbody></table></section>"


def _terms(terms: Mapping[str, float]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_html(name)}</th><td>{signed(value)}</td></tr>' for name, value in terms.items()
    )
    heads = '<tr><td></td><th scope="col">mean</th></tr>'
    table = f"<table><thead>{heads}</thead><tbody>{rows}</tbody></table>"
    return f"<section><h2>What the return is made of</h2>{table}</section>"


def _filter(what: str, name: str) -> str:
    """A name that shows the conversations it stands for."""
    return f'<a href="#?{what}={quote(name, safe="")}">{_html(name)}</a>'


def signed(value: float, places: int = 3) -> str:
    """A number with its sign, in type."""
    return plainly(value, places).replace("-", "\N{MINUS SIGN}")


def _html(text: str) -> str:
    return escape(printable(text))

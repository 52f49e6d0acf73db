"""Learning curves as a picture: success on held-out scenes over the processor time that it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from .compared import Compared
from .folder import Folder
from .plan import EXPERT, RANDOM
from .scores import missing
from .side_by_side import Job

FILE = "curves.png"
SUCCESS = "held_out_success"
"""What a trainer's metrics call it."""


class Curve(NamedTuple):
    """A cell's: for each evaluation, all its seeds together."""

    name: str
    seconds: list[float]
    """Of processor time, what it begins from included; the mean over the seeds."""
    mean: list[float]
    low: list[float]
    high: list[float]


def curve(name: str, jobs: Sequence[Job]) -> Curve | None:
    """The curve of a cell's runs at the steps at which all of them were measured; `None` where there are none."""
    lines = [{line["step"]: line for line in Folder(job.folder).metrics() if SUCCESS in line} for job in jobs]
    steps = sorted(set.intersection(*({*each} for each in lines))) if lines else []
    if not steps:
        return None
    begun = [_spent(job.start) for job in jobs]
    shares = [[each[step][SUCCESS] for each in lines] for step in steps]
    return Curve(
        name,
        [fmean(each[step]["cpu_seconds"] + first for each, first in zip(lines, begun, strict=True)) for step in steps],
        [fmean(each) for each in shares],
        [min(each) for each in shares],
        [max(each) for each in shares],
    )


def _spent(job: Job | None) -> float:
    """The processor time that the training of a run took, and of what it began from."""
    if job is None:
        return 0.0
    told = [line.get("cpu_seconds", 0.0) for line in Folder(job.folder).metrics()]
    return max(told, default=0.0) + _spent(job.start)


def draw(found: Compared, output: Path) -> Path | None:
    """Write the picture; `None` where nothing was measured on the way."""
    made = [curve(cell.name, cell.done) for cell in found.cells if cell.cell.trainer and cell.done]
    curves = sorted((each for each in made if each), key=lambda each: -each.mean[-1])
    if not curves:
        return None
    figure, axes = _figure()
    colours = _colours([cell.name for cell in found.cells if cell.name not in (RANDOM, EXPERT)])
    for each in curves:
        label = f"{each.name}  {each.mean[-1]:.0%}"
        axes.plot(
            each.seconds, each.mean, color=colours[each.name], linewidth=1.8, marker="o", markersize=3, label=label
        )
        if each.low != each.high:
            axes.fill_between(each.seconds, each.low, each.high, color=colours[each.name], alpha=0.15, linewidth=0)
    for name, style in ((EXPERT, (0, (5, 3))), (RANDOM, (0, (1, 2)))):
        success = found.cell(name).success
        if success:
            axes.axhline(success.mean, color="0.35", linewidth=1, linestyle=style, label=f"{name}  {success.mean:.0%}")
    _label(axes, found)
    _ticks(axes, min(each.seconds[0] for each in curves), max(each.seconds[-1] for each in curves))
    file = output / FILE
    part = output / f"{FILE}.part"
    figure.savefig(part, format="png", metadata={"Software": None})
    part.replace(file)
    return file


def _label(axes: Any, found: Compared) -> None:
    told = ", ".join(f"{name}={value}" for name, value in found.plan.arguments.items())
    axes.set_title(f"{found.plan.env}{f' ({told})' * bool(told)}", loc="left", fontsize=11)
    seeds = "" if found.plan.seeds == 1 else f"; mean and range of {found.plan.seeds} seeds"
    axes.set_xlabel(f"CPU seconds of training, those of what a cell begins from included{seeds}")
    axes.set_ylabel(f"success on {found.plan.held_out:,} held-out scenes of the train split")
    axes.legend(
        title="in the end", loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, alignment="left"
    )


def _ticks(axes: Any, first: float, last: float) -> None:
    """Seconds on a scale of ratios, as what one trainer needs may be a hundredth of what another does."""
    low, high = max(0.5, first / 1.2), max(2.0, last * 1.2)
    ticks = [tick for power in range(8) for tick in (10**power, 2 * 10**power, 5 * 10**power) if low <= tick <= high]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{each:,}" for each in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)


def _figure() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ModuleNotFoundError:
        raise missing("matplotlib") from None
    figure = Figure(figsize=(9.6, 5.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(names: Sequence[str]) -> dict[str, Any]:
    """A colour for each cell, the same for the same place among them."""
    from matplotlib import colormaps

    chosen = colormaps["tab10" if len(names) <= 10 else "tab20"]
    return {name: chosen(place % chosen.N) for place, name in enumerate(names)}

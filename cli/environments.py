"""Commands about environments: what there are, and whether they are sound."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import app
from .given import env_id, ids, print_json

if TYPE_CHECKING:
    from ..policies.audit import Report, Size


@app.command()
def envs() -> None:
    """List the environments."""
    for name in ids():
        typer.echo(name)


@app.command()
def audit(
    env: Annotated[str | None, typer.Argument(help="The id of an environment, e.g. StateSet/Echo-v0.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Audit every environment of this package.")] = False,
    scenes: Annotated[
        int | None,
        typer.Option(
            min=1, help="The expert's scenes of each split and difficulty; of each kind with --check reachable."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples: seconds, not minutes.")] = False,
    check: Annotated[list[str] | None, typer.Option(help="Only this check; may be given again.")] = None,
    difficulty: Annotated[list[str] | None, typer.Option(help="Only this difficulty; may be given again.")] = None,
    cap: Annotated[int | None, typer.Option(min=1, help="States of a scene at which exploring it stops.")] = None,
    fuzz: Annotated[int | None, typer.Option(min=1, help="Only fuzz, with so many actions.")] = None,
    seed: Annotated[int, typer.Option(help="What the fuzzing draws from.")] = 0,
    store: Annotated[Path | None, typer.Option(exists=True, help="A store of your own (JSON).")] = None,
    scene: Annotated[Path | None, typer.Option(exists=True, help="A scene of your own (JSON), the only one.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default as many as there are cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
) -> None:
    """Certify that an environment is sound; exits with 1 where something is wrong."""
    from ..envs.scenes import DIFFICULTIES
    from ..policies import audit as auditing
    from ..policies.audit.show import as_json as plain

    if every == (env is not None):
        raise typer.BadParameter("name one environment, or give --all.")
    if every and (store or scene):
        raise typer.BadParameter("--store and --scene go with one environment, not with --all.")
    if fuzz and check:
        raise typer.BadParameter("--fuzz is a check of its own: leave out --check.")
    if unknown := sorted({*(check or ())} - {*auditing.CHECKS}):
        raise typer.BadParameter(f"--check {unknown[0]!r} is not known: choose from {', '.join(auditing.CHECKS)}.")
    if unknown := sorted({*(difficulty or ())} - {*DIFFICULTIES}):
        raise typer.BadParameter(f"--difficulty {unknown[0]!r} is not known: choose from {', '.join(DIFFICULTIES)}.")
    size = auditing.QUICK if quick else auditing.Size()
    size = size._replace(scenes=scenes or size.scenes, fuzz=fuzz or size.fuzz, deep=min(size.deep, scenes or size.deep))
    explored = (scenes if "reachable" in (check or ()) else None) or min(size.reachable, scenes or size.reachable)
    size = size._replace(reachable=explored, cap=cap or size.cap)
    checks = ("fuzz",) if fuzz else tuple(check) if check else None
    only = tuple(each for each in DIFFICULTIES if each in (difficulty or DIFFICULTIES))
    arguments = {"store": str(store)} if store else {}
    names = ids() if every else [env_id(str(env))]
    reports = [_audited(name, size, checks, arguments, scene, seed, jobs, as_json, only) for name in names]
    if as_json:
        print_json([plain(report) for report in reports] if every else plain(reports[0]))
    raise typer.Exit(not all(report.passed for report in reports))


def _audited(
    name: str,
    size: Size,
    checks: tuple[str, ...] | None,
    arguments: dict[str, Any],
    scene: Path | None,
    seed: int,
    jobs: int | None,
    quiet: bool,
    only: tuple[str, ...],
) -> Report:
    """Audit one environment, with a progress bar and a table where a person looks on."""
    import json

    from rich.console import Console

    from ..policies import audit as auditing
    from ..policies import registry
    from ..policies.audit.show import show
    from ..policies.progress import bar

    try:
        own = json.loads(scene.read_text(encoding="utf-8")) if scene else None
    except ValueError as error:
        raise ValueError(f"{scene} is no JSON in UTF-8: {error}") from None
    started = time.monotonic()
    console = Console(quiet=quiet)
    with bar(console) as tick:
        report = auditing.audit(registry.kind_of(name), size, checks, arguments, own, seed, jobs, tick, only)
    show(report, console, time.monotonic() - started)
    return report


@app.command()
def faults() -> None:
    """Audit the audit: planted faults, each of which it must catch."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..policies.audit import faults as planted
    from ..policies.progress import bar

    table = Table(title="Planted faults", title_justify="left")
    for column in ("", "fault", "caught by", "what the audit says"):
        table.add_column(column)
    console = Console()
    results = []
    with bar(console) as tick:
        for done, fault in enumerate(planted.FAULTS):
            tick(fault.__name__, done, len(planted.FAULTS))
            results.append(planted.caught(fault))
    for found in results:
        sign = "[green]✓[/]" if found.caught else "[red]✗[/]"
        table.add_row(sign, found.fault, found.check, escape(found.what[:200]))
    console.print(table)
    raise typer.Exit(not all(found.caught for found in results))

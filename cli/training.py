"""Commands about trainers: train a policy, go on with a run, and what trainers there are."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin

import typer

from . import app
from .given import env_id, print_json, settings
from .playing import DESK

if TYPE_CHECKING:
    from ..trainers import Event, Trainer

SECONDS = 10.0
"""Between two lines of a log."""


@app.command()
def trainers(as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False) -> None:
    """List the trainers, those of other packages too."""
    from .. import trainers as training

    known = {name: training.about(name) for name in training.names()}
    if as_json:
        print_json(known)
        return
    width = max(map(len, known))
    for name, about in known.items():
        typer.echo(f"{name:{width}}  {about}")


@app.command()
def train(
    algo: Annotated[str | None, typer.Argument(help="A trainer's name; see `trainers`.")] = None,
    env: Annotated[str | None, typer.Option(help=f"The id of an environment; by default {DESK}.")] = None,
    config: Annotated[Path | None, typer.Option(help="A file of the trainer's settings, YAML or JSON.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="name=value of the trainer, after the file's, or of the environment (env.NAME=value)."
        ),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="The folder of a run to go on with.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the settings, check them, train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
) -> None:
    """Train a policy. Ctrl-C ends it after the step under way, and --resume goes on from there.

    Exits with 0 where the training came to its end, 130 where it was interrupted.
    """
    from rich.console import Console

    from ..policies.progress import bar

    trainer = _resumed(algo, env, config, set_, resume) if resume else _new(algo, env, config, set_)
    if dry_run:
        _tell(trainer, resume is not None, as_json)
        return
    console = Console(stderr=True, quiet=as_json or not trainer.folder.writes)
    lines = () if console.is_terminal or console.quiet else (_Lines(),)
    with bar(console) as tick:
        trainer.train(resume=resume is not None, callbacks=lines, progress=tick).close()
    if trainer.folder.writes:
        _end(trainer, as_json)
    raise typer.Exit(130 if trainer.summary and trainer.summary.stopped == "interrupted" else 0)


class _Lines:
    """For logs, where a bar is not shown: a line of metrics now and then."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        if event.metrics and (time.monotonic() > self._next or event.step == event.steps):
            self._next = time.monotonic() + SECONDS
            told = ", ".join(f"{name} {value:.3f}" for name, value in event.metrics.items())
            typer.echo(f"step {event.step}/{event.steps}: {told}", err=True)


def _new(algo: str | None, env: str | None, config: Path | None, pairs: list[str] | None) -> Trainer[Any]:
    from .. import trainers as training

    if algo is None:
        raise typer.BadParameter(f"name a trainer ({', '.join(training.names())}), or give --resume.")
    given = training.read(config) if config else {}
    kind = training.find(algo).config_class
    played = env_id(env or DESK)
    return training.make(algo, played, **_merged(given, _changes(kind, played, pairs)))


def _resumed(
    algo: str | None, env: str | None, config: Path | None, pairs: list[str] | None, folder: Path
) -> Trainer[Any]:
    from .. import trainers as training

    if config:
        raise typer.BadParameter("--config goes with a new run: a resumed one has its own, which --set changes.")
    record = training.Folder(folder).record()
    for what, given, begun in (("ALGO", algo, record.trainer), ("--env", env and env_id(env), record.env_id)):
        if given and given != begun:
            raise typer.BadParameter(f"{what} {given} is not that of {folder}, which is {begun}: leave it out.")
    kind = training.find(record.trainer).config_class
    return training.resume(folder, **_changes(kind, record.env_id, pairs))


def _changes(kind: type[Any], played: str, pairs: list[str] | None) -> dict[str, Any]:
    """What `--set` gives, as the fields of a config want it; what only the environment knows is its argument."""
    from ..policies.registry import kind_of
    from ..policies.runs import taken
    from ..trainers.settings import bare, fields

    known = {name: bare(each.type) for name, each in fields(kind).items()}
    arguments = {*taken(kind_of(played))} - {*known}
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        head, dot, inner = ("env", ".", name) if name in arguments else name.partition(".")
        if dot:
            value: Any = settings([f"{inner}{equals}{text}"], f"--set {pair}:")
        elif known.get(name) is str and equals:
            value = text
        else:
            value = settings([pair], "--set")[name]
            if get_origin(known.get(name)) in (tuple, list) and not isinstance(value, list):
                value = [value]
        found = _merged(found, {head: value})
    return found


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the second first; mappings such as `env` are merged by their own names."""
    both = {name: {**under[name], **over[name]} for name in over if _mappings(under.get(name), over[name])}
    return {**under, **over, **both}


def _mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _check(trainer: Trainer[Any], resumes: bool) -> None:
    """Raise what can be known to go wrong."""
    trainer.check()
    if not resumes:
        trainer.folder.check()


def _tell(trainer: Trainer[Any], resumes: bool, as_json: bool) -> None:
    """Show the settings, check what can be checked, and say what would be done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..trainers.settings import described

    if as_json:
        _check(trainer, resumes)
        print_json(_plan(trainer, resumes))
        return
    console = Console()
    table = Table(title=f"{trainer.name} on {trainer.env_id}", title_justify="left")
    for column in ("setting", "value", "what it is"):
        table.add_column(column, overflow="fold")
    for each in described(type(trainer.config)):
        value = getattr(trainer.config, each.name)
        cells = (each.name, repr(value), f"{each.doc} ({each.type})")
        table.add_row(*map(escape, cells), style="" if value == each.default else "bold")
    console.print(table)
    _check(trainer, resumes)
    begins = f"Would go on after step {_step(trainer)} in" if resumes else "Would write into"
    begins += "" if trainer.config.output else " a new folder, such as"
    typer.echo(f"{begins} {trainer.folder.path}:")
    for name, about in trainer.files.items():
        typer.echo(f"  {name:16} {about}")
    typer.echo("Nothing was trained.")


def _plan(trainer: Trainer[Any], resumes: bool) -> dict[str, Any]:
    """What would be done, as JSON."""
    from ..trainers.base import plain
    from ..trainers.settings import described

    values = plain(trainer.config)
    config = {each.name: {"value": values[each.name], "doc": each.doc} for each in described(type(trainer.config))}
    about = {"trainer": trainer.name, "env_id": trainer.env_id, "folder": str(trainer.folder.path)}
    return {**about, "after": _step(trainer) if resumes else None, "config": config, "files": {**trainer.files}}


def _step(trainer: Trainer[Any]) -> int:
    """The step that would be gone on after."""
    return trainer.folder.last()[0]


def _end(trainer: Trainer[Any], as_json: bool) -> None:
    """Tell what came of it, and how to go on."""
    import msgspec

    summary, path = trainer.summary, trainer.folder.path
    if as_json:
        about = {"trainer": trainer.name, "env_id": trainer.env_id, "folder": str(path)}
        print_json(about | {"summary": msgspec.to_builtins(summary)})
        return
    typer.echo(summary)
    typer.echo(f"The trained model: {trainer.folder.final}")
    if summary and summary.stopped:
        typer.echo(f"To go on: stateset-gym train --resume {shlex.quote(str(path))}")

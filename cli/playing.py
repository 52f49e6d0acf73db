"""Commands about policies: play, measure, compare, and what to do with the traces."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import app
from .given import env_id, print_json, scenes, settings

if TYPE_CHECKING:
    from ..policies.evaluation import Report
    from ..policies.trace import Trace

DESK = "StateSet/CustomerService-v0"
PolicyName = Annotated[str, typer.Option(help="A name, openai:MODEL, anthropic:MODEL, hf:PATH or module:factory.")]
EnvName = Annotated[str, typer.Option(help="The id of an environment.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="name=value of the environment, e.g. difficulty=hard; may repeat.")
]
Options = Annotated[list[str] | None, typer.Option(help="name=value that the policy is made with; may be given again.")]


@app.command()
def evaluate(
    policy: PolicyName,
    env: EnvName = DESK,
    set_: Settings = None,
    option: Options = None,
    scenes_: Annotated[
        str,
        typer.Option("--scenes", help="How many; or numbers or names parted by commas; or a JSON file of your own."),
    ] = "100",
    trials: Annotated[int, typer.Option(min=1, help="How often each scene is played.")] = 1,
    against: Annotated[str | None, typer.Option(help="A second policy, compared on the same scenes.")] = None,
    against_option: Annotated[
        list[str] | None, typer.Option(help="name=value that the second policy is made with; may be given again.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, or actors on Ray.")] = None,
    ray: Annotated[str | None, typer.Option(help="The address of a Ray cluster; `local` starts one here.")] = None,
    parallel: Annotated[int | None, typer.Option(min=1, help="Conversations at once in a process.")] = None,
    traces: Annotated[Path | None, typer.Option(help="Where the traces go; by default a new file in runs/.")] = None,
    resume: Annotated[Path | None, typer.Option(exists=True, help="A file of traces to go on with.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Lose what --traces holds.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the figures and the conversations.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
    price: Annotated[tuple[float, float] | None, typer.Option(help="The cost of a million tokens, in and out.")] = None,
) -> None:
    """Measure a policy; every conversation is written as a trace. Ctrl-C reports what there is.

    Exits with 0 where every episode was measured, 1 where some were not, 130 where it was interrupted.
    """
    from rich.console import Console

    from ..policies import evaluation
    from ..policies.evaluation import show
    from ..policies.progress import bar

    if resume and (traces or overwrite or against):
        raise typer.BadParameter("--resume goes with none of --traces, --overwrite and --against.")
    if against_option and not against:
        raise typer.BadParameter("--against-option goes with --against.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it wants to know what was measured
    console = Console(quiet=as_json)
    arguments = settings(set_, "--set")
    plan = [(policy, settings(option, "--option"))]
    plan += [(against, settings(against_option, "--against-option"))] if against else []
    files = [resume or _file(traces, name, env, second=place > 0) for place, (name, _) in enumerate(plan)]
    pages = [path for path in (html, markdown) if path]
    _check(plan[1:], env_id(env), pages)
    reports: list[Report] = []
    for (name, options), file in zip(plan, files, strict=True):
        with bar(Console(stderr=True, quiet=as_json)) as tick:
            report = evaluation.evaluate(
                name,
                env_id(env),
                scenes=scenes(scenes_),
                trials=trials,
                workers=workers,
                ray=ray,
                parallel=parallel,
                traces=file,
                resume=resume is not None,
                overwrite=overwrite,
                progress=tick,
                partial=True,
                prices=price,
                options=options,
                **arguments,
            )
        reports.append(report)
        console.print(show.table(report))
        if file.exists():
            console.print(f"Traces: {file}", soft_wrap=True)
        if report.not_measured and file.exists():
            console.print(f"To play what is not measured: the same command with --resume {file}", soft_wrap=True)
        if report.interrupted:
            break
    _written(reports, html, markdown, files)
    if len(reports) == 2:
        console.print(show.comparison(evaluation.compare(*reports)))
    if as_json:
        print_json(_plain(reports))
    if any(report.interrupted for report in reports):
        raise typer.Exit(130)
    raise typer.Exit(any(report.not_measured for report in reports))


def _check(later: list[tuple[str, dict[str, Any]]], env: str, pages: list[Path]) -> None:
    """Find out before the first is played what would only show after it."""
    from ..policies import registry

    for path in pages:
        path.parent.mkdir(parents=True, exist_ok=True)
    for name, options in later:
        registry.make(name, env, **options).close()


def _file(traces: Path | None, policy: str, env: str, second: bool) -> Path:
    """Where the traces of a run go: the file that was named (with a second policy's beside it), or a new one."""
    word = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in policy).strip("-.")
    if traces is not None:
        return traces.with_stem(f"{traces.stem}-against-{word}") if second else traces
    now = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return Path("runs") / f"{now}-{env.rpartition('/')[2]}-{'against-' * second}{word}.jsonl"


def _written(reports: list[Report], html: Path | None, markdown: Path | None, files: list[Path]) -> None:
    """The page of each policy (a second one's beside the first's), and all in one text."""
    from ..policies import evaluation
    from ..policies.evaluation import show

    if markdown is not None:
        texts = [*map(show.markdown, reports)]
        if len(reports) == 2:
            texts.append(show.markdown(evaluation.compare(*reports)))
        markdown.write_text("\n".join(texts), encoding="utf-8")
    if html is not None:
        from ..policies.evaluation import page
        from ..policies.trace import read

        for place, (report, file) in enumerate(zip(reports, files, strict=False)):
            path = html.with_stem(f"{html.stem}-against") if place else html
            page.write_page(path, report, read(file))


def _plain(reports: list[Report]) -> Any:
    from ..policies import evaluation
    from ..policies.evaluation import show

    found = [*map(show.as_json, reports)]
    if len(found) == 1:
        return found[0]
    return {"reports": found, "comparison": show.comparison_as_json(evaluation.compare(*reports))}


@app.command()
def play(
    env: EnvName = DESK,
    scene: Annotated[str | None, typer.Option(help="A scene's name; by default the next of the stream.")] = None,
    seed: Annotated[int | None, typer.Option(help="What the stream of scenes begins with.")] = None,
    set_: Settings = None,
) -> None:
    """Play the agent yourself, in the terminal."""
    from ..policies import human

    human.play(env_id(env), scene, seed, **settings(set_, "--set"))


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(help="A scene's name, e.g. CustomerService-v0/test/hard/000123, or a file of traces.")
    ],
    policy: Annotated[str, typer.Option(help="Who plays, where a scene is named.")] = "expert",
    scene: Annotated[str | None, typer.Option(help="Of a file: the conversations about this scene.")] = None,
    worst: Annotated[int, typer.Option(min=1, help="Of a file: so many, those of the lowest return first.")] = 1,
) -> None:
    """Show a conversation."""
    from rich.console import Console

    from ..policies import transcript

    console, file = Console(), Path(what)
    if file.suffix == ".jsonl" and not file.is_file():
        raise ValueError(f"There is no file {file}: name one of traces, or a scene.")
    for trace in _of_file(file, scene, worst) if file.is_file() else [_of_scene(what, policy)]:
        transcript.show(trace, console)


def _of_scene(scene: str, policy: str) -> Trace:
    from ..envs.scenes import SceneName
    from ..policies.rollout import Job
    from ..policies.runs import Setting, serial

    (trace,) = serial(Setting(f"StateSet/{SceneName.parse(scene).env}", policy), [Job(scene)])
    return trace


def _of_file(path: Path, scene: str | None, count: int) -> list[Trace]:
    import heapq

    from ..policies.trace import read

    chosen = (trace for trace in read(path) if scene is None or trace.scene == scene)
    found = heapq.nsmallest(count, chosen, key=lambda trace: trace.total)
    if not found:
        raise ValueError(f"{path} holds no trace" + (f" of the scene {scene!r}." if scene else "."))
    return found


@app.command()
def export(
    file: Annotated[Path, typer.Argument(exists=True, help="A file of traces.")],
    out: Annotated[Path, typer.Argument(help="Where to; a Minari dataset's name ends in -v0 or the like.")],
    to: Annotated[str, typer.Option(help="sft, sft-turns, dpo, hf or minari.")] = "sft",
    min_return: Annotated[float | None, typer.Option(help="Only episodes with at least this return.")] = None,
    max_return: Annotated[float | None, typer.Option(help="Only episodes with at most this return.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="name=value that an episode must have, e.g. success=true, kind=cancel_order."),
    ] = None,
    margin: Annotated[float, typer.Option(help="For dpo: the least difference in return.")] = 0.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Lose what is there.")] = False,
) -> None:
    """Write traces as training data."""
    from ..policies import export as exporting

    bounds = {"min_return": min_return, "max_return": max_return}
    filters = {name: value for name, value in bounds.items() if value is not None} | settings(only, "--only")
    typer.echo(exporting.export(file, to, out, overwrite=overwrite, margin=margin, **filters))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(exists=True, help="A file of traces.")],
) -> None:
    """Play traces again, and tell the first difference of each; exits with 1 where there is one."""
    from rich.console import Console

    from ..policies.progress import bar
    from ..policies.replay import replay as again
    from ..policies.trace import read

    different = done = 0
    with bar(Console(stderr=True)) as tick:
        for done, trace in enumerate(read(file), 1):
            tick("replayed", done, done)
            if (difference := again(trace)) is not None:
                different += 1
                typer.echo(f"{trace.scene}, trial {trace.trial}: {difference}")
    typer.echo(f"{done:,} replayed, {different:,} different.")
    raise typer.Exit(different > 0)

"""Comparisons: every run a process, none of which may cost another anything, and all of which may be killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from stateset_gym import policies
from stateset_gym.__main__ import app
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.trace import read
from stateset_gym.trainers import Folder, cells, curves, experiment, plan, side_by_side
from stateset_gym.trainers.compared import compared, tables
from stateset_gym.trainers.settings import described
from stateset_gym.trainers.side_by_side import Job, listed

from .plugged import installed
from .test_docs import table

ECHO = "StateSet/Echo-v0"
BANDIT = {"trainer": "bandit", "steps": 40, "held_out": 20}
LONG = {"trainer": "bandit", "steps": 8000, "held_out": 20, "log_every": 20}
GIVEN: dict[str, Any] = {"env": ECHO, "arguments": {"difficulty": "easy"}, "scenes": 30, "held_out": 20}


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another package, that brings a trainer."""
    with installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def here(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(site))


def planned(cells: dict[str, Any], **more: Any) -> experiment.Plan:
    return experiment.plan(**{**GIVEN, "cells": cells, **more})


def results(folder: str) -> bytes:
    return (Path(folder) / "results.json").read_bytes()


def weights(folder: str) -> list[Any]:
    return [json.loads(file.read_text()) for file in sorted(Path(folder).glob("*/*/final/values.json"))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Iterator[Path]:
    """A comparison of long runs that nothing has interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        cells = {"one": LONG, "two": {"trainer": "bandit", "steps": 20, "start": "one"}}
        (folder / "plan.json").write_text(json.dumps({**GIVEN, "cells": cells}))
        assert experiment.compare(experiment.read(folder / "plan.json"), folder / "run", 2).whole
        yield folder


def test_all_stand_side_by_side() -> None:
    shown: list[list[str]] = []
    found = experiment.compare(
        planned({"bandit": BANDIT, "silent": {"policy": "null"}}, seeds=2),
        "run",
        2,
        lambda jobs: shown.append([job.state for job in jobs]),
    )
    assert found.whole
    assert [cell.name for cell in found.cells] == ["random", "expert", "bandit", "silent"]
    told = json.loads(results("run"))
    assert [len(told["cells"][name]["seeds"]) for name in told["cells"]] == [1, 1, 2, 1]
    assert told["plan"]["seeds"] == 2
    assert told["versions"]["stateset_gym"]
    scores = {name: cell["score"] for name, cell in told["cells"].items()}
    assert scores["random"]["mean"] == pytest.approx(0)
    assert scores["expert"] == pytest.approx({"mean": 1, "lower": 1, "upper": 1})
    assert scores["silent"]["mean"] < 0 < scores["bandit"]["lower"]
    assert max(row.count("runs") for row in shown) == 2
    assert shown[-1] == ["done"] * 5
    times = json.loads(Path("run/timings.json").read_text())
    assert all(each["cpu_seconds"] > 0 for cell in times.values() for each in cell)
    assert b"seconds" not in results("run")


@pytest.mark.parametrize("name", ["random", "expert", "bandit"])
def test_the_final_measurement_is_that_of_evaluate(whole: Path, name: str) -> None:
    cell = json.loads((whole / "run" / "results.json").read_text())["cells"]["one" if name == "bandit" else name]
    values = str(whole / "run" / "one" / "seed-0" / "final")
    policy: dict[str, Any] = {"policy": "said", "options": {"path": values}} if name == "bandit" else {"policy": name}
    report = policies.evaluate(policy["policy"], ECHO, scenes=30, difficulty="easy", options=policy.get("options"))
    assert cell["success"] == report.success._asdict()
    assert cell["mean_return"] == report.mean_return._asdict()
    traces = [*read(whole / "run" / ("one" if name == "bandit" else name) / "seed-0" / "traces.jsonl")]
    assert [trace.scene for trace in traces] == [f"Echo-v0/test/easy/{number:06d}" for number in range(30)]
    assert [trace.total for trace in traces] == [result.total for result in report.results]


def begun(whole: Path, output: str) -> "subprocess.Popen[str]":
    """The same comparison as a user begins it, in a process of its own."""
    command = [sys.executable, "-m", "stateset_gym", "compare", str(whole / "plan.json"), "--jobs", "2"]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, "--output", output], stdout=pipe, stderr=pipe, text=True)


def until(process: "subprocess.Popen[str]", true: Callable[[], bool]) -> None:
    while process.poll() is None and not true():
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def trained(run: str, steps: int) -> Callable[[], bool]:
    return lambda: len(Folder(run).metrics()) * 20 >= steps


def process_of(run: str) -> int:
    """The process that a run's traces are written by: the one whose command line names it."""
    name = run.split("/")[1]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"stateset_gym.trainers.cells" in command and name.encode() in command:
            return int(folder.name)
    raise AssertionError(f"nothing runs {run}")


linux = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found in /proc")


def finished(whole: Path, output: str) -> None:
    """The same command goes on, and what comes of it is what came of it where nothing was interrupted."""
    process = begun(whole, output)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "In cut: results.json, timings.json, and a folder for each run." in out
    assert results(output) == (whole / "run" / "results.json").read_bytes()
    assert weights(output) == weights(str(whole / "run"))
    for name in ("one", "two"):
        lines, others = (Folder(Path(folder) / name / "seed-0").metrics() for folder in (output, whole / "run"))
        assert [line["reward"] for line in lines] == [line["reward"] for line in others]


@linux
def test_a_comparison_that_is_killed_goes_on_as_if_nothing_had_happened(whole: Path) -> None:
    process = begun(whole, "cut")
    until(process, trained("cut/one/seed-0", 1500))
    child = process_of("cut/one")
    process.kill()
    process.communicate()
    until_gone = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < until_gone, "a process was left behind"
        time.sleep(0.01)
    saved = Folder("cut/one/seed-0").last()[0]
    assert 1500 - 80 <= saved < 8000
    finished(whole, "cut")


@linux
def test_a_run_that_is_killed_is_told_and_takes_nothing_along_but_what_begins_from_it(whole: Path) -> None:
    process = begun(whole, "cut")
    until(process, trained("cut/one/seed-0", 1500))
    os.kill(process_of("cut/one"), signal.SIGKILL)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 1, error
    said = " ".join(out.split())
    assert "Not in the figures: one, seed 0: failed, it was killed by signal 9" in said
    assert "Not in the figures: two, seed 0: not run, it begins from one, seed 0, which has not come to its" in said
    cells = json.loads(results("cut"))["cells"]
    assert cells["expert"]["success"]["mean"] == 1
    assert cells["one"]["success"] is None
    assert cells["two"]["not_finished"][0]["state"] == "not run"
    finished(whole, "cut")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_lets_each_run_end_after_its_step(whole: Path, number: int) -> None:
    process = begun(whole, "cut")
    until(process, trained("cut/one/seed-0", 1500))
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Interrupted; what was done is kept. To go on: stateset-gym compare --output cut" in error
    assert not Path("cut/results.json").exists()
    folder = Folder("cut/one/seed-0")
    assert folder.summary().stopped == "interrupted"
    assert folder.last()[0] == folder.summary().steps < 8000
    finished(whole, "cut")


def test_a_run_that_fails_is_told_with_the_end_of_what_it_said() -> None:
    Path("broken.py").write_text("def factory(kind):\n    return lambda observation, facts: 1 / 0\n")
    told = {"broken": {"policy": "broken:factory"}, "bandit": BANDIT}
    Path("plan.json").write_text(json.dumps({**GIVEN, "cells": told}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}{os.pathsep}{Path.cwd()}")
        patch.syspath_prepend(str(Path.cwd()))
        result = run("compare", "plan.json", "--output", "run", "--jobs", "1")
    assert result.exit_code == 1, result.output
    assert "broken, seed 0: it ended with 1. The end of run/broken/seed-0/log.txt:" in result.output
    assert "ZeroDivisionError: division by zero" in result.output
    cells = json.loads(results("run"))["cells"]
    assert cells["bandit"]["success"]["n"] == 30
    assert cells["broken"]["not_finished"] == [{"seed": 0, "state": "failed", "why": "it ended with 1"}]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_by_names_alone() -> None:
    result = run(
        *("compare", "--algo", "bandit", "--algo", "null", "--env", "Echo-v0", "--set", "difficulty=easy"),
        *("--steps", "30", "--scenes", "12", "--seeds", "2", "--output", "run"),
    )
    assert result.exit_code == 0, result.output
    kept = experiment.kept(Path("run"))
    assert kept.cells == {"bandit": {"trainer": "bandit", "steps": 30}, "null": {"policy": "null"}}
    assert (kept.env, kept.arguments, kept.seeds, kept.scenes) == (ECHO, {"difficulty": "easy"}, 2, 12)
    again = run("compare", "--output", "run", "--seeds", "3")
    assert again.exit_code == 0, again.output
    assert "bandit, seed 2: runs" in again.output
    assert "bandit, seed 0: runs" not in again.output
    assert len(json.loads(results("run"))["cells"]["bandit"]["seeds"]) == 3


def test_what_is_done_is_not_done_again(whole: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (whole / "run").rglob("result.json")}
    assert len(before) == 4
    shown: list[Sequence[Job]] = []
    found = experiment.compare(experiment.kept(whole / "run"), whole / "run", show=shown.append)
    assert found.whole
    assert not shown
    assert {file: file.stat().st_mtime_ns for file in (whole / "run").rglob("result.json")} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "StateSet/TicketTriage-v0"}, r"its env is 'StateSet/Echo-v0', here 'StateSet/TicketTriage-v0'"),
        ({"arguments": {"difficulty": "hard"}}, r"its arguments is \{'difficulty': 'easy'\}, here"),
        ({"scenes": 31}, r"its scenes is 30, here 31\. Go on with what it was begun with \(other numbers of seeds and"),
        ({"cells": {"one": {**LONG, "steps": 5000}}}, r"its cell 'one' is .*'steps': 8000.*, here .*'steps': 5000"),
        ({"cells": {"one": LONG}}, r"its cell 'two' is .*, here there is none"),
    ],
)
def test_a_folder_of_another_comparison_is_left_alone(whole: Path, changes: dict[str, Any], message: str) -> None:
    other = experiment.changed(experiment.kept(whole / "run"), **changes)
    before = (whole / "run" / "comparison.json").read_bytes()
    with pytest.raises(BadArgument, match=f"holds another comparison: {message}"):
        experiment.compare(other, whole / "run")
    assert (whole / "run" / "comparison.json").read_bytes() == before


def test_what_was_not_begun_may_change(whole: Path, tmp_path: Path) -> None:
    begun = experiment.kept(whole / "run")
    plan.keep(begun, tmp_path / "other")
    other = experiment.changed(begun, cells={"one": {**LONG, "steps": 5000}})
    plan.same(other, tmp_path / "other")


def test_two_at_once_do_not_share_a_folder(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "PATIENCE", 0)
    with (
        side_by_side.held(whole / "run"),
        pytest.raises(BadArgument, match=r"run is being worked on by another process: wait"),
        side_by_side.held(whole / "run"),
    ):
        raise AssertionError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seedz": 2}, r"seedz=2 is no setting of a comparison\. Did you mean: 'seeds'\?"),
        ({"cells": {}}, r"leaves nothing to compare: name at least one trainer or policy"),
        ({"seeds": 0}, r"seeds=0 does not suit a comparison"),
        ({"arguments": {"split": "test"}}, r"\{'split': 'test'\} is not to be chosen"),
        ({"arguments": {"scenes": [1, 2]}}, r"'scenes': \.\.\.\} would be of one split"),
        (
            {"arguments": {"customer": object()}},
            r"processes of their own, and is told as JSON: .* not JSON serializable",
        ),
        ({"cells": {"a": {}}}, r"The cell 'a' is \{\}: give it either `trainer`, what trains, or `policy`"),
        ({"cells": {"a": {"trainer": "bandit", "policy": "null"}}}, r"give it either `trainer`"),
        ({"cells": {"a": {"trainer": 3}}}, r"trainer=3 of the cell 'a' is no name: write it as text"),
        ({"cells": {"../a": BANDIT}}, r"cell '\.\./a' cannot have a folder of this name"),
        ({"cells": {"random": {"policy": "null"}}}, r"cell 'random' is what scores are measured from"),
        ({"cells": {"a": {"policy": "null", "steps": 3}}}, r"steps=3 is nothing that the cell 'a' knows"),
        ({"cells": {"a": {"policy": "null", "start": "b"}}}, r"start='b' is nothing that the cell 'a' knows"),
        ({"cells": {"a": {**BANDIT, "env": {}}}}, r"env=\{\} is not for the cell 'a' to choose: its arguments are"),
        ({"cells": {"a": {**BANDIT, "seed": 1}}}, r"seed=1 is not .* give `seeds` of the comparison"),
        ({"cells": {"bandit": BANDIT, "b": {**BANDIT, "start": "bandid"}}}, r"is no cell\. Did you mean: 'bandit'"),
        (
            {"cells": {"a": {**BANDIT, "start": "expert"}}},
            r"start='expert' of 'a' is a policy, and has trained no model",
        ),
        (
            {"cells": {"a": {**BANDIT, "start": "b"}, "b": {**BANDIT, "start": "a"}}},
            r"start='a' of 'b' leads in a circle: a <- b <- a",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        experiment.plan(**{**GIVEN, "cells": {"a": BANDIT}, **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cells": {"a": {"trainer": "bandits"}}}, r"Trainer 'bandits' does not exist\. Did you mean: 'bandit'\?"),
        ({"cells": {"a": {**BANDIT, "rte": 1}}}, r"rte=1 is no setting of the cell 'a'\. Did you mean: 'rate'\?"),
        ({"cells": {"a": {"policy": "randon"}}}, r"Policy 'randon' does not exist .* Did you mean: 'random'"),
        ({"arguments": {"dificulty": "easy"}}, r"dificulty='easy' is no argument of .* Did you mean: 'difficulty'"),
        ({"scenes": 10**9}, r"scenes=1000000000: give a number of scenes of the test split"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_run(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        experiment.compare(experiment.plan(**{**GIVEN, "cells": {"a": BANDIT}, **given}), "run")
    assert not Path("run").exists()
    with pytest.raises(BadArgument, match=r"jobs=0 must be"):
        experiment.compare(planned({"a": BANDIT}), "run", jobs=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a FILE, or trainers and policies with --algo, or the --output to go on with"),
        (("plan.json", "--algo", "bandit"), "--algo and --steps go without a FILE"),
        (("--algo", "bandits"), "There is no trainer or policy 'bandits'. Did you mean: 'bandit'?"),
        (("gone.yaml",), "There is no file gone.yaml"),
        (("--output", "gone", "--steps", "5"), "--steps goes with --algo"),
        (("--output", "gone"), "There is no gone/comparison.json: name the folder of a comparison"),
    ],
)
def test_a_wrong_use_is_told(arguments: tuple[str, ...], message: str) -> None:
    Path("plan.json").write_text(json.dumps({**GIVEN, "cells": {"a": BANDIT}}))
    result = run("compare", *arguments)
    assert result.exit_code in (1, 2)
    said = str(result.exception) if isinstance(result.exception, BadArgument) else result.output
    assert message in " ".join(said.replace("│", " ").split())


def test_a_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadArgument, match=r'needs the package matplotlib: pip install "stateset-gym\[compare\]"'):
        experiment.compare(planned({"a": BANDIT}), "run")


def test_a_curve_is_of_all_seeds_at_the_steps_of_all(tmp_path: Path) -> None:
    found = planned({"first": BANDIT, "then": {**BANDIT, "start": "first"}}, seeds=2)
    lines = {0: [(0, 0.2, 4), (10, 0.4, 8)], 1: [(0, 0.4, 6), (10, 0.8, 10), (20, 1.0, 12)]}
    for cell in ("first", "then"):
        for seed, told in lines.items():
            folder = tmp_path / cell / f"seed-{seed}"
            folder.mkdir(parents=True)
            rows = [{"step": step, "held_out_success": share, "cpu_seconds": cpu} for step, share, cpu in told]
            rows.insert(1, {"step": 5, "loss": 1.0, "cpu_seconds": 5.0})
            (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    first, then = ([job for job in listed(found, tmp_path) if job.cell.name == name] for name in ("first", "then"))
    drawn, later = curves.curve("first", first), curves.curve("then", then)
    assert drawn is not None
    assert later is not None
    wanted = [[5, 9], [0.3, 0.6], [0.2, 0.4], [0.4, 0.8]]
    assert [*map(list, drawn[1:])] == [pytest.approx(each) for each in wanted]
    assert later.seconds == pytest.approx([15, 19])  # after the 8 and 12 seconds of what it begins from
    assert curves.curve("first", [*first, Job(first[0].cell, 2, tmp_path / "none")]) is None


def test_the_picture_shows_the_curves(whole: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(whole / "run", tmp_path / "copy"))
    found = experiment.kept(copied)
    jobs = listed(found, copied)
    result = compared(found, jobs)
    assert curves.draw(result, copied) is None
    for job in jobs:
        with (job.folder / "metrics.jsonl").open("a") as file:
            for step, seconds in ((0, 1.0), (10, 5.0)):
                file.write(json.dumps({"step": step, "held_out_success": step / 10, "cpu_seconds": seconds}) + "\n")
    picture = curves.draw(result, copied)
    assert picture is not None
    drawn = Image.open(picture).convert("RGB")
    colours = {colour for _, colour in drawn.getcolors(1 << 24) or ()}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # of the two cells
    assert drawn.width > drawn.height > 600


def test_the_tables_tell_all(whole: Path) -> None:
    found, file = experiment.kept(whole / "run"), StringIO()
    Console(width=80, file=file).print(tables(compared(found, listed(found, whole / "run"))))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.split()}
    assert rows["expert"][1] == "100.0%"
    assert rows["two"][-2] == "one"  # what it begins from, and the seconds of that
    assert "…" not in text
    assert "stratified bootstrap over scenes of each kind" in " ".join(text.split())


def edited(folder: Path, cell: str, **changes: Any) -> None:
    """Another result of a run."""
    file = folder / cell / "seed-0" / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def said(folder: Path) -> tuple[str, dict[str, Any]]:
    """What the tables and the results of a comparison say that is done."""
    file = StringIO()
    Console(width=80, file=file).print(tables(experiment.compare(experiment.kept(folder), folder)))
    return " ".join(file.getvalue().split()), json.loads(results(str(folder)))


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A comparison that is done, to be changed."""
    return Path(shutil.copytree(whole / "run", tmp_path / "copy"))


def test_runs_of_different_versions_are_told(copied: Path) -> None:
    text, told = said(copied)
    assert "several versions" not in text
    assert len(told["versions"]["numpy"]) == 1
    edited(copied, "random", versions={"python": "3.0", "numpy": "1.0"})
    edited(copied, "one", versions={"numpy": "1.0", "torch": "2.0"}, earlier=[["torch", "1.9"]])
    text, told = said(copied)
    assert told["versions"]["torch"] == ["1.9", "2.0"]
    assert {"1.0", "3.0"} <= {*told["versions"]["numpy"], *told["versions"]["python"]}
    (named,) = re.findall(
        r"made with several versions of packages: (numpy 1.0, \S+; python 3.0, \S+; torch 1.9, 2.0)\.", text
    )
    assert "gymnasium" not in named


def test_a_run_that_goes_on_with_other_versions_tells_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it was interrupted; and what was killed before it had come to anything has no part in it."""
    clock = cells.Clock(tmp_path)
    for name in ("1.0", "1.1", "1.2"):
        monkeypatch.setattr(cells, "versions", lambda name=name: {"numpy": name})
        before, clock = clock, cells.Clock(tmp_path)
        clock("loads", 0, 0, last=True)
        assert (clock.versions, clock.earlier) == ({"numpy": name}, [])
        if name != "1.0":
            clock.goes_on(before.versions)
        clock("trains", 1, 2, last=True)
    assert (clock.versions, clock.earlier) == ({"numpy": "1.2"}, [("numpy", "1.0"), ("numpy", "1.1")])


def test_defaults_that_have_changed_since_are_told(copied: Path) -> None:
    assert said(copied)[1]["changed"] == []
    file = copied / "one" / "seed-0" / "run.json"
    record = json.loads(file.read_text())
    record["config"]["rate"] = 0.1
    file.write_text(json.dumps(record))
    text, told = said(copied)
    assert told["changed"] == ["one, seed 0: rate was 0.1 when it was trained, and would be 0.2 now."]
    assert told["changed"][0] in text
    del record["config"]["rate"]
    file.write_text(json.dumps(record))
    assert said(copied)[1]["changed"] == ["one, seed 0: rate was no setting when it was trained, and would be 0.2 now."]


def test_a_trainer_that_cannot_be_had_any_more_loses_no_figures(copied: Path) -> None:
    file = copied / "comparison.json"
    file.write_text(file.read_text().replace('"bandit"', '"missing"'))
    text, told = said(copied)
    assert "one, seed 0: whether it would be trained alike now cannot be told: No module named" in text
    assert told["cells"]["one"]["score"]["mean"] > 0


def test_where_random_play_is_paid_as_the_expert_no_table_is_lost(copied: Path) -> None:
    before = said(copied)[1]
    assert before["not_scored"] == []
    edited(copied, "random", returns=[1.0] * 30)
    text, told = said(copied)
    assert "kind 'echo': random play is paid +1.000 on average and the expert +1.000, and no score lies between" in text
    assert told["not_scored"] == ["echo"]
    assert told["cells"]["one"] == {**before["cells"]["one"], "score": None}


def test_documented_settings_and_files_are_those_there_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "comparing.md").read_text(encoding="utf-8")
    defaults = {name: cells[0].strip("`") for name, cells in table(page, "Setting").items()}
    known = {each.name: each.default for each in described(experiment.Plan)}
    assert {name: str(value) if value else defaults[name] for name, value in known.items()} == defaults
    assert {*table(page, "File")} == {*cells.FILES}

"""The commands `train` and `trainers`, as a user runs them, with a trainer that another package brings."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stateset_gym.__main__ import app
from stateset_gym.envs.errors import BadArgument
from stateset_gym.trainers import Folder

from .plugged import install, installed

BANDIT = ("train", "bandit", "--env", "Echo-v0", "--set", "env.difficulty=easy", "--set", "held_out=10")


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another package, that brings a trainer."""
    with installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def fails(*arguments: str) -> str:
    """What a wrong use is told: by the options themselves, or by an error that `main` tells in a line."""
    result = run(*arguments)
    assert result.exit_code in (1, 2), result.output
    if isinstance(result.exception, BadArgument):
        return str(result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.replace("│", " ").split())


def test_the_trainers_are_listed_with_a_sentence_each() -> None:
    lines = [line.split(maxsplit=1) for line in run("trainers").output.splitlines()]
    assert lines[0] == ["sft", "Learns to say what the expert says, recoveries from mistakes included."]
    assert ["bandit", "Learns which word of the last message is to be said."] in lines
    assert json.loads(run("trainers", "--json").output)["bandit"].startswith("Learns which word")


def test_a_policy_is_trained() -> None:
    result = run(*BANDIT, "--set", "steps=60", "--set", "output=run")
    assert result.exit_code == 0, result.output
    assert "Success on 10 held-out test scenes: 0.0% (0.0% to 27.8%) before, 100.0% (72.2% to 100.0%) after." in (
        result.stdout
    )
    assert "The trained model: run/final" in result.stdout
    assert "To go on" not in result.stdout
    values = json.loads(Path("run/final/values.json").read_text())
    assert values[0] == 0 < max(values)  # the first word is "Repeat"


def test_programs_read_json() -> None:
    told = json.loads(run(*BANDIT, "--set", "steps=60", "--set", "output=run", "--json").stdout)
    assert (told["trainer"], told["env_id"], told["folder"]) == ("bandit", "StateSet/Echo-v0", "run")
    assert (told["summary"]["after"]["successes"], told["summary"]["steps"]) == (10, 60)


def test_the_file_is_under_what_is_set() -> None:
    Path("told.yaml").write_text("steps: 9\nrate: 1e-1\nenv: {difficulty: hard, max_turns: 4}\nlog_every: 2\n")
    told = json.loads(run(*BANDIT, "--config", "told.yaml", "--set", "steps=5", "--dry-run", "--json").stdout)
    values = {name: each["value"] for name, each in told["config"].items()}
    assert values["env"] == {"difficulty": "easy", "max_turns": 4}
    assert (values["steps"], values["rate"], values["log_every"], values["held_out"]) == (5, 0.1, 2, 10)


@pytest.mark.parametrize(
    ("pairs", "name", "value"),
    [
        (["output=7"], "output", "7"),
        (["output=a,b=c"], "output", "a,b=c"),
        (["tags=one"], "tags", ["one"]),
        (["tags=one,two"], "tags", ["one", "two"]),
        (["tags=[]"], "tags", []),
        (["begin=ones"], "begin", "ones"),
        (["rate=1e-3"], "rate", 1e-3),
        (["steps=3", "steps=4"], "steps", 4),
        (
            ["env.max_turns=3", 'env={"prompt": "none"}'],
            "env",
            {"difficulty": "easy", "max_turns": 3, "prompt": "none"},
        ),
    ],
)
def test_values_are_what_their_settings_want(pairs: list[str], name: str, value: object) -> None:
    told = run(*BANDIT, *(part for pair in pairs for part in ("--set", pair)), "--dry-run", "--json")
    assert json.loads(told.stdout)["config"][name]["value"] == value


def test_a_dry_run_shows_all_and_does_nothing() -> None:
    result = run(*BANDIT, "--set", "output=there", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "bandit on StateSet/Echo-v0" in result.output
    assert "How far a reward moves the value of a choice." in result.output
    assert "{'difficulty': 'easy'}" in result.output
    assert "Would write into there:" in result.output
    assert "metrics.jsonl" in result.output
    assert not [*Path().iterdir()]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--set", "stepz=3"), "stepz=3 is no setting of the trainer 'bandit'. Did you mean: 'steps'?"),
        (("--set", "steps=many"), "steps='many' does not suit the trainer 'bandit': Expected int, got str"),
        (("--set", "env.dificulty=easy"), "dificulty='easy' is no argument of StateSet/Echo-v0. Did you mean"),
        (("--set", "env.difficulty=esy"), "difficulty='esy' is not known: choose one of"),
        (("--set", "steps"), "write name=value"),
        (("--set", "env.difficulty"), "write name=value"),
        (("--set", "evn.difficulty=easy"), "is no setting of the trainer 'bandit'. Did you mean: 'env'?"),
        (("--config", "gone.yaml"), "There is no file gone.yaml"),
        (("--resume", "gone"), "There is no gone/run.json"),
    ],
)
def test_a_wrong_use_is_told_by_a_dry_run(more: tuple[str, ...], message: str) -> None:
    assert message in fails(*BANDIT, *more, "--dry-run")


def test_who_trains_is_to_be_named() -> None:
    assert "name a trainer (sft, grpo, " in fails("train")
    assert "Trainer 'bandits' does not exist. Did you mean: 'bandit'?" in fails("train", "bandits")


def test_a_folder_that_holds_a_run_is_told_by_a_dry_run() -> None:
    run(*BANDIT, "--set", "steps=2", "--set", "output=run")
    assert "run holds a run already: go on with it (resume)" in fails(*BANDIT, "--set", "output=run", "--dry-run")


def test_a_run_goes_on() -> None:
    run(*BANDIT, "--set", "steps=4", "--set", "output=run")
    told = json.loads(run("train", "--resume", "run", "--set", "steps=6", "--dry-run", "--json").stdout)
    assert (told["trainer"], told["after"], told["config"]["steps"]["value"]) == ("bandit", 4, 6)
    assert "Would go on after step 4 in run:" in run("train", "--resume", "run", "--dry-run").output
    result = run("train", "--resume", "run", "--set", "steps=6")
    assert result.exit_code == 0, result.output
    assert [line["step"] for line in Folder("run").metrics()] == [1, 2, 3, 4, 5, 6]
    assert "--config goes with a new run" in fails("train", "--resume", "run", "--config", "told.yaml")
    assert "ALGO sft is not that of run, which is bandit" in fails("train", "sft", "--resume", "run")
    assert "--env StateSet/TicketTriage-v0 is not that of run, which is StateSet/Echo-v0" in fails(
        "train", "--resume", "run", "--env", "TicketTriage-v0"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("terminal", [True, False])
def test_an_interruption_is_no_loss(tmp_path: Path, number: int, terminal: bool) -> None:
    """The progress is shown on the one stream, as a bar or line by line, and what came of it on the other."""
    command = [sys.executable, "-m", "stateset_gym", *BANDIT, "--set", "steps=1000000", "--set", "output=run"]
    environment = os.environ | {"PYTHONPATH": str(install(tmp_path / "site")), "FORCE_COLOR": "1" * terminal}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        while process.poll() is None and len(Folder("run").metrics()) < 5:
            pass
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Ended before its last step: interrupted." in out
    assert "To go on: stateset-gym train --resume run" in out
    assert ("\x1b[" in error) == terminal
    assert ("/1000000" if terminal else "step 1/1000000: reward 0.000, best 0.000\n") in error
    assert len(error.splitlines()) < 5 or terminal
    steps = len(Folder("run").metrics())
    assert Folder("run").summary().steps == steps < 1_000_000
    assert run("train", "--resume", "run", "--set", f"steps={steps + 1}").exit_code == 0
    assert len(Folder("run").metrics()) == steps + 1

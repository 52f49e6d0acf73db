"""The command line, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stateset_gym.__main__ import app
from stateset_gym.envs.customer_service.env import CustomerServiceEnv
from stateset_gym.policies import audit, registry
from stateset_gym.policies.audit import faults

SCENE = "CustomerService-v0/test/hard/000123"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_environments_are_listed() -> None:
    assert run("envs").output.split() == [
        "StateSet/CustomerService-v0",
        "StateSet/Echo-v0",
        "StateSet/TicketTriage-v0",
    ]


def test_the_module_and_the_script_are_one(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("stateset-gym")
    for command in ([sys.executable, "-m", "stateset_gym"], [str(script)]):
        done = subprocess.run([*command, "envs"], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, "StateSet/Echo-v0" in done.stdout) == (0, True), done.stderr


def test_help_names_the_commands() -> None:
    output = run("--help").output
    assert all(command in output for command in ("audit", "compare", "envs", "show", "faults"))


def test_an_audit_for_people() -> None:
    result = run("audit", "StateSet/CustomerService-v0", "--quick", "--check", "expert", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "Audit of CustomerService-v0" in result.output
    assert "CustomerService-v0 is sound by this audit." in result.output


def test_an_audit_for_programs() -> None:
    result = run("audit", "StateSet/Echo-v0", "--scenes", "8", "--check", "expert", "--jobs", "1", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert (report["env"], report["passed"]) == ("Echo-v0", True)
    assert report["checks"]["expert"]["examined"] == 6 * 8


def test_an_unsound_environment_exits_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "kind_of", lambda name: faults.HiddenPenalty)
    result = run("audit", "StateSet/CustomerService-v0", "--quick", "--check", "returns", "--jobs", "1")
    assert result.exit_code == 1
    assert "not sound" in result.output
    assert "and the facts make" in result.output


def test_fuzzing_alone() -> None:
    result = run("audit", "StateSet/CustomerService-v0", "--fuzz", "2000", "--seed", "5", "--jobs", "1", "--json")
    report = json.loads(result.output)
    assert list(report["checks"]) == ["fuzz"]
    assert report["checks"]["fuzz"]["examined"] == 2000


def test_a_scene_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "scene.json"
    file.write_text(json.dumps({"words": ["amber", "birch"], "asks": ["say", "repeat"]}))
    result = run("audit", "StateSet/Echo-v0", "--scene", str(file), "--check", "expert", "--jobs", "1", "--json")
    assert json.loads(result.output)["checks"]["expert"] | {"findings": []} == {
        "examined": 1,
        "wrong": 0,
        "what_holds": "The expert returns exactly 1, with nothing refused, malformed or against the house rules.",
        "note": "",
        "covered": {},
        "findings": [],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audit",), "name one environment, or give --all"),
        (("audit", "StateSet/Echo-v0", "--all"), "name one environment, or give --all"),
        (("audit", "StateSet/Echo-v0", "--check", "spelling"), "'spelling' is not known"),
    ],
)
def test_a_wrong_use_is_told(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments", [("show", "gone.jsonl"), ("evaluate", "--policy", "expert", "--scenes", "gone.json")]
)
def test_a_missing_file_is_told_as_one(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert f"There is no file {arguments[-1]}: name one" in f"{result.output} {result.exception}"


def test_a_conversation_is_shown() -> None:
    output = run("show", SCENE).output
    env = CustomerServiceEnv(split="test", difficulty="hard")
    opening = env.reset(options={"scene": SCENE})[0]["messages"][-1]["content"]
    assert opening.split(".")[0][:40] in output
    assert "return +1.00" in output


def test_the_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {faults.HiddenPenalty: "returns", faults.HiddenTold: "leaks"}
    monkeypatch.setattr(faults, "FAULTS", few)
    assert run("faults").exit_code == 0
    monkeypatch.setattr(faults, "FAULTS", {audit.faults.HiddenPenalty: "infos"})
    assert run("faults").exit_code == 1

"""What the README tells to run, runs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium
import pytest

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs.actions import Speech
from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.customer_service.scenes import CYCLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*arguments: str, cwd: Path) -> str:
    """What Python prints; a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def examples() -> list[str]:
    """The first is a program, the second a test."""
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_unit_test_runs_as_it_stands(tmp_path: Path) -> None:
    _, text = examples()
    (tmp_path / "test_agent.py").write_text(f'my_agent = "expert"\n\n\n{text}', encoding="utf-8")
    assert "1 passed" in run("-m", "pytest", "-q", "test_agent.py", cwd=tmp_path)
    (tmp_path / "test_agent.py").write_text(f'my_agent = "read-only"\n\n\n{text}', encoding="utf-8")
    with pytest.raises(AssertionError):
        run("-m", "pytest", "-q", "test_agent.py", cwd=tmp_path)


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    program, _ = examples()
    printed = run("-c", program, cwd=tmp_path)
    assert printed.startswith("user: ")
    assert printed.endswith("success: True\n")


def test_the_example_has_twenty_lines_at_most() -> None:
    assert len(examples()[0].splitlines()) <= 20


def test_the_quickstart_runs(tmp_path: Path) -> None:
    printed = run(str(ROOT / "examples" / "quickstart.py"), cwd=tmp_path)
    assert printed.count("success True, return 1") == 3


def test_every_make_target_that_is_named_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z-]+)(?=[` ])", README)
    assert {"demo", "test", "check", "bench"} <= set(named)
    assert set(named) <= set(targets)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python -m stateset_gym ([a-z]+)", README))))
def test_every_command_that_is_named_exists(command: str, tmp_path: Path) -> None:
    assert "Usage" in run("-m", "stateset_gym", command, "--help", cwd=tmp_path)


def test_every_environment_is_named_with_its_page() -> None:
    ids = {name for name in gymnasium.registry if name.startswith("StateSet/")}
    assert set(re.findall(r"StateSet/\w+-v\d+", README)) == ids
    for name in ids:
        assert f"(docs/envs/{name.split('/')[1]}.md)" in README


def test_counts_of_customer_service_are_right() -> None:
    kinds = {kind for cycle in CYCLES.values() for kind in cycle}
    speech = [kind for kind in ACTIONS.types if issubclass(kind, Speech)]
    assert f"{len(kinds)} kinds of scene" in README
    assert f"{len(ACTIONS.types) - len(speech)} acts on the shop's records, {len(speech)} acts of speech" in README


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r'"\.\[([a-z,]+)\]"', README))
    assert named
    assert named <= set(project["optional-dependencies"])


def test_the_torch_that_is_named_is_the_one_that_is_pinned() -> None:
    (pinned,) = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"`{pinned}`" in README

"""What a user installs: the wheel, the metadata, what `import stateset_gym` registers, loads and costs."""

import importlib.metadata
import os
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

import stateset_gym

ROOT = Path(__file__).parents[1]
IDS = {"StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0"}


def python(code: str, cwd: Path, **environment: str) -> str:
    """Run code in a fresh process, warnings as errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pip(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def sources() -> Iterator[str]:
    """The files that a wheel must hold: the root's modules, and every file of the folders that are packages."""
    yield from ("stateset_gym/py.typed", *(f"stateset_gym/{file.name}" for file in ROOT.glob("*.py")))
    for marker in ROOT.glob("[a-z]*/__init__.py"):
        files = (file for file in marker.parent.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        yield from (placed(file.relative_to(ROOT).as_posix()) for file in files)


def placed(name: str) -> str:
    """Where a file of the checkout lies in a wheel: the pytest plug-in is a package of its own."""
    plugin = "policies/pytest_plugin/"
    return f"stateset_gym_pytest/{name.removeprefix(plugin)}" if name.startswith(plugin) else f"stateset_gym/{name}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built from a copy: a build folder left in the checkout would end up in it."""
    copy = tmp_path_factory.mktemp("a-checkout") / "of any-name"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    pip("wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", "made", ".", cwd=copy)
    (made,) = (copy / "made").glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {*sources()}


def test_the_wheel_installs_and_imports(wheel: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    pip("install", "--quiet", "--no-deps", "--no-index", "--target", str(there), str(wheel), cwd=tmp_path)
    code = """
import sys, stateset_gym.envs, stateset_gym.policies, stateset_gym.rewards
print(*(module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "stateset_gym"), sep="\\n")
"""
    found = {Path(line) for line in python(code, tmp_path, PYTHONPATH=str(there)).splitlines()}
    # All of them from there: what the wheel lacks, the editable install would lend.
    assert {file for file in found if not file.is_relative_to(there / "stateset_gym")} == set()
    assert there / "stateset_gym" / "__init__.py" in found


def test_the_metadata_agrees_with_the_package() -> None:
    assert importlib.metadata.version("stateset-gym") == stateset_gym.__version__
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="stateset-gym")
    assert command.value == "stateset_gym.__main__:main"
    assert callable(command.load())


def test_the_core_is_light() -> None:
    needed = importlib.metadata.requires("stateset-gym") or []
    core = {line for line in needed if "extra ==" not in line}
    assert core == {"gymnasium>=1.2.2", "numpy", "msgspec", "jsonschema", "jsonschema-rs", "rich", "typer"}


def test_the_tests_see_this_checkout_and_one_package() -> None:
    here = ROOT / "__init__.py"
    assert Path(stateset_gym.__file__) == here, "installed from elsewhere: remove .venv and run make again"
    found = [name for name, module in [*sys.modules.items()] if is_file(getattr(module, "__file__", None), here)]
    assert found == ["stateset_gym"]


def is_file(name: str | None, file: Path) -> bool:
    return name is not None and Path(name) == file


def test_the_root_and_elsewhere_give_one_package(tmp_path: Path) -> None:
    code = "import stateset_gym; print(stateset_gym.__path__[0])"
    assert python(code, ROOT) == python(code, tmp_path) == str(ROOT)


def test_the_ids_are_registered() -> None:
    assert {name for name in gymnasium.registry if name.startswith("StateSet/")} == IDS


@pytest.mark.parametrize("name", sorted(IDS))
def test_one_call_imports_and_makes(name: str, tmp_path: Path) -> None:
    code = f"import gymnasium; print(gymnasium.make('stateset_gym:{name}').spec.id)"
    assert python(code, tmp_path).endswith(name)


def test_the_import_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {
        "torch",
        "transformers",
        "openai",
        "stable_baselines3",
        "msgspec",
        "jsonschema",
        "jsonschema_rs",
        "rich",
        "typer",
    }
    loaded = python("import sys, stateset_gym; print(*sys.modules)", tmp_path).split()
    assert heavy & {*loaded} == set()
    assert [name for name in loaded if name.startswith("stateset_gym.")] == []


def test_the_import_costs_a_tenth_of_a_second_at_most(tmp_path: Path) -> None:
    """CPU time of whole processes, in pairs, so that a busy machine slows both."""
    code = "import time, {}; print(time.process_time())"
    names = ("gymnasium", "stateset_gym")
    pairs = [[float(python(code.format(name), tmp_path)) for name in names] for _ in range(5)]
    assert statistics.median(ours - theirs for theirs, ours in pairs) < 0.1

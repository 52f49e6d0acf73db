"""Tables on disk: explored once, read while they are right, and never trusted when they are not."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs import table_cache, tables
from stateset_gym.envs.echo.env import EchoEnv
from stateset_gym.envs.errors import BadArgument
from stateset_gym.envs.table import ARRAYS, Table
from stateset_gym.envs.table_cache import TableCache, fingerprint
from stateset_gym.envs.tables import Tables
from stateset_gym.policies.registry import kind_of

SHOP = kind_of("StateSet/CustomerService-v0")
STORE = Path(__file__).parents[1] / "examples" / "shop.json"
NAMES = [f"CustomerService-v0/train/easy/{number:06d}" for number in (10, 14, 3, 22)]
ECHO = [f"Echo-v0/train/hard/{number:06d}" for number in range(6)]


def build(folder: Path, names: list[str], **options: Any) -> Tables:
    kind = EchoEnv if names[0].startswith("Echo") else SHOP
    return Tables.build(kind, names, cache=folder, **options)


def same(one: Tables, other: Tables) -> None:
    assert len(one) == len(other)
    for mine, theirs in zip(one.scenes, other.scenes, strict=True):
        for each in ("name", "kind", "par", "limit", "found", "expanded", "action_names", "feature_names"):
            assert getattr(mine, each) == getattr(theirs, each)
            assert type(getattr(mine, each)) is type(getattr(theirs, each))
        for each in ARRAYS:
            assert np.array_equal(getattr(mine, each), getattr(theirs, each)), each
            assert getattr(mine, each).dtype == getattr(theirs, each).dtype, each


@pytest.fixture
def explored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the scenes that are explored."""
    names: list[str] = []
    tabulate = tables.tabulate

    def noted(kind: Any, name: str, **options: Any) -> Table:
        names.append(name)
        return tabulate(kind, name, **options)

    monkeypatch.setattr(tables, "tabulate", noted)
    return names


def test_what_was_explored_is_read(tmp_path: Path, explored: list[str]) -> None:
    first = build(tmp_path, NAMES)
    assert explored == NAMES
    same(first, build(tmp_path, NAMES))
    assert explored == NAMES
    (again,) = build(tmp_path, NAMES[1:2]).scenes
    same(Tables((again,)), Tables(first.scenes[1:2]))
    assert explored == NAMES
    files = [file.name for file in tmp_path.rglob("*") if file.is_file()]
    assert files == ["train-easy-000000.npz"]


def test_only_what_is_missing_is_explored(tmp_path: Path, explored: list[str]) -> None:
    build(tmp_path, ECHO[:2])
    build(tmp_path, [*ECHO, "Echo-v0/train/hard/000700"])
    assert explored == [*ECHO, "Echo-v0/train/hard/000700"]
    same(build(tmp_path, ECHO), build(tmp_path / "other", ECHO))
    assert explored.count(ECHO[0]) == 2, "once in each folder"


def test_scenes_that_play_alike_share_arrays(tmp_path: Path) -> None:
    for tables_ in (build(tmp_path, NAMES), build(tmp_path, NAMES)):
        _, _, one, other = tables_.scenes
        assert one.next_state is other.next_state
        assert (one.name, other.name) == tuple(NAMES[2:])
        report = tables_.report()
        assert (report["scenes"], report["whole"], report["tables"], report["actions"]) == (4, 4, 3, 45)
        assert report["states"] == sum(table.states for table in tables_.scenes[:3])
        assert report["states_found"] == report["states_explored"] > report["states"]
        joined = tables_.joined()
        assert joined.start[2] == joined.start[3]
        assert len(joined.row) == report["states"]
        assert joined.nbytes == sum(each.nbytes for each in joined if isinstance(each, np.ndarray))


SOURCES = ["envs/memory.py", "envs/echo/rules.py", "envs/ticket_triage/rules.py", "rewards/terms.py"]
"""Some of what has a say in tables: an environment may use what belongs to another."""


@pytest.fixture
def fresh() -> Iterator[None]:
    """The sources are read anew, as in another process."""
    table_cache._engine.cache_clear()
    yield
    table_cache._engine.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("change", ["version", "arguments", "cap", *SOURCES])
def test_what_changes_the_tables_makes_them_anew(
    change: str, tmp_path: Path, explored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, ECHO)
    options: dict[str, Any] = {}
    read = Path.read_bytes
    if change == "version":
        monkeypatch.setattr(table_cache, "__version__", "99.0")
    elif change == "cap":
        options["cap"] = 1000
    elif change == "arguments":
        options["arguments"] = {"max_turns": 3}
    else:
        table_cache._engine.cache_clear()
        touched = Path(table_cache.__file__).parents[1] / change
        monkeypatch.setattr(Path, "read_bytes", lambda file: read(file) + b"#" * (file == touched))
    build(tmp_path, ECHO, **options)
    assert explored == ECHO * 2


@pytest.mark.usefixtures("fresh")
def test_a_copied_engine_has_the_same_fingerprint_until_a_source_is_touched_or_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, root = fingerprint(EchoEnv, {}), Path(table_cache.__file__).parents[1]
    for folder in ("envs", "rewards"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))

    def of_copy() -> bytes:
        table_cache._engine.cache_clear()
        return table_cache._engine()

    assert here == fingerprint(EchoEnv, {}), "asked again, it is the same"
    ours = table_cache._engine()
    monkeypatch.setattr(table_cache, "ENGINE", (tmp_path / "envs", tmp_path / "rewards"))
    found = [of_copy()]
    assert found == [ours]
    for touched in ("envs/memory.py", "rewards/terms.py", "envs/customer_service/rules.py", "rewards/added.py"):
        with (tmp_path / touched).open("a") as file:
            file.write("# touched\n")
        found.append(of_copy())
    assert len(set(found)) == len(found)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("touched", ["env.py", "rules.py", "beside.py", "elsewhere/reading.py"])
def test_the_sources_of_an_environment_of_ones_own_decide(
    touched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beside its class, and those of its parts and its catalogue, wherever they lie."""
    package = tmp_path / f"own_{Path(touched).stem}"
    (package / "elsewhere").mkdir(parents=True)
    for name in ("__init__.py", "rules.py", "beside.py", "elsewhere/__init__.py"):
        (package / name).touch()
    (package / "elsewhere/reading.py").write_text(
        "from stateset_gym.envs.catalogue import Catalogue\n\n\nclass Mine(Catalogue):\n"
        "    def __init__(self, other):\n        vars(self).update(vars(other))\n"
    )
    (package / "env.py").write_text(
        "from dataclasses import replace\n\nfrom stateset_gym.envs.echo.env import EchoEnv\n\n"
        "from .elsewhere.reading import Mine\n\n\nclass Own(EchoEnv):\n"
        "    parts = replace(EchoEnv.parts, catalogue=Mine(EchoEnv.parts.catalogue))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module(f"{package.name}.env").Own
    before = fingerprint(kind, {})
    assert before == fingerprint(kind, {}) != fingerprint(EchoEnv, {})
    with (package / touched).open("a") as file:
        file.write("# touched\n")
    assert fingerprint(kind, {}) != before


def test_the_sources_of_the_engine_are_read_once() -> None:
    fingerprint(EchoEnv, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda file: pytest.fail(f"{file} was read again"))
        fingerprint(EchoEnv, {})


def test_the_fingerprint_holds_in_another_process() -> None:
    code = (
        "from stateset_gym.envs.echo.env import EchoEnv; from stateset_gym.envs.table_cache import fingerprint; "
        "print(fingerprint(EchoEnv, {}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == fingerprint(EchoEnv, {})


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for place in range(100, 200):
        content[place] ^= 0xFF
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def lack(file: Path) -> None:
    with np.load(file) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "cut"}
    np.savez(file, **kept)


def shorten(file: Path) -> None:
    with np.load(file) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    np.savez(file, **{**kept, "which": kept["which"] + 99})


@pytest.mark.parametrize("damage", [cut, flip, empty, lack, shorten])
def test_a_damaged_file_is_told_and_made_anew(
    damage: Callable[[Path], None], tmp_path: Path, explored: list[str]
) -> None:
    first = build(tmp_path, ECHO)
    (file,) = tmp_path.rglob("*.npz")
    whole = file.read_bytes()
    damage(file)
    with pytest.warns(UserWarning, match=r"train-hard-000000.npz cannot be read \(.+\): its scenes are explored anew"):
        same(first, build(tmp_path, ECHO))
    assert explored == ECHO * 2
    assert len(file.read_bytes()) == len(whole)
    same(first, build(tmp_path, ECHO))
    assert explored == ECHO * 2


def test_a_build_that_is_broken_off_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "KEPT_TOGETHER", 2)

    def stop(what: str, done: int, total: int) -> None:
        assert (what, total) == ("scenes explored", 6)
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, ECHO, progress=stop)
    told: list[tuple[str, int, int]] = []
    build(tmp_path, ECHO, progress=lambda *told_: told.append(told_))
    assert told == [("scenes explored", 1, 2), ("scenes explored", 2, 2)]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(tmp_path, ECHO[:3])

    def fail(part: Any, **arrays: Any) -> None:
        part.write(b"half of it")
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", fail)
        wrong = r"Tables cannot be kept in .*the disk is full.*give cache=FOLDER that can be written, or cache=False"
        with pytest.raises(BadArgument, match=wrong):
            build(tmp_path, ECHO)
    same(Tables(first.scenes), build(tmp_path, ECHO[:3]))
    assert [file.suffix for file in tmp_path.rglob("*") if file.is_file()] == [".npz"]


def test_several_processes_make_the_same_tables(tmp_path: Path) -> None:
    one, several = build(tmp_path / "one", NAMES), build(tmp_path / "several", NAMES, jobs=2)
    same(one, several)


def test_where_tables_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, explored: list[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    Tables.build(EchoEnv, ECHO)
    kept = [file for file in (tmp_path / "xdg" / "stateset-gym" / "tables").rglob("*") if file.is_file()]
    assert [file.name for file in kept] == ["train-hard-000000.npz"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert table_cache.user_folder() == tmp_path / "home" / ".cache" / "stateset-gym" / "tables"
    Tables.build(EchoEnv, ECHO, cache=False)
    assert explored == ECHO * 2
    assert not (tmp_path / "home").exists()


def test_capped_tables_are_kept_as_such(tmp_path: Path) -> None:
    first = build(tmp_path, NAMES[:2], cap=30)
    again = build(tmp_path, NAMES[:2], cap=30)
    same(first, again)
    assert again.unfinished == NAMES[:2]
    assert again.report()["whole"] == 0
    assert (again.scenes[0].next_state[~again.scenes[0].explored] == -1).all()


def test_scenes_over_a_store_have_tables_of_their_own(tmp_path: Path, explored: list[str]) -> None:
    arguments = {"store": str(STORE), "difficulty": "easy"}
    env = gymnasium.make("StateSet/CustomerService-v0", kinds=["order_question"], **arguments).unwrapped
    names = [env.pool[0]]
    one = Tables.build(SHOP, names, cache=tmp_path, arguments={"store": str(STORE)}, cap=500)
    assert "@" in one.scenes[0].name
    same(one, Tables.build(SHOP, names, cache=tmp_path, arguments={"store": str(STORE)}, cap=500))
    assert explored == names


def test_what_cannot_be_built_or_kept() -> None:
    for jobs in (0, True, 1.5):
        with pytest.raises(BadArgument, match=rf"jobs={jobs!r} must be a whole number of processes from 1 up"):
            Tables.build(EchoEnv, ECHO, jobs=jobs, cache=False)  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match="There is no scene to be tabulated: name at least one"):
        Tables.build(EchoEnv, [], cache=False)
    nowhere = type("Nowhere", (EchoEnv,), {"__module__": "nowhere"})
    with pytest.raises(BadArgument, match=r"Nowhere has no source file.*define it in a file, or give cache=False"):
        TableCache(nowhere, 10, {}, None)
    assert Tables.build(nowhere, ECHO[:1], cache=False).report()["whole"] == 1

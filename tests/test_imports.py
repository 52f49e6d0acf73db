"""Imports point one way: rewards <- envs <- policies <- trainers <- the command line; read from the sources."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("rewards", "envs", "policies", "trainers", "cli", "__main__")
FOLDERS = [folder for folder in ORDER if (ROOT / folder / "__init__.py").exists()]


def modules() -> dict[str, str]:
    """Every module of the package, by its dotted name below `stateset_gym`, with its source; the root is ""."""
    files = [*ROOT.glob("*.py"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))]
    return {dotted(file): file.read_text(encoding="utf-8") for file in files}


def dotted(file: Path) -> str:
    """`envs/echo/__init__.py` is `envs.echo`."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_package(name: str, known: dict[str, str]) -> bool:
    """Whether a module is a folder: it has modules below it, or it is one that could have."""
    return (
        name == ""
        or (ROOT / name.replace(".", "/") / "__init__.py").exists()
        or any(m.startswith(f"{name}.") for m in known)
    )


def targets(name: str, known: dict[str, str]) -> Iterator[str]:
    """The modules of the package that a module imports, anywhere in its text."""
    here = name.split(".") if name else []
    package = here if is_package(name, known) else here[:-1]
    for node in ast.walk(ast.parse(known[name])):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                below = ".".join([*base, alias.name])
                yield below if below in known else ".".join(base)


def against_the_order(known: dict[str, str]) -> list[str]:
    """Imports from a folder that comes later; the root may be imported by all, so it imports none."""
    rank = {"": -1} | {folder: place for place, folder in enumerate(ORDER)}
    return [
        f"{name or '__init__'} imports {target}"
        for name in known
        for target in targets(name, known)
        if rank[target.split(".")[0]] > rank[name.split(".")[0]]
    ]


def circle(known: dict[str, str]) -> list[str]:
    """The modules of one import circle, if there is any."""
    try:
        graphlib.TopologicalSorter({name: {*targets(name, known)} - {name} for name in known}).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def absolute(known: dict[str, str]) -> list[str]:
    """Modules that import the package by its name: editors and type checkers do not resolve that in here."""
    return [name for name, text in known.items() if "stateset_gym" in outside(text)]


def outside(text: str) -> set[str]:
    """The top-level names of the absolute imports of a source."""
    names = [name for node in ast.walk(ast.parse(text)) for name in imported(node)]
    return {name.split(".")[0] for name in names}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def forbidden(text: str) -> list[str]:
    """`eval`, `exec` and handlers that would turn a bug of ours into a reward."""
    return [found for node in ast.walk(ast.parse(text)) if (found := fault(node))]


def fault(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and node.id in ("eval", "exec"):
        return f"line {node.lineno}: {node.id}"
    if isinstance(node, ast.ExceptHandler):
        caught = (
            {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"everything"}
        )
        if broad := caught & {"everything", "Exception", "BaseException"}:
            return f"line {node.lineno}: except {broad.pop()}"
    return ""


def test_every_folder_of_the_package_is_known() -> None:
    packages = {file.parent.name for file in ROOT.glob("[a-z]*/__init__.py")}
    assert packages == set(FOLDERS)
    assert {name.split(".")[0] for name in modules()} <= {"", *ORDER}


def test_imports_point_one_way() -> None:
    assert against_the_order(modules()) == []


def test_imports_have_no_circle() -> None:
    assert circle(modules()) == []


def test_imports_inside_the_package_are_relative() -> None:
    """The pytest plug-in is a package of its own, `stateset_gym_pytest`: to it this one is another."""
    assert absolute({name: text for name, text in modules().items() if ".pytest_plugin" not in name}) == []


def test_rewards_and_rules_do_not_import_gymnasium() -> None:
    plain = {n: text for n, text in modules().items() if n.split(".")[0] == "rewards" or n.endswith(".rules")}
    assert [name for name, text in plain.items() if "gymnasium" in outside(text)] == []


def test_environments_and_rewards_neither_execute_nor_swallow() -> None:
    bound = {name: text for name, text in modules().items() if name.split(".")[0] in ("envs", "rewards")}
    assert {name: found for name, text in bound.items() if (found := forbidden(text))} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rewards.terms", "from ..envs import chance"),
        ("rewards.terms", "def late():\n    from ..envs.chance import draw"),
        ("envs.chance", "from ..policies import rollout"),
        ("", "from . import envs"),
        ("", "from .envs.chance import draw"),
    ],
)
def test_an_import_against_the_order_is_found(name: str, text: str) -> None:
    known = {"": "", "rewards.terms": "", "envs": "", "envs.chance": "", "policies": "", "policies.rollout": ""}
    assert against_the_order(known) == []
    assert len(against_the_order(known | {name: text})) == 1


def test_a_circle_is_found() -> None:
    known = {"envs": "", "envs.a": "from .b import x", "envs.b": "from . import c", "envs.c": ""}
    assert circle(known) == []
    assert {*circle(known | {"envs.c": "def late():\n    from ..envs.a import y"})} == {"envs.a", "envs.b", "envs.c"}


@pytest.mark.parametrize(
    "text", ["import stateset_gym.envs", "from stateset_gym import envs", "def f():\n import stateset_gym"]
)
def test_an_absolute_import_is_found(text: str) -> None:
    assert absolute({"envs.a": text, "envs.b": "from . import a"}) == ["envs.a"]


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "exec('1')",
        "run = eval",
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept (KeyError, BaseException) as error: pass",
    ],
)
def test_a_forbidden_word_is_found(text: str) -> None:
    assert len(forbidden(text)) == 1
    assert forbidden("try: f()\nexcept (KeyError, ValueError): evaluate()") == []

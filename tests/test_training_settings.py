"""Settings of trainers: typed, bounded, documented; from Python, YAML and JSON; what is wrong is told."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from stateset_gym.envs.errors import BadArgument
from stateset_gym.trainers import Config
from stateset_gym.trainers.base import plain
from stateset_gym.trainers.configs import SFTConfig
from stateset_gym.trainers.settings import build, described, read


@dataclass(frozen=True, kw_only=True)
class Example:
    """What is told."""

    steps: Annotated[int, Meta(ge=1, description="How many.")] = 100
    rate: Annotated[float, Meta(gt=0, le=1, description="How fast.")] = 2e-4
    loss: Annotated[Literal["grpo", "dapo"], Meta(description="Which.")] = "grpo"
    report_to: Annotated[tuple[str, ...], Meta(description="To whom.")] = ()
    output: str = ""
    limit: Annotated[int | None, Meta(description="At most.")] = None
    quick: bool = False
    env: Mapping[str, Any] = field(default_factory=dict)


def test_what_is_given_is_taken_and_the_rest_is_the_default(tmp_path: Path) -> None:
    thing = object()
    made = build(
        Example,
        {"steps": np.int64(3), "rate": 1, "report_to": ["wandb"], "output": tmp_path, "env": {"reward": thing}},
    )
    assert made == Example(steps=3, rate=1.0, report_to=("wandb",), output=str(tmp_path), env={"reward": thing})
    assert [type(made.steps), type(made.rate)] == [int, float]
    assert build(Example, {}) == Example()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 3}, r"^stepz=3 is no setting of the trainer 'x'\. Did you mean: 'steps'\?$"),
        ({"quux": 3}, r"^quux=3 is no setting of the trainer 'x': choose one of steps, rate, "),
        (
            {"steps": 0},
            r"^steps=0 does not suit the trainer .*: Expected int >= 1; give int >= 1\. It is: How many\.$",
        ),
        ({"steps": "3"}, r"^steps='3' does not suit .* Expected int, got str; give int >= 1\."),
        ({"steps": 2.5}, r"^steps=2\.5 does not suit .* Expected int, got float"),
        ({"steps": True}, r"^steps=True does not suit .* Expected int, got bool"),
        ({"rate": 2}, r"^rate=2 does not suit .* give float > 0, <= 1\. It is: How fast\.$"),
        ({"rate": float("nan")}, r"^rate=nan does not suit "),
        ({"loss": "gpro"}, r"^loss='gpro' does not suit .*: choose one of 'grpo', 'dapo'; give 'grpo' \| 'dapo'\."),
        ({"report_to": "wandb"}, r"^report_to='wandb' does not suit .* give tuple\[str, \.\.\.\]\."),
        ({"output": 5}, r"^output=5 does not suit the trainer 'x': Expected str, got int; give str\.$"),
        ({"limit": "all"}, r"^limit='all' does not suit .* give int \| None\."),
        ({"env": {1: 2}}, r"^env=\{1: 2\} does not suit .* give Mapping\[str, Any\]\.$"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        build(Example, given, "the trainer 'x'")


@pytest.mark.parametrize(
    ("given", "optimizer", "rate"),
    [
        ({}, "muon", 2e-2),
        ({"optimizer": "adamw"}, "adamw", 2e-3),
        ({"model": "models/qwen"}, "adamw", 1e-4),
        ({"model": "models/qwen", "optimizer": "muon"}, "muon", 1e-3),
        ({"model": "models/qwen", "learning_rate": 3e-4}, "adamw", 3e-4),
        ({"learning_rate": 3e-4}, "muon", 3e-4),
    ],
)
def test_a_model_that_has_learnt_is_taught_gently(given: dict[str, Any], optimizer: str, rate: float) -> None:
    """Unless it is told otherwise; what was chosen is what a run's folder tells, and what is gone on with."""
    config = build(SFTConfig, given)
    assert (config.optimizer, config.learning_rate) == (optimizer, pytest.approx(rate))
    assert build(SFTConfig, plain(config)) == config


@pytest.mark.parametrize(("name", "value"), [("width", 256), ("layers", 2), ("vocabulary", 4096)])
def test_what_is_of_a_new_model_alone_is_refused_for_a_folder(name: str, value: int) -> None:
    assert getattr(build(SFTConfig, {name: value}), name) == value
    why = f"^{name}={value} is of a model that is made anew, and model='models/qwen' is a folder: leave {name} out, or"
    with pytest.raises(BadArgument, match=why):
        build(SFTConfig, {"model": "models/qwen", name: value})


def test_every_setting_is_described() -> None:
    rows = {row.name: row for row in described(Example)}
    assert rows["rate"] == ("rate", "float > 0, <= 1", 2e-4, "How fast.")
    assert rows["env"] == ("env", "Mapping[str, Any]", {}, "")
    assert all(row.doc.endswith(".") and len(row.doc) < 100 for row in described(Config))


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=9)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(WORDS, PLAIN, max_size=4))
def test_json_is_yaml_and_both_are_read_alike(tmp_path_factory: pytest.TempPathFactory, told: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("told.json", "told.yaml", "told.yml"):
        (folder / name).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        assert read(folder / name) == told


def test_yaml_as_people_write_it(tmp_path: Path) -> None:
    file = tmp_path / "told.yaml"
    file.write_text("# mine\nsteps: 30\nrate: 1e-4\nloss: dapo\nreport_to: [wandb]\nenv:\n  difficulty: easy\n")
    expected = Example(steps=30, rate=1e-4, loss="dapo", report_to=("wandb",), env={"difficulty": "easy"})
    assert build(Example, read(file)) == expected
    file.write_text("# nothing yet\n")
    assert read(file) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("told.yaml", b"steps: 3\nrate: [1\n", r"told\.yaml, line 3, is no YAML: expected ',' or '\]'"),
        ("told.yaml", b"steps: 3\nrate: 1\nsteps: 4\n", r"told\.yaml, line 3, gives 'steps' twice: leave one out"),
        ("told.yaml", b"env:\n  a: 1\n  a: 2\n", r"told\.yaml, line 3, gives 'a' twice"),
        ("told.yaml", b"steps: !!python/name:os.system\n", r"told\.yaml, line 1, is no YAML: could not determine a"),
        ("told.yaml", b"a: \x00\n", r"told\.yaml is no YAML: .*not allowed"),
        ("told.yaml", b"- steps\n", r"told\.yaml holds \['steps'\]: write names and values"),
        ("told.yaml", b"steps: \xff\n", r"told\.yaml is no text in UTF-8"),
        ("told.json", b'{"steps": 3,\n"rate": }', r"told\.json, line 2, is no JSON: Expecting value"),
        ("told.json", b'{"steps": 3, "steps": 4}', r"told\.json gives 'steps' twice: leave one out"),
        ("told.json", b"3", r"told\.json holds 3: write names and values"),
        ("told.toml", b"steps = 3", r"told\.toml is no file of settings by its name: it ends in none of \.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadArgument, match=message):
        read(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"There is no file .*told\.yaml: name one that holds the settings"):
        read(tmp_path / "told.yaml")


def test_yaml_without_its_package_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "told.yaml").write_text("steps: 3\n")
    (tmp_path / "told.json").write_text('{"steps": 3}')
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(BadArgument, match="needs the package yaml: pip install pyyaml, or write the settings as JSON"):
        read(tmp_path / "told.yaml")
    assert read(tmp_path / "told.json") == {"steps": 3}

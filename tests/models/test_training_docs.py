"""The guide to training: its examples run, its commands are understood, its tables name what there is."""

import doctest
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from typer.testing import CliRunner

from stateset_gym import trainers
from stateset_gym.__main__ import app
from stateset_gym.trainers import settings
from stateset_gym.trainers.dpo import DPO
from stateset_gym.trainers.folder import Record
from stateset_gym.trainers.grpo import GRPO

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"
GUIDE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
OURS = re.compile(r"(?:stateset-gym|-m stateset_gym) (train .*)")

MODELS = ("runs/sft/final", "models/qwen", "models/qwen-sft", "models/policy")
"""The models that the guide goes on from."""
LANGUAGE = [name for name, each in trainers.base.BUILT_IN.items() if each.extra == "llm"]
"""The trainers that the guide is of."""


def commands():
    """The lines of the guide's shells, each whole."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def told():
    """What `train` is told there, and in the heads of the files for a cluster."""
    files = [*CLUSTER.iterdir()]
    assert len(files) == 5
    heads = ["\n".join(re.findall(r"^# +(.*)$", file.read_text(), re.MULTILINE)) for file in files]
    lines = [*commands(), *(line for head in heads for line in head.replace("\\\n", " ").splitlines())]
    found = [match[1].partition("#")[0].strip() for line in lines if (match := OURS.search(line))]
    return sorted({each for each in found if "..." not in each})


def cells(first):
    """The first column of the table that is headed so."""
    rows = GUIDE.split(f"| {first} ", 1)[1].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows[: next(at for at, row in enumerate(rows) if not row)]]


def names(first):
    """The same, as names."""
    return [cell.strip("`") for cell in cells(first)]


def test_the_examples_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    result = runner.run(doctest.DocTestParser().get_doctest(GUIDE, {}, "training.md", "training.md", 0))
    assert result.attempted >= 8
    assert result.failed == 0


@pytest.mark.parametrize("line", told())
def test_the_commands_are_understood(line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for model in MODELS:
        (tmp_path / model).mkdir(parents=True)
        (tmp_path / model / "config.json").write_text("{}")
    if "--resume" in line:
        begun = trainers.make("grpo", "StateSet/CustomerService-v0", model="runs/sft/final", output="runs/grpo")
        begun.folder.begin(Record("grpo", begun.env_id, trainers.base.plain(begun.config)))
        begun.folder.checkpoint(7).mkdir(parents=True)
    done = CliRunner().invoke(app, [*shlex.split(line), *(() if "--dry-run" in line else ("--dry-run",))])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "Nothing was trained." in done.output


def test_every_command_of_ours_was_looked_at():
    assert len(told()) >= 10
    assert sum(bool(OURS.search(line)) for line in commands()) >= 10


def test_the_table_names_every_trainer():
    assert names("Trainer") == LANGUAGE


@pytest.mark.parametrize("name", [name for name in LANGUAGE if issubclass(trainers.find(name), GRPO)])
def test_the_table_tells_each_objective(name):
    (row,) = (line for line in GUIDE.splitlines() if line.startswith(f"| `{name}` |"))
    _, advantage, ratio, losses = (cell.strip() for cell in row.strip("|").split("|"))
    found = trainers.find(name)
    kind = found.objective["loss_type"]
    as_told = {"as `grpo`": "grpo", "as `dapo`": "dapo", "averaged over all tokens of the batch": "dapo"}
    heads = {"averaged within a conversation": "grpo", "summed, and divided by conversations": "dr_grpo"}
    assert kind == (as_told.get(losses) or next(kind for head, kind in heads.items() if losses.startswith(head)))
    scaled = advantage == "as `grpo`" or "/ (sd + 0.0001)" in advantage
    assert scaled == (found.objective["scale_rewards"] == "group")
    assert advantage.startswith("by turn") == found.by_turn
    assert ratio.startswith("by conversation") == (found.objective.get("importance_sampling_level") == "sequence")


def test_the_table_names_every_file_of_a_run():
    assert names("In its folder") == [*{**trainers.find("grpo").files, **DPO.files}]


def test_the_settings_that_are_named_exist():
    known = {name for each in LANGUAGE for name in settings.fields(trainers.find(each).config_class)}
    written = {name for name, _ in re.findall(r"`([a-z_]+)=([^`]*)`", GUIDE)} - {"prompt", "progress"}
    assert written >= {"lora", "dtype", "beta", "constrained", "iterations"} - {"beta"}
    assert written <= known


def test_the_metrics_that_are_named_are_written(tmp_path):
    from .trained import ECHO, saved, scenes

    trainers.make(
        "grpo", ECHO, model=saved(ECHO, tmp_path / "model"), env={"scenes": scenes(ECHO, 2)}, output=tmp_path / "run",
        steps=2, batch=8, group=4, tested=4, evaluate_every=1, held_out=4,
    ).train()  # fmt: skip
    section = GUIDE.split("### Metrics\n", 1)[1].split("`report_to`", 1)[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert len(named) > 10
    assert named <= {name for line in trainers.Folder(tmp_path / "run").metrics() for name in line}


@pytest.mark.parametrize("name", ["one_node", "nodes", "zero2"])
def test_accelerate_reads_the_files_for_a_cluster(name):
    config = load_config_from_file(str(CLUSTER / f"{name}.yaml"))
    wanted = "DEEPSPEED" if name == "zero2" else "MULTI_GPU"
    assert config.distributed_type.value == wanted
    assert config.num_processes == 8 * config.num_machines
    assert config.num_machines == (2 if name == "nodes" else 1)


def test_the_settings_for_a_cluster_can_be_dealt(monkeypatch):
    trainer = trainers.make("grpo", "StateSet/CustomerService-v0", **trainers.read(CLUSTER / "grpo.yaml"))
    for processes in (8, 16):
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        dealt = trainer.dealt(trainer.config.group)
        assert dealt.micro * dealt.passes * processes == trainer.config.batch


def test_the_table_names_every_file_for_a_cluster():
    assert sorted(names("File in `examples/cluster`")) == sorted(file.name for file in CLUSTER.iterdir())


def test_the_script_for_slurm_is_one():
    script = CLUSTER / "train.slurm"
    assert script.read_text().startswith("#!/bin/bash\n")
    assert subprocess.run(["bash", "-n", script], env=dict(os.environ), check=False).returncode == 0

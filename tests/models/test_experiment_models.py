"""Comparisons of trainers that make models: whenever a run is killed, what comes of it in the end is the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import torch

from stateset_gym import policies
from stateset_gym.policies import registry
from stateset_gym.policies.local import Local
from stateset_gym.policies.local.load import load
from stateset_gym.rewards.errors import InfrastructureError
from stateset_gym.trainers import Folder, cells, experiment, plan
from stateset_gym.trainers.folder import UNFINISHED, Summary

from .trained import untrained

ECHO = "StateSet/Echo-v0"
SMALL = {"max_new_tokens": 12, "batch": 16}
GIVEN = {
    "env": ECHO,
    "arguments": {"difficulty": "easy"},
    "scenes": 40,
    "held_out": 16,
    "points": 3,
    "cells": {
        "sft": {"trainer": "sft", "steps": 12, "width": 64, "layers": 1, "vocabulary": 512, **SMALL},
        "grpo": {"trainer": "grpo", "start": "sft", "steps": 3, "group": 4, **SMALL},
        "dpo": {"trainer": "dpo", "start": "sft", "steps": 3, "points": 12, "branches": 4, **SMALL},
        "bc": {"trainer": "bc", "steps": 60, "scenes": 30},
        "masked": {"trainer": "maskable_ppo", "steps": 512, "scenes": 60, "envs": 8, "n_steps": 16, "batch": 64},
        "q": {"trainer": "dqn", "steps": 400, "scenes": 60, "envs": 8, "checkpoint_every": 100},
    },
}
STARTED = ("grpo", "dpo")
CLASSICAL = ("bc", "masked", "q")


def ran(output, *names):
    """The runs of these cells, in this process."""
    found = experiment.plan(**GIVEN)
    plan.keep(found, output)
    for name in names:
        cells.run(found, found.all_cells[name], 0, output)
    return output


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nothing has interrupted."""
    return ran(tmp_path_factory.mktemp("whole"), "sft", *STARTED)


def same(one, other, name):
    """Whether a run came to the same: its figures, its model, its metrics but for the time."""
    first, second = (folder / name / "seed-0" for folder in (one, other))
    # Of the versions those that are in use are told, and here all runs share a process with the other tests.
    figures = [msgspec.structs.replace(cells.result(folder), versions={}) for folder in (first, second)]
    assert figures[0] == figures[1]
    weights = [parameters(folder / "final") for folder in (first, second)]
    assert weights[0].keys() == weights[1].keys() != set()
    assert all(torch.equal(weights[0][each], weights[1][each]) for each in weights[0])
    clocks = ("seconds", "time", "fps")
    lines = [
        [{k: v for k, v in line.items() if not k.endswith(clocks)} for line in Folder(folder).metrics()]
        for folder in (first, second)
    ]
    assert lines[0] == lines[1]


def parameters(folder):
    """A model's, by their names: one of stable-baselines3, or of Hugging Face."""
    model = folder / "model.zip"
    if model.exists():
        return policies.make(f"sb3:{model}", ECHO).model.policy.state_dict()
    return dict(load(folder, "cpu", "float32").model.named_parameters())


def copied(whole, folder, name, *less):
    """The state of a comparison in which a run lacks some of what it wrote."""
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    for each in less:
        path = folder / name / "seed-0" / each
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder / name / "seed-0"


def test_the_final_measurement_samples_as_the_model_is_used(whole):
    found = cells.result(whole / "sft" / "seed-0")
    options = {"temperature": 1.0, "max_new_tokens": 12}
    model = f"hf:{whole / 'sft' / 'seed-0' / 'final'}"
    report = policies.evaluate(model, ECHO, scenes=40, prompt="none", difficulty="easy", options=options)
    assert found.successes == [result.success for result in report.results]
    assert found.returns == [result.total for result in report.results]
    assert sum(found.successes) > 0
    assert (found.episodes, found.actions) == (12 * 16, 12 * 16)
    assert found.tokens > found.actions


@pytest.mark.skipif(os.name != "posix", reason="no such signals")
def test_it_may_be_killed_at_any_time(whole, tmp_path):
    found = experiment.plan(**GIVEN)
    plan.keep(found, tmp_path)
    command = [sys.executable, "-m", "stateset_gym.trainers.cells", str(tmp_path), "sft", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        while process.poll() is None and len(Folder(tmp_path / "sft" / "seed-0").metrics()) < 6:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert cells.result(tmp_path / "sft" / "seed-0") is None
    same(whole, ran(tmp_path, "sft"), "sft")


@pytest.mark.parametrize("name", ["sft", *STARTED])
def test_killed_between_the_last_step_and_the_end(whole, tmp_path, name):
    copied(whole, tmp_path, name, "result.json", "summary.json", "final", "traces.jsonl")
    same(whole, ran(tmp_path, name), name)


@pytest.mark.parametrize("name", ["sft", *STARTED])
def test_killed_while_a_checkpoint_was_being_written(whole, tmp_path, name):
    folder = copied(whole, tmp_path, name, "result.json", "summary.json", "final")
    last = Folder(folder).last()[1]
    (last / UNFINISHED).touch()
    (last / "model.safetensors").write_bytes(b"\0" * 100)
    same(whole, ran(tmp_path, name), name)
    assert not (last / UNFINISHED).exists()


@pytest.fixture(scope="module")
def classical(tmp_path_factory):
    """Runs of classical trainers that nothing has interrupted."""
    return ran(tmp_path_factory.mktemp("classical"), *CLASSICAL)


@pytest.mark.parametrize("checkpoints", [0, 1])
@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_trainers_go_on_too(classical, tmp_path, name, checkpoints):
    folder = copied(classical, tmp_path, name, "result.json", "summary.json", "final")
    for _, each in Folder(folder).saved()[-1:] if checkpoints else ():
        shutil.rmtree(each)
    assert Folder(folder).saved()
    same(classical, ran(tmp_path, name), name)


def test_killed_before_the_first_checkpoint(whole, tmp_path):
    folder = copied(whole, tmp_path, "sft", "result.json", "summary.json", "final", "checkpoints", "best")
    (folder / "metrics.jsonl").write_text('{"step": 1, "lo')
    same(whole, ran(tmp_path, "sft"), "sft")


def test_killed_while_it_was_measured(whole, tmp_path):
    folder = copied(whole, tmp_path, "sft", "result.json")
    traces = (folder / "traces.jsonl").read_bytes()
    (folder / "traces.jsonl").rename(folder / "traces.jsonl.part")
    (folder / "traces.jsonl.part").write_bytes(traces[:5000])
    before = (folder / "final" / "model.safetensors").stat().st_mtime_ns
    same(whole, ran(tmp_path, "sft"), "sft")
    assert (folder / "final" / "model.safetensors").stat().st_mtime_ns == before  # nothing was trained again
    assert len((folder / "traces.jsonl").read_bytes().splitlines()) == 40


def test_what_begins_from_another_cell_begins_from_its_model(whole):
    for name in STARTED:
        config = json.loads((whole / name / "seed-0" / "run.json").read_text())["config"]
        assert Path(config["model"]) == whole / "sft" / "seed-0" / "final"
        assert (config["evaluate_every"], config["held_out"], config["checkpoint_every"]) == (1, 16, 1)
        assert config["tested"] == 0


def measured(model, folder, monkeypatch):
    """What comes of a run that has trained this model."""
    found = experiment.plan(**{**GIVEN, "scenes": 3})
    playing = cells.Playing(Local(registry.kind_of(ECHO), model, max_new_tokens=12), found.arguments, {})
    monkeypatch.setattr(cells, "_trained", lambda *given: (playing, Summary()))
    cells.run(found, found.all_cells["sft"], 0, folder)
    return cells.result(folder / "sft" / "seed-0")


def test_a_conversation_that_outgrows_the_model_has_failed(tmp_path, monkeypatch):
    found = measured(untrained(ECHO, context=16), tmp_path, monkeypatch)
    assert (found.outgrown, found.successes) == (3, [False] * 3)


def test_what_fails_beside_the_model_is_no_failure_of_it(tmp_path, monkeypatch):
    """Such as an answer that could not be computed: the run is tried again, and nothing is written as its result."""
    answers, whole = [0, 0, 1], Local.act_batch

    def now_and_then(self, observations, facts):
        error = InfrastructureError("no answer", "an endpoint", "start it")
        return [each if answers[slot] else error for slot, each in enumerate(whole(self, observations, facts))]

    monkeypatch.setattr(Local, "act_batch", now_and_then)
    with pytest.raises(InfrastructureError, match=r"^2 of 3 conversations could not be measured, .*because: no answer"):
        measured(untrained(ECHO, context=16), tmp_path, monkeypatch)
    assert cells.result(tmp_path / "sft" / "seed-0") is None


@pytest.mark.parametrize("name", ["demo", "demo_quick"])
def test_the_demonstration_can_be_run(tmp_path, name):
    found = experiment.read(Path(__file__).parents[2] / "examples" / f"{name}.yaml")
    plan.check(found, tmp_path)
    told = {cell.trainer or cell.policy for cell in found.all_cells.values()}
    assert told == {"random", "expert", "bc", "ppo", "maskable_ppo", "dqn", "sft", "grpo", "gspo", "dpo"}
    assert {cell.start for cell in found.all_cells.values()} == {"", "sft"}

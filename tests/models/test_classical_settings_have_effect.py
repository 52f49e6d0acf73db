"""Each setting of the classical trainers has an effect: what a training leaves is not what it leaves without it."""

import os
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from stable_baselines3.common.logger import KVWriter

from stateset_gym import trainers
from stateset_gym.trainers import learner
from stateset_gym.trainers.base import BUILT_IN

ECHO = "StateSet/Echo-v0"
NAMES = [name for name in BUILT_IN if BUILT_IN[name].extra == "sb3"]
USUAL = {
    "env": {"difficulty": "hard"},
    "steps": 64,
    "log_every": 16,
    "evaluate_every": 32,
    "held_out": 4,
    "net": [4],
    "scenes": 40,
    "tested": 0,
    "envs": 4,
    "n_steps": 4,
    "batch": 8,
    "epochs": 2,
    "lstm": 4,
    "buffer": 48,
    "learning_starts": 16,
    "target_every": 16,
    "exploration_share": 0.5,
}
"""What is given where nothing else is said; the rest is the default."""
OWN = {"bc": {"learning_rate": 1e-5}}
"""It would else do better at each evaluation, and no patience would be tried."""
OTHER = {
    "env": {"difficulty": "normal"},
    "seed": 1,
    "steps": 96,
    "log_every": 32,
    "checkpoint_every": 32,
    "evaluate_every": 16,
    "held_out": 5,
    "patience": 1,
    "learning_rate": 0.02,
    "schedule": "constant",
    "net": [5],
    "scenes": 5,
    "tested": 3,
    "report_to": ["tensorboard"],
    "envs": 8,
    "view": "tabular",
    "gamma": 0.3,
    "n_steps": 8,
    "gae_lambda": 0.3,
    "entropy": 0.0,
    "value_weight": 0.1,
    "clip": 0.01,
    "clone": 3,
    "batch": 16,
    "epochs": 3,
    "clip_ratio": 0.001,
    "lstm": 5,
    "buffer": 20,
    "learning_starts": 32,
    "train_every": 2,
    "updates": 2,
    "target_every": 8,
    "exploration": 0.9,
    "exploration_share": 1.0,
}
"""Another value of each setting but `output`: whoever adds a setting tells one here."""
UNTRIED = {("recurrent_ppo", "clone")} | {(name, "output") for name in NAMES}
"""The first is refused but for its default; the other is where all of these look."""
CLOCKS = ("seconds", "fps", "minutes")


def known(name):
    return [each.name for each in fields(trainers.find(name).config_class)]


TRIED = [(name, setting) for name in NAMES for setting in known(name) if (name, setting) not in UNTRIED]


class Written(KVWriter):
    """Stands for TensorBoard, which need not be installed."""

    def __init__(self, folder):
        self.file = Path(folder)

    def write(self, key_values, key_excluded, step=0):
        self.file.touch()

    def close(self):
        pass


def left(name, folder, patch, **changes):
    """What a training leaves that no clock has measured: files, metrics, what came of it, and its last parameters."""
    patch.setattr(learner, "TensorBoardOutputFormat", Written)
    patch.setitem(sys.modules, "tensorboard", os)
    patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))  # tables are made anew, and told of
    said = set()
    config = {key: value for key, value in {**USUAL, **OWN.get(name, {}), **changes}.items() if key in known(name)}
    trainer = trainers.make(name, ECHO, output=folder, **config)
    trainer.train(progress=lambda what, done, total: said.add(re.sub(r"[-\d.]+", "", what)))
    run = trainer.folder
    state = torch.load(run.last()[1] / "state.pt", weights_only=False)["learner"]["parameters"]["policy"]
    return {
        "files": sorted(str(each.relative_to(folder)) for each in folder.rglob("*")),
        "metrics": [timeless(line) for line in run.metrics()],
        "summary": timeless({each: getattr(run.summary(), each) for each in run.summary().__struct_fields__}),
        "parameters": {place: value.tolist() for place, value in state.items()},
        "said": said,
    }


def timeless(told):
    return {name: value for name, value in told.items() if not name.endswith(CLOCKS)}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """What the trainers leave where nothing is changed."""
    with pytest.MonkeyPatch.context() as patch:
        yield {name: left(name, tmp_path_factory.mktemp(name) / "run", patch) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_changed_has_no_effect(name, usual, tmp_path, monkeypatch):
    """So that what differs below is due to the setting."""
    assert left(name, tmp_path / "run", monkeypatch) == usual[name]


@pytest.mark.parametrize(("name", "setting"), TRIED)
def test_a_setting_has_an_effect(name, setting, usual, tmp_path, monkeypatch):
    assert left(name, tmp_path / "run", monkeypatch, **{setting: OTHER[setting]}) != usual[name]

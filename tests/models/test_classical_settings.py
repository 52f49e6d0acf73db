"""The settings of the classical trainers reach the algorithms; what does not go together is told before a training."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from stable_baselines3.common.logger import KVWriter
from typer.testing import CliRunner

from stateset_gym import trainers
from stateset_gym.__main__ import app
from stateset_gym.envs.echo.env import EchoEnv
from stateset_gym.envs.errors import BadArgument
from stateset_gym.trainers import learner
from stateset_gym.trainers.base import BUILT_IN, plain
from stateset_gym.trainers.classical import ClassicalTrainer
from stateset_gym.trainers.settings import described

ECHO, SHOP = "StateSet/Echo-v0", "StateSet/CustomerService-v0"
NAMES = [name for name in BUILT_IN if BUILT_IN[name].extra == "sb3"]
SMALL = {"envs": 2, "n_steps": 4, "batch": 8, "steps": 8, "tested": 0, "evaluate_every": 0, "scenes": 8}


def made(name, folder, **config):
    known = {each.name for each in fields(trainers.find(name).config_class)}
    small = {key: value for key, value in SMALL.items() if key in known}
    return trainers.make(name, ECHO, output=folder, **{**small, **config})


def model(trainer):
    return trainer.learner([f"Echo-v0/train/easy/{number:06d}" for number in range(8)]).model


SHARED = {
    "envs": (3, lambda model: model.n_envs),
    "gamma": (0.5, lambda model: model.gamma),
    "learning_rate": (0.07, lambda model: model.lr_schedule(1)),
    "net": ([5, 6], lambda model: model.policy.net_arch),
    "seed": (9, lambda model: model.seed),
}
VALUES = {
    "n_steps": (7, lambda model: model.rollout_buffer.buffer_size),
    "gae_lambda": (0.6, lambda model: model.rollout_buffer.gae_lambda),
    "entropy": (0.3, lambda model: model.ent_coef),
    "value_weight": (0.4, lambda model: model.vf_coef),
    "clip": (0.2, lambda model: model.max_grad_norm),
}
CLIPPED = VALUES | {
    "batch": (4, lambda model: model.batch_size),
    "epochs": (3, lambda model: model.n_epochs),
    "clip_ratio": (0.4, lambda model: model.clip_range(1)),
}
OWN = {
    "a2c": VALUES,
    "ppo": CLIPPED,
    "maskable_ppo": CLIPPED,
    "recurrent_ppo": CLIPPED | {"lstm": (9, lambda model: model.policy.lstm_actor.hidden_size)},
    "dqn": {
        "buffer": (40, lambda model: model.buffer_size),
        "learning_starts": (6, lambda model: model.learning_starts),
        "train_every": (3, lambda model: model.train_freq.frequency),
        "updates": (2, lambda model: model.gradient_steps),
        "batch": (4, lambda model: model.batch_size),
        "target_every": (11, lambda model: model.target_update_interval),
        "exploration": (0.2, lambda model: model.exploration_schedule(0)),
        "exploration_share": (0.4, lambda model: model.exploration_schedule.end_fraction),
        "clip": (0.7, lambda model: model.max_grad_norm),
    },
}
REACH = [(name, setting) for name in OWN for setting in {**SHARED, **OWN[name]}]


@pytest.mark.parametrize(("name", "setting"), REACH)
def test_a_setting_reaches_the_algorithm(name, setting, tmp_path):
    value, read = {**SHARED, **OWN[name]}[setting]
    more = {"batch": 2} if setting in ("envs", "n_steps") and "batch" in OWN[name] else {}
    assert read(model(made(name, tmp_path / "one"))) != value
    assert read(model(made(name, tmp_path / "two", **{setting: value}, **more))) == value


def test_every_setting_is_looked_at_somewhere():
    """Those of a run are told of in the other files."""
    ours = {each.name for name in OWN for each in fields(trainers.find(name).config_class)}
    looked = {setting for _, setting in REACH} | {each.name for each in fields(trainers.Config)}
    assert ours - looked == {"schedule", "scenes", "tested", "report_to", "view", "clone"}


@pytest.mark.parametrize("name", NAMES)
def test_configs_are_small_and_told(name):
    told = described(trainers.find(name).config_class)
    assert len(told) <= 30
    assert all(each.doc for each in told)


@pytest.mark.parametrize(("schedule", "middle"), [("linear", 0.01), ("constant", 0.02)])
@pytest.mark.parametrize("name", NAMES)
def test_the_learning_rate_falls_or_stays(name, schedule, middle, tmp_path):
    dqn = {"learning_starts": 0} if name == "dqn" else {}
    trainer = made(name, tmp_path / "run", steps=32, schedule=schedule, learning_rate=0.02, **dqn)
    rates = {}

    def note(event):
        rates[event.step] = trainer._learner.model.policy.optimizer.param_groups[0]["lr"]

    trainer.train(callbacks=[note])
    assert (rates[16], rates[32]) == pytest.approx((middle, 0.02 if schedule == "constant" else 0.0), abs=0.001)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("ppo", {"batch": 3}, r"batch=3 does not divide a rollout of envs=2 times n_steps=4, 8 actions"),
        ("a2c", {"patience": 2}, r"patience=2 counts evaluations, and evaluate_every=0 makes none"),
        ("maskable_ppo", {"clone": 9}, r"clone=9 conversations of the expert are more than the scenes=8"),
        ("recurrent_ppo", {"clone": 1}, r"clone=1 teaches single turns, and an LSTM is taught whole conversations"),
        ("dqn", {"env": {"dificulty": "easy"}}, r"dificulty='easy' is no argument of .*Did you mean: 'difficulty'"),
        ("dqn", {"report_to": ["tensorboard"]}, r"needs the package tensorboard: pip install tensorboard, or leave it"),
    ],
)
def test_what_does_not_go_together_is_told(name, config, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(BadArgument, match=message):
        made(name, tmp_path / "run", **config).train()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("dqn", {"clone": 5}, r"clone=5 is no setting of the trainer 'dqn'"),
        ("ppo", {"net": [0]}, r"net=\[0\] does not suit the trainer 'ppo'"),
        ("ppo", {"view": "json"}, r"view='json' does not suit .*choose one of 'discrete', 'tabular'"),
        ("ppo", {"report_to": ["wandb"]}, r"report_to=\['wandb'\] does not suit"),
        ("ppo", {"difficulty": "easy"}, r"difficulty='easy' is an argument of the environment, .* env=\{'difficulty'"),
    ],
)
def test_what_no_setting_allows_is_told(name, config, message):
    with pytest.raises(BadArgument, match=message):
        trainers.make(name, ECHO, **config)


def test_a_customer_of_ones_own_is_told(tmp_path):
    trainer = trainers.make("ppo", SHOP, output=tmp_path / "run", env={"customer": lambda messages, state: None})
    with pytest.raises(BadArgument, match=r"env\.customer=.* may answer otherwise when a conversation is held again"):
        trainer.train()


def test_several_processes_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadArgument, match="ppo trains in one process, and here are 2: start it without torchrun"):
        made("ppo", tmp_path / "run").train()


def test_all_scenes_held_out_is_told(tmp_path):
    config = {"env": {"scenes": range(999_990, 1_000_000)}, "evaluate_every": 4, "held_out": 10}
    with pytest.raises(BadArgument, match="All 10 scenes to train on are held out"):
        made("ppo", tmp_path / "run", **config).train()


def test_nothing_is_saved_before_it_is_trained(tmp_path):
    with pytest.raises(BadArgument, match="ppo has not trained yet, and has nothing to save"):
        made("ppo", tmp_path / "run").save(tmp_path / "model")


def test_an_environment_without_a_catalogue_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(EchoEnv, "parts", replace(EchoEnv.parts, catalogue=None))
    with pytest.raises(BadArgument, match="has no catalogue, so there is no discrete view of it"):
        made("ppo", tmp_path / "run").train()


def test_an_expert_that_no_template_stands_for_is_told(tmp_path, monkeypatch):
    from stateset_gym.envs.echo.actions import Say

    monkeypatch.setattr(EchoEnv, "parts", replace(EchoEnv.parts, expert=lambda memory: Say("nobody's word")))
    with pytest.raises(BadArgument, match=r"The expert does Say\(.*\), which no template of the catalogue stands for"):
        made("bc", tmp_path / "run").train()


@pytest.mark.parametrize(
    ("setting", "value"), [("envs", 4), ("net", [8]), ("view", "tabular"), ("lstm", 8), ("buffer", 7)]
)
def test_what_decides_the_shape_of_a_run_stays(setting, value, tmp_path):
    name = {"lstm": "recurrent_ppo", "buffer": "dqn"}.get(setting, "ppo")
    trainer = made(name, tmp_path / "run", batch=2)
    trainer.train()
    old = plain(trainer.config)[setting]
    with pytest.raises(
        BadArgument, match=rf"^{setting}=.* cannot be changed on the way: .* begun with {old!r}".replace("[", r"\[")
    ):
        trainers.resume(tmp_path / "run", **{setting: value}).train(resume=True)
    trainers.resume(tmp_path / "run", **{setting: old, "steps": 16}).train(resume=True)
    assert setting in ClassicalTrainer.fixed


class Written(KVWriter):
    """What TensorBoard would be told."""

    told = []

    def __init__(self, folder):
        self.folder = Path(folder)

    def write(self, key_values, key_excluded, step=0):
        Written.told.append((self.folder.name, step, key_values.copy()))

    def close(self):
        Written.told.append("closed")


def test_metrics_go_to_tensorboard_too(tmp_path, monkeypatch):
    monkeypatch.setattr(learner, "TensorBoardOutputFormat", Written)
    monkeypatch.setitem(sys.modules, "tensorboard", os)
    monkeypatch.setattr(Written, "told", [])
    trainer = made(
        "ppo", tmp_path / "run", steps=16, report_to=["tensorboard"], log_every=1, evaluate_every=8, held_out=2
    )
    trainer.train()
    *told, closed = Written.told
    assert closed == "closed"
    assert [(folder, step) for folder, step, _ in told] == [("tensorboard", 8), ("tensorboard", 16)]
    written = [line for line in trainer.folder.metrics() if "fps" in line]
    for (_, _, values), line in zip(told, written, strict=True):
        assert values == {name: value for name, value in line.items() if name not in ("step", "seconds", "cpu_seconds")}
        assert {"success", "reward", "turns", "loss", "held_out_success"} <= {*values}


@pytest.mark.parametrize(
    ("package", "name"), [("stable_baselines3", "ppo"), ("stable_baselines3", "bc"), ("sb3_contrib", "maskable_ppo")]
)
def test_a_missing_package_names_the_remedy(package, name):
    code = (
        f"import sys; sys.modules[{package!r}] = None; from stateset_gym import trainers\n"
        f"try: trainers.make({name!r}, {ECHO!r})\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f'Trainer {name!r} needs the package {package}: pip install "stateset-gym[sb3]".'


def test_no_language_model_is_needed(tmp_path):
    """Nor sb3-contrib, where nothing of it is used."""
    code = (
        "import sys\nfor name in ('transformers', 'trl', 'datasets', 'sb3_contrib'): sys.modules[name] = None\n"
        "from stateset_gym import trainers\n"
        f"trainers.make('ppo', {ECHO!r}, output={str(tmp_path / 'run')!r}, **{SMALL!r}).train()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("pair", ["difficulty=normal", "env.difficulty=normal"])
def test_the_command_takes_arguments_of_the_environment(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["train", "maskable_ppo", "--env", SHOP, "--set", pair, "--set", "net=64,32", "--dry-run", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert '"difficulty": "normal"' in done.output
    assert "maskable_ppo" in done.output

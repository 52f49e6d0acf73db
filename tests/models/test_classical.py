"""Every classical trainer solves Echo, goes on exactly where it ended, and is measured as its policy is elsewhere."""

import os
import random
import shutil
import signal
from collections import deque

import msgspec
import numpy as np
import pytest
import torch

from stateset_gym import policies, trainers
from stateset_gym.trainers import Folder, held_out, measuring
from stateset_gym.trainers.best import Best
from stateset_gym.trainers.folder import Share
from stateset_gym.trainers.measuring import Done, Measure
from stateset_gym.trainers.through_sb3 import Greedy
from stateset_gym.trainers.vec_env import Conversations

ECHO, SHOP = "StateSet/Echo-v0", "StateSet/CustomerService-v0"
EASY = {"difficulty": "easy"}
NAMES = ("bc", "maskable_ppo", "ppo", "recurrent_ppo", "a2c", "dqn")
ALONE = ("bc", "dqn")
"""Those without rollouts of some actions of each conversation."""
SMALL = {"net": [32], "learning_rate": 3e-3, "schedule": "constant", "scenes": 200, "tested": 100, "held_out": 30}
OWN = {
    "bc": {"steps": 60, "batch": 64},
    "dqn": {"learning_starts": 500, "target_every": 300, "train_every": 2, "exploration_share": 0.5},
    "a2c": {"n_steps": 4},
    "recurrent_ppo": {"lstm": 16},
}
"""Enough for Echo."""
TINY = {**SMALL, "envs": 4, "n_steps": 6, "batch": 12, "epochs": 2, "steps": 96, "tested": 0, "evaluate_every": 0}
"""Enough to be interrupted in the midst of conversations."""


def made(name, env_id, folder, **config):
    """A trainer, told of these settings what concerns it."""
    known = trainers.settings.fields(trainers.find(name).config_class)
    given = {key: value for key, value in {"env": EASY, "log_every": 1, **config}.items() if key in known}
    return trainers.make(name, env_id, output=folder, **given)


def learning(name, folder, **config):
    rollouts = {"envs": 16, "n_steps": 16, "batch": 64, "epochs": 4, "steps": 4096, "evaluate_every": 2048}
    return made(name, ECHO, folder, **{**SMALL, **rollouts, **OWN.get(name, {}), **config})


def tiny(name, folder, **config):
    own = {"bc": {"steps": 8, "scenes": 5}, "recurrent_ppo": {"lstm": 8}, "dqn": {"learning_starts": 24, "buffer": 60}}
    return made(name, SHOP, folder, **{**TINY, **own.get(name, {}), **config})


def parameters(trainer):
    """Those of the model as it is now, copied."""
    return {name: value.clone() for name, value in trainer._learner.model.policy.state_dict().items()}


def kept(folder, step):
    """What the checkpoint of a step holds, without the clock of the episodes, each value by its place."""
    state = torch.load(folder / "checkpoints" / f"checkpoint-{step}" / "state.pt", weights_only=False)
    for episode in state["learner"].get("progress", {}).get("ep_info_buffer", ()):
        del episode["t"]
    return dict(flat(state))


def flat(value, place=""):
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list | tuple | deque):
        parts = enumerate(value)
    else:
        yield place, value.tolist() if isinstance(value, torch.Tensor | np.ndarray) else value
        return
    for name, each in parts:
        yield from flat(each, f"{place}/{name}")


def told(trainer):
    """The metrics, without what was measured with a clock."""
    left = ("seconds", "cpu_seconds", "held_out_seconds", "fps")
    lines = trainer.folder.metrics()
    return [{name: value for name, value in line.items() if name not in left} for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_every_trainer_solves_echo(tmp_path, name):
    trainer = learning(name, tmp_path / "run")
    events = []
    policy = trainer.train(callbacks=[events.append])
    summary = trainer.summary
    assert summary == trainer.folder.summary()
    assert (summary.before.scenes, summary.after.successes, summary.after.scenes) == (100, 100, 100)
    assert summary.before.successes < 60
    assert (summary.train.successes, summary.return_after, summary.stopped) == (100, 1.0, "")
    assert summary.steps == trainer.config.steps == events[-1].step
    assert summary.episodes == (200 if name == "bc" else summary.steps)
    assert all((trainer.folder.path / each).exists() for each in ("run.json", "metrics.jsonl", "summary.json"))
    for agent in (policy, policies.make(f"sb3:{trainer.folder.final / 'model.zip'}", ECHO, view=catalogue())):
        assert policies.evaluate(agent, ECHO, scenes=50, **EASY).success.mean == 1
    if name != "bc":
        assert events[-1].metrics.keys() >= {"success", "reward", "turns", "fps", "loss", "held_out_success"} - (
            {"loss"} if name == "a2c" else set()
        )
        assert events[0].metrics["turns"] == 1
        assert (trainer.folder.best / "model.zip").exists()


def catalogue():
    return "stateset_gym.envs.discrete:catalogue_of"


CASES = {name: {} for name in NAMES} | {
    "dqn before it learns": {"learning_starts": 60},
    "dqn with room": {"buffer": 1000},
    "maskable_ppo cloned": {"clone": 3},
    "ppo on tables": {"view": "tabular", "scenes": 3, "env": {**EASY, "kinds": ["change_profile_address"]}},
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_is_the_run_that_was_not_interrupted(tmp_path, monkeypatch, case):
    """Bit for bit: parameters, optimiser, metrics; whatever others draw meanwhile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name, config = case.partition(" ")[0], {"evaluate_every": 40, "held_out": 3, **CASES[case]}
    whole = tiny(name, tmp_path / "whole", **config)
    whole.train()
    cut = tiny(name, tmp_path / "cut", **config)
    half = cut.config.steps // 2
    cut.train(callbacks=[lambda event: event.step >= half])
    assert (cut.summary.steps, cut.summary.stopped) == (half, "callback")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    again = trainers.resume(tmp_path / "cut")
    again.train(resume=True)
    end = whole.summary.steps
    assert (again.summary.steps, again.summary.episodes) == (end, whole.summary.episodes)
    assert again.summary.episodes > 0
    assert again.summary.best_step == whole.summary.best_step
    one, two = kept(tmp_path / "whole", end), kept(tmp_path / "cut", end)
    assert one == two
    assert one != kept(tmp_path / "cut", half)
    assert told(whole) == told(again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_after_the_rollout_with_a_checkpoint(tmp_path, number):
    def interrupt(event):
        if event.step == 48:
            os.kill(os.getpid(), number)

    trainer = tiny("ppo", tmp_path / "run", tested=5)
    trainer.train(callbacks=[interrupt])
    assert (trainer.summary.stopped, trainer.summary.steps, trainer.summary.after) == ("interrupted", 48, None)
    assert [step for step, _ in trainer.folder.saved()] == [48]
    again = trainers.resume(tmp_path / "run")
    again.train(resume=True)
    assert (again.summary.stopped, again.summary.steps, again.summary.after.scenes) == ("", 96, 5)


def test_a_finished_run_goes_on_with_more_steps(tmp_path):
    tiny("dqn", tmp_path / "run").train()
    again = trainers.resume(tmp_path / "run", steps=150)
    again.train(resume=True)
    assert again.summary.steps == 152  # whole rollouts
    assert told(again)[-1]["step"] == 152
    finished = trainers.resume(tmp_path / "run", steps=150)
    finished.train(resume=True)
    assert finished.summary.steps == 152


def test_checkpoints_are_made_on_the_way_and_the_last_two_kept(tmp_path):
    trainer = tiny("a2c", tmp_path / "run", checkpoint_every=30)
    made_at = []
    trainer.train(callbacks=[lambda event: made_at.append([step for step, _ in trainer.folder.saved()])])
    assert made_at == [[], [], [48], [48, 72]]  # a callback is called before the checkpoint of its step
    assert [step for step, _ in trainer.folder.saved()] == [72, 96]


@pytest.mark.parametrize("name", ["bc", "ppo", "recurrent_ppo", "dqn"])
def test_what_is_measured_is_what_the_policy_does_elsewhere(tmp_path, monkeypatch, name):
    monkeypatch.setattr(measuring, "LANES", 7)
    trainer = tiny(name, tmp_path / "run", **({"steps": 150, "scenes": 60} if name == "bc" else {}))
    policy = trainer.train()
    scenes = held_out.test_scenes(SHOP, EASY, 30)
    measure = Measure(SHOP, {**EASY, "split": "test"}, scenes)
    first, second = (measure.of(Greedy(trainer._learner.model)) for _ in range(2))
    report = policies.evaluate(policy, SHOP, scenes=scenes, **EASY)
    assert first[:3] == second[:3]
    assert first.share.successes == round(report.success.mean * 30)
    assert first.mean_return == pytest.approx(report.mean_return.mean)
    assert first.turns == pytest.approx(report.turns)
    if name == "bc":
        assert 5 < first.share.successes < 30  # so that something could differ


def test_held_out_scenes_are_never_trained_on(tmp_path, monkeypatch):
    met = set()
    step = Conversations.step_wait

    def listening(self):
        found = step(self)
        met.update(talk["scene"] for talk in self.env.snapshot()["talks"])
        return found

    monkeypatch.setattr(Conversations, "step_wait", listening)
    last, first = held_out.validation_scenes(SHOP, EASY, 20), held_out.first_scenes(SHOP, EASY, 4)
    given = {"env": {**EASY, "scenes": [*last, *first]}, "evaluate_every": 100}
    tiny("ppo", tmp_path / "some", **given, held_out=20, scenes=9).train()
    assert met == {*first}
    tiny("ppo", tmp_path / "more", **given, held_out=15, scenes=9).train()
    assert {*first} < met <= {*first, *last[:5]}


def found(*successes):
    """What measuring gives, one after the other."""
    shares = iter(successes)

    def of(self, act, tick=None):
        share = Share.of(next(shares), 10)
        return Done(share, share.mean, 3.0, 0.1)

    return of


def test_the_best_model_is_kept_and_is_the_final_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Measure, "of", found(3, 1, 7, 7, 6))
    trainer = tiny("maskable_ppo", tmp_path / "run", evaluate_every=24, held_out=3)
    models = {}
    trainer.train(callbacks=[lambda event: models.update({event.step: parameters(trainer)})])
    assert Best.kept(trainer.folder.best).step == trainer.summary.best_step == 48
    final = parameters(trainer)
    assert all(torch.equal(final[name], value) for name, value in models[48].items())
    assert not all(torch.equal(final[name], value) for name, value in models[96].items())
    assert [line["held_out_success"] for line in told(trainer)] == [0.3, 0.1, 0.7, 0.7, 0.6]


def test_it_ends_where_it_grows_no_better(tmp_path, monkeypatch):
    monkeypatch.setattr(Measure, "of", found(3, 4, 4, 2))
    trainer = tiny("ppo", tmp_path / "run", evaluate_every=24, held_out=3, patience=2, steps=240)
    trainer.train()
    assert (trainer.summary.stopped, trainer.summary.steps, trainer.summary.best_step) == ("early stop", 72, 24)


def test_one_that_was_killed_after_its_early_stop_does_not_train_on(tmp_path, monkeypatch):
    """What is left to do then is to measure and to keep the model."""
    monkeypatch.setattr(Measure, "of", found(3, 4, 4, 2, 5, 5, 5))
    trainer = tiny("ppo", tmp_path / "run", evaluate_every=24, held_out=3, patience=2, steps=240)
    trainer.train()
    whole, model = trainer.summary, parameters(trainer)
    (trainer.folder.path / "summary.json").unlink()
    shutil.rmtree(trainer.folder.final)
    again = trainers.resume(trainer.folder.path)
    again.train(resume=True)
    assert msgspec.structs.replace(again.summary, minutes=0.0) == msgspec.structs.replace(whole, minutes=0.0)
    assert all(torch.equal(parameters(again)[name], value) for name, value in model.items())


@pytest.mark.parametrize("log_every", [1, 50, 1000])
def test_evaluations_are_written_whatever_else_is(tmp_path, log_every):
    trainer = tiny("ppo", tmp_path / "run", log_every=log_every, evaluate_every=30, held_out=2)
    trainer.train()
    lines = told(trainer)
    assert [line["step"] for line in lines if "held_out_success" in line] == [0, 48, 72, 96]
    assert [line["step"] for line in lines if "fps" in line or "reward" in line] == {
        1: [24, 48, 72, 96],
        50: [72, 96],
        1000: [96],
    }[log_every]


@pytest.mark.parametrize("name", ["a2c", "ppo", "maskable_ppo"])
def test_the_expert_is_a_start(tmp_path, name):
    begun = []
    for clone in (0, 40):
        trainer = tiny(name, tmp_path / f"{clone}", clone=clone, evaluate_every=1000, held_out=40, steps=24, tested=40)
        trainer.train()
        assert trainer.summary.before.successes < 10  # what it is measured as before is not cloned yet
        begun.append(told(trainer)[1]["held_out_success"])
    assert begun[0] < 0.2 < 0.6 < begun[1]


def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path):
    runs = [tiny("ppo", tmp_path / f"{number}", seed=seed) for number, seed in enumerate((3, 3, 4))]
    for trainer in runs:
        trainer.train()
    first, *others = map(parameters, runs)
    assert [all(torch.equal(first[each], other[each]) for each in first) for other in others] == [True, False]


def test_how_many_threads_compute_is_left_as_it_was(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tiny("bc", tmp_path / "run").train()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_run_tells_the_versions(tmp_path):
    tiny("bc", tmp_path / "run").train()
    assert {"stable_baselines3", "sb3_contrib", "torch"} <= {*Folder(tmp_path / "run").record().versions}

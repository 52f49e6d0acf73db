"""Every built-in trainer learns Echo; runs go on where they ended; processes that train together stay together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stateset_gym import policies, trainers
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.local.load import load
from stateset_gym.trainers.base import BUILT_IN

from .trained import ECHO, saved

FAMILY = tuple(name for name in BUILT_IN if BUILT_IN[name].extra == "llm" and name not in ("sft", "dpo"))
SMALL = {"tested": 0, "max_new_tokens": 12}
TINY = {**SMALL, "width": 32, "layers": 1, "vocabulary": 512, "optimizer": "adamw", "learning_rate": 5e-3}
LEARNS = {"batch": 64, "group": 8, "max_new_tokens": 12, "steps": 8, "learning_rate": 1e-3, "tested": 200}
"""Enough for Echo: a test scene pairs a word with another way of asking for it than in the scenes of training."""


def made(name, folder, output, **config):
    """A trainer, of a model that has learnt a little where it needs one."""
    if name == "sft":
        config = {**TINY, "batch": 8, **config}
    else:
        model = folder / "model"
        config = {**SMALL, "batch": 16, "group": 4, "model": str(model), **config}
        if not model.exists():
            saved(ECHO, model)
    return trainers.make(name, ECHO, output=folder / output, **config)


def weights(folder):
    return {name: each.detach() for name, each in load(folder, "cpu", "float32").model.named_parameters()}


def far(one, other):
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


def told(trainer):
    """The metrics, without what was measured with a clock."""
    left = ("seconds", "cpu_seconds", "step_time")
    lines = trainer.folder.metrics()
    return [{name: value for name, value in line.items() if name not in left} for line in lines]


def test_the_supervised_trainer_learns_to_echo(tmp_path):
    trainer = made("sft", tmp_path, "run", steps=25, batch=16, width=64, tested=200)
    trainer.train()
    losses = [line["loss"] for line in trainer.folder.metrics() if "loss" in line]
    assert losses[-1] < losses[0] / 2
    learnt(trainer)


@pytest.mark.parametrize("name", FAMILY)
def test_every_trainer_learns_to_echo(tmp_path, name):
    trainer = made(name, tmp_path, "run", **LEARNS)
    trainer.train()
    learnt(trainer)
    assert trainer.summary.episodes >= 8 * 64
    rewards = [line["reward"] for line in trainer.folder.metrics() if "reward" in line]
    assert len(rewards) == 8
    assert sum(rewards[-2:]) > sum(rewards[:2])


def learnt(trainer):
    """Success has grown beyond chance, the summary tells of it, and what is in the folder is the policy."""
    summary = trainer.summary
    assert summary == trainer.folder.summary()
    assert (summary.before.scenes, summary.after.scenes) == (200, 200)
    assert summary.after.low > summary.before.mean
    assert summary.after.successes > summary.before.successes + 20
    assert summary.return_after > summary.return_before
    assert (summary.steps, summary.stopped) == (trainer.config.steps, "")
    assert summary.tokens > 0
    assert summary.minutes > 0
    steps = [line["step"] for line in trainer.folder.metrics() if "loss" in line]
    assert steps == [*range(1, trainer.config.steps + 1)]
    policy = policies.make(f"hf:{trainer.folder.final}", ECHO, max_new_tokens=12)
    report = policies.evaluate(policy, ECHO, scenes=100, prompt="none")
    assert report.success.mean > summary.before.mean


CASES = {
    "sft": {"steps": 6},
    "sft muon": {"steps": 6, "optimizer": "muon"},
    "grpo": {"steps": 4},
    "grpo micro": {"steps": 4, "micro": 8},
    "grpo iterations": {"steps": 6, "iterations": 2},
    "grpo_turns": {"steps": 4},
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_is_the_run_that_was_not_interrupted(tmp_path, case):
    name, cut = case.partition(" ")[0], CASES[case]["steps"] // 2
    whole = made(name, tmp_path, "whole", **CASES[case])
    whole.train()
    parts = made(name, tmp_path, "parts", **CASES[case])
    parts.train(callbacks=[lambda event: event.step == cut])
    assert (parts.summary.steps, parts.summary.stopped) == (cut, "callback")
    halfway = weights(parts.folder.final)
    again = trainers.resume(tmp_path / "parts")
    again.train(resume=True)
    one, two = weights(whole.folder.final), weights(again.folder.final)
    assert far(one, halfway) > 1e-4
    assert all(torch.equal(one[each], two[each]) for each in one)
    assert told(whole) == told(again)
    assert [line["step"] for line in again.folder.metrics()] == [*range(1, CASES[case]["steps"] + 1)]
    assert (again.summary.steps, again.summary.stopped) == (CASES[case]["steps"], "")
    assert again.summary.episodes == whole.summary.episodes
    assert again.summary.tokens == whole.summary.tokens


@pytest.mark.parametrize(("setting", "value"), [("optimizer", "muon"), ("lora", 4), ("width", 64)])
def test_a_resumed_run_keeps_the_model_and_its_optimizer(tmp_path, setting, value):
    """A checkpoint holds weights and what the optimiser knows of each: neither fits another."""
    trainer = made("sft", tmp_path, "run", steps=2)
    trainer.train(callbacks=[lambda event: True])
    with pytest.raises(BadArgument, match=rf"^{setting}={value!r} cannot be changed on the way"):
        trainers.resume(tmp_path / "run", **{setting: value}).train(resume=True)
    trainers.resume(tmp_path / "run", optimizer="adamw", learning_rate=1e-3).train(resume=True)


@pytest.mark.parametrize("name", ["sft", *FAMILY])
def test_several_passes_make_the_update_of_one(tmp_path, name):
    """With plain steps: Adam's first ones would blow up the rounding of gradients that are nearly nothing."""
    one, two = (made(name, tmp_path, f"run{micro}", steps=1, batch=16, micro=micro) for micro in (0, 4))
    begun = []
    for trainer in (one, two):
        gradients(trainer, begun)
    assert max(each.abs().max() for each in begun[0]) > 1e-3
    assert max((a - b).abs().max().item() for a, b in zip(*begun, strict=True)) < 1e-5


def gradients(trainer, found):
    """Train, and keep the gradients of the first update."""
    adapter = trainer.adapter

    def listening(loaded):
        made = adapter(loaded)
        create = made.create_optimizer

        def created(*given):
            optimizer = create(*given)
            optimizer.register_step_pre_hook(
                lambda *_: found.append([weight.grad.clone() for weight in made.model.parameters()])
            )
            return optimizer

        made.create_optimizer = created
        return made

    trainer.adapter = listening
    trainer.train()


@pytest.mark.parametrize("name", ["sft", "grpo"])
def test_half_numbers_are_computed_in_and_whole_ones_kept(tmp_path, name):
    whole, half = (made(name, tmp_path, dtype, steps=2, dtype=dtype) for dtype in ("float32", "bfloat16"))
    for trainer in (whole, half):
        trainer.train()
    assert {each.dtype for each in weights(half.folder.final).values()} == {torch.float32}
    one, two = (told(trainer) for trainer in (whole, half))
    assert one != two
    assert one[0]["entropy"] == pytest.approx(two[0]["entropy"], abs=0.3)


@pytest.mark.parametrize("name", ["sft", "grpo"])
def test_small_matrices_are_trained_in_place_of_a_models_own(tmp_path, name):
    start = saved(ECHO, tmp_path / "model")
    config = {"model": start, "steps": 2, "batch": 16, "lora": 4, "learning_rate": 1e-2, **SMALL}
    trainer = trainers.make(name, ECHO, output=tmp_path / "run", **config, **({} if name == "sft" else {"group": 4}))
    trainer.train()
    losses = [line["grad_norm"] for line in trainer.folder.metrics()]
    assert len(losses) == 2
    assert all(losses)
    policy = policies.make(f"hf:{trainer.folder.final}", ECHO, max_new_tokens=12)
    assert policies.evaluate(policy, ECHO, scenes=100, split="train", prompt="none").success.mean > 0.2


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two processes on this machine that train one model."""
    folder = tmp_path_factory.mktemp("pair")
    saved(ECHO, folder / "model")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).with_name("pair.py")
    done = subprocess.run(
        [sys.executable, *launcher, script, folder],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_end_with_one_model(pair):
    one, two = (torch.load(pair / f"{rank}.pt") for rank in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    kept = weights(pair / "run" / "final")
    assert all(torch.equal(kept[name], one[name]) for name in kept)
    assert far(kept, weights(pair / "model")) > 1e-3


def test_two_processes_learn(pair):
    lines = trainers.resume(pair / "run").folder.metrics()
    assert [line["step"] for line in lines if "reward" in line] == [*range(1, 9)]
    found = {name: value for line in lines for name, value in line.items()}
    assert found["after_successes"] > found["before_successes"] + 20


@pytest.mark.parametrize(
    ("name", "folder", "config"),
    [("grpo", "run", LEARNS), ("grpo_turns", "turns", {"learning_rate": 5e-4})],
    ids=["grpo", "grpo_turns"],
)
def test_two_processes_do_what_one_does(pair, tmp_path, name, folder, config):
    """The first update has the same conversations in it: those of a step and a row, wherever it is held."""
    alone = made(name, tmp_path, "run", **{**config, "steps": 1, "tested": 0, "schedule": "constant"})
    alone.train()
    (line,) = told(alone)
    first = next(line for line in trainers.resume(pair / folder).folder.metrics() if line["step"] == 1)
    for name in ("reward", "success", "turns", "sampled_tokens", "grad_norm"):
        assert first[name] == pytest.approx(line[name], abs=1e-4)

"""Each setting of the language-model trainers has the effect that it tells of."""

import contextlib
import math
from collections import Counter
from itertools import pairwise

import pytest
import torch
from transformers import TrainerCallback

from stateset_gym import trainers
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.local.load import load
from stateset_gym.policies.registry import kind_of
from stateset_gym.trainers import held_out
from stateset_gym.trainers.episode import Stage
from stateset_gym.trainers.folder import Share
from stateset_gym.trainers.held_out import HeldOut, Success

from .trained import BARE, ECHO, SERVICE, saved, untrained

NAMES = ("sft", "grpo", "dpo")
OWN = {
    "sft": {"batch": 8, "thinking": False},
    "grpo": {"batch": 8, "group": 4},
    "dpo": {"batch": 4, "points": 8, "branches": 4, "margin": 0.0},
}
KINDS = kind_of(SERVICE).parts.cycles["easy"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One that has learnt a little."""
    return saved(ECHO, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """One that says whatever comes."""
    folder = tmp_path_factory.mktemp("untrained")
    for part in untrained(ECHO):
        part.save_pretrained(folder)
    return str(folder)


def made(name, model, folder, **config):
    settings = {"tested": 0, "max_new_tokens": 32, "steps": 1, "learning_rate": 1e-3, **OWN[name], **config}
    return trainers.make(name, ECHO, model=model, output=str(folder), **settings)


@contextlib.contextmanager
def adapted(trainer):
    """TRL's trainer, ready to train."""
    with trainer.telling():
        yield trainer.adapter(trainer.start())


SHARES = {
    "constant": lambda left: 1.0,
    "linear": lambda left: left,
    "cosine": lambda left: (1 - math.cos(math.pi * left)) / 2,
}


@pytest.mark.parametrize("schedule", SHARES)
@pytest.mark.parametrize("name", NAMES)
def test_the_learning_rate_rises_and_falls(name, schedule, model, tmp_path):
    with adapted(made(name, model, tmp_path / "run", steps=10, warmup=0.4, schedule=schedule)) as trl:
        trl.create_optimizer_and_scheduler(10)
        rates = []
        for _ in range(10):
            rates += {*trl.lr_scheduler.get_last_lr()}
            trl.optimizer.step()
            trl.lr_scheduler.step()
    falls = [SHARES[schedule](left / 6) for left in range(6, 0, -1)]
    assert rates == pytest.approx([1e-3 * share for share in (0, 0.25, 0.5, 0.75, *falls)])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_decay(name, optimizer, model, tmp_path):
    config = {"optimizer": optimizer, "learning_rate": 0.1, "weight_decay": 0.5}
    with adapted(made(name, model, tmp_path / "run", **config)) as trl:
        matrix = trl.model.model.layers[0].self_attn.q_proj.weight
        before = matrix.detach().clone()
        for weight in trl.model.parameters():
            weight.grad = torch.zeros_like(weight)
        trl.create_optimizer().step()
    torch.testing.assert_close(matrix.detach(), 0.95 * before)


class Norm(TrainerCallback):
    """The norm of the gradient that an update is made with."""

    def on_pre_optimizer_step(self, args, state, control, model, **more):
        self.found = torch.stack([weight.grad.norm() for weight in model.parameters()]).norm().item()


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_is_clipped(name, model, tmp_path):
    trainer, norm = made(name, model, tmp_path / "run", clip=1e-3), Norm()
    adapter = trainer.adapter

    def listening(loaded):
        trl = adapter(loaded)
        trl.add_callback(norm)
        return trl

    trainer.adapter = listening
    trainer.train()
    before = next(line["grad_norm"] for line in trainer.folder.metrics() if "grad_norm" in line)
    assert before > 0.01
    assert norm.found == pytest.approx(1e-3, rel=1e-2)


def test_what_is_measured_is_sampled_at_the_temperature(model, tmp_path):
    scenes, found = held_out.test_scenes(ECHO, BARE, 80), []
    for temperature in (0.01, 1.0, 3.0):
        trainer = made("sft", model, tmp_path / f"{temperature}", temperature=temperature, tested=80)
        trainer.train()
        alone = HeldOut(ECHO, BARE, scenes, temperature=temperature, max_new_tokens=32, batch=256)
        found.append(alone.measure(load(model, "cpu", "float32")).share.successes)
        assert trainer.summary.before.successes == found[-1]
    assert len({*found}) == 3


@pytest.mark.parametrize(("name", "split"), [("tested", "test"), ("held_out", "train")])
def test_more_scenes_than_there_are_is_told_by_the_setting(name, split, model, tmp_path):
    config = {"evaluate_every": 1, name: 1_000_001}
    why = f"^{name}=1000001: give a number of scenes of the {split} split, from 1 to 1000000"
    with pytest.raises(BadArgument, match=why):
        made("sft", model, tmp_path / "run", **config).train()


def test_nothing_is_preferred_where_the_temperature_lets_one_answer_be_given(model, tmp_path):
    with pytest.raises(BadArgument, match="there is nothing to prefer"):
        made("dpo", model, tmp_path / "run", temperature=1e-3).train()


@pytest.mark.parametrize("constrained", [False, True])
def test_what_is_measured_is_constrained(constrained, raw, tmp_path):
    trainer = made("sft", raw, tmp_path / "run", constrained=constrained, evaluate_every=1, held_out=10)
    trainer.train()
    (first, *_) = (line["held_out_malformed"] for line in trainer.folder.metrics() if "held_out_malformed" in line)
    assert first == (0 if constrained else 10)


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("name", ["grpo", "dpo"])
def test_what_is_trained_on_is_constrained(name, constrained, raw, tmp_path, monkeypatch):
    held, play = [], Stage.play

    def listening(*given):
        episodes = play(*given)
        held.extend(episodes)
        return episodes

    monkeypatch.setattr(Stage, "play", listening)
    with contextlib.suppress(BadArgument):  # of bad answers alone none is better
        made(name, raw, tmp_path / "run", constrained=constrained).train()
    assert len(held) >= 8
    assert {episode.malformed for episode in held} == {0 if constrained else 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_best_model_is_what_is_kept_in_the_end(name, model, tmp_path, monkeypatch):
    wins = [0, 9, 1]
    monkeypatch.setattr(HeldOut, "measure", lambda *given: Success(Share.of(wins.pop(0), 10), 0.0, 0, 0, 0.0))
    config = {"steps": 2, "evaluate_every": 1, "held_out": 10, "checkpoint_every": 1, "warmup": 0.0}
    trainer = made(name, model, tmp_path / "run", **config)
    policy = trainer.train()
    assert trainer.summary.best_step == 1
    given = policy.model.state_dict()
    folders = [trainer.folder.final, *(trainer.folder.checkpoint(step) for step in (1, 2))]
    others = [load(folder, "cpu", "float32").model.state_dict() for folder in folders]
    assert [all(torch.equal(given[each], other[each]) for each in given) for other in others] == [True, True, False]


class Caught(Exception):
    """What something was called with."""


def caught(monkeypatch, where, **config):
    """What a supervised training of many conversations calls a function with."""

    def catch(*given):
        raise Caught(*given)

    monkeypatch.setattr(where, catch)
    trainer = trainers.make("sft", SERVICE, width=32, layers=1, vocabulary=1024, tested=0, **config)
    with pytest.raises(Caught) as found:
        trainer.train()
    return found.value.args


def test_the_expert_is_shown_on_rare_kinds_oftener_and_the_more_the_more_it_looks_up(tmp_path, monkeypatch):
    *_, scenes, _, _, _ = caught(
        monkeypatch, "stateset_gym.trainers.sft.demonstrations", steps=125, batch=16, output=str(tmp_path / "run")
    )
    shown, there = Counter(KINDS[int(name[-6:]) % len(KINDS)] for name in scenes), Counter(KINDS)
    assert {*shown} == {*there}
    assert there["cancel_order"] >= 4 * there["not_delivered"]  # and nothing is looked up in either
    assert 1.5 < shown["cancel_order"] / shown["not_delivered"] < 3.2
    assert there["exchange_items"] == there["change_address"]  # but in one are a product, two variants and a payment
    assert shown["exchange_items"] > 1.3 * shown["change_address"]


def test_the_expert_makes_mistakes_in_the_share_of_conversations(tmp_path, monkeypatch):
    def stumbles(share):
        *_, loaded, rows = caught(
            monkeypatch, "stateset_gym.trainers.through_trl.sft", steps=4, batch=16, mistakes=share, thinking=False,
            output=str(tmp_path / f"{share}"),
        )  # fmt: skip
        agent = loaded.tokenizer.convert_tokens_to_ids("<|assistant|>")
        answers = [row.ids.count(agent) for row in rows]
        learnt = [sum(now and not then for then, now in pairwise(row.counted)) for row in rows]
        return sum(each < whole for each, whole in zip(learnt, answers, strict=True))

    none, half, every = (stumbles(share) for share in (0.0, 0.5, 1.0))
    assert none == 0
    assert 5 < half < every - 5

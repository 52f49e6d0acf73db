"""What is measured on held-out scenes is what the model does there, every time, and none of them is trained on."""

import re

import pytest
import torch

import stateset_gym  # noqa: F401
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.evaluation.statistics import wilson
from stateset_gym.policies.local import Loaded, Local
from stateset_gym.policies.registry import kind_of
from stateset_gym.policies.rollout import Job, rollout
from stateset_gym.policies.runs import Player, Setting
from stateset_gym.rewards.errors import InfrastructureError
from stateset_gym.trainers import held_out, reference
from stateset_gym.trainers.folder import Share
from stateset_gym.trainers.held_out import HeldOut

ECHO, SERVICE, BARE = "StateSet/Echo-v0", "StateSet/CustomerService-v0", {"prompt": "none"}


def untrained(context=256):
    tokenizer = reference.tokenizer(ECHO, 400, 50, **BARE)
    return Loaded(reference.model(tokenizer, width=32, layers=2, context=context), tokenizer)


def learned(steps=45):
    """A model that says the same word as a rule, whatever it is asked for: it is right now and then."""
    loaded = untrained()
    player = Player(Setting(ECHO, "expert", {**BARE, "split": "train"}))
    talks = [
        [*episode.messages[:1], {"role": "assistant", "content": '{"type":"say","word":"amber"}'}]
        for episode in player.play([Job(scene) for scene in held_out.training_scenes(ECHO, BARE, 0, 32)])
    ]
    texts = [loaded.tokenizer.apply_chat_template(talk, tokenize=False) for talk in talks]
    rows = loaded.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
    labels = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=5e-3)
    for _ in range(steps):
        loaded.model(input_ids=rows["input_ids"], labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return loaded


@pytest.fixture(scope="module")
def model():
    return learned()


SCENES = held_out.test_scenes(ECHO, BARE, 40)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_figures_are_those_of_the_conversations_held_one_by_one(model, temperature):
    setting = Setting(ECHO, "", BARE)
    alone = Local(kind_of(ECHO), model, temperature=temperature, max_new_tokens=24)
    episodes = [rollout(alone, setting.env(), scene) for scene in SCENES]
    found = HeldOut(ECHO, BARE, SCENES, temperature=temperature, max_new_tokens=24, batch=16).measure(model)
    wins = sum(episode.success for episode in episodes)
    assert 0 < wins < len(SCENES)
    assert found[:-1] == (
        Share(wins, len(SCENES), *wilson(wins, len(SCENES))),
        pytest.approx(sum(episode.total for episode in episodes) / len(SCENES)),
        sum(episode.malformed for episode in episodes),
        0,
    )


def test_a_model_measures_the_same_again_and_a_changed_one_as_if_it_were_the_first():
    model = learned(40)
    kept = HeldOut(ECHO, BARE, SCENES, batch=16, max_new_tokens=24)
    first = kept.measure(model)
    assert first[:-1] == kept.measure(model)[:-1]
    with torch.no_grad():
        for weight in model.model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    changed = kept.measure(model)
    assert changed[:-1] != first[:-1]
    assert changed[:-1] == HeldOut(ECHO, BARE, SCENES, batch=16, max_new_tokens=24).measure(model)[:-1]


def test_chance_is_left_to_the_seed_and_training_goes_on_as_it_was(model):
    model.model.train()
    before = torch.random.get_rng_state()
    weights = [weight.clone() for weight in model.model.parameters()]
    seen = []
    sampled = [
        HeldOut(ECHO, BARE, SCENES, max_new_tokens=24, seed=seed).measure(model, lambda *told: seen.append(told))[:-1]
        for seed in (0, 2)
    ]
    assert sampled[0] != sampled[1]
    assert model.model.training
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(*pair) for pair in zip(weights, model.model.parameters(), strict=True))
    assert seen == [("held out", done, 40) for done in range(1, 41)] * 2


def test_a_conversation_that_outgrows_the_context_is_a_failure():
    short = untrained(context=16)
    found = HeldOut(ECHO, {"prompt": "brief"}, SCENES[:3]).measure(short)
    assert (found.share.successes, found.share.scenes, found.cut, found.mean_return) == (0, 3, 3, 0.0)


def test_what_fails_beside_the_model_is_raised():
    def gone(brief, transcript, act):
        raise InfrastructureError("no answer", "a customer elsewhere", "start it")

    loaded = untrained()
    scenes = held_out.test_scenes(SERVICE, BARE, 16)
    with pytest.raises(InfrastructureError, match=re.escape("no answer (a customer elsewhere): start it")):
        HeldOut(SERVICE, BARE | {"customer": gone}, scenes, constrained=True).measure(loaded)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(torch.nan)
    with pytest.raises(InfrastructureError, match="numbers that are none"):
        HeldOut(ECHO, BARE, SCENES).measure(loaded)


def test_constrained_answers_are_all_actions():
    loaded = untrained()
    free, held = (
        HeldOut(ECHO, BARE, SCENES, constrained=constrained, max_new_tokens=48).measure(loaded)
        for constrained in (False, True)
    )
    assert free.malformed > 35
    assert held.malformed == 0


def test_held_out_scenes_are_the_ends_of_the_splits():
    last = held_out.validation_scenes(ECHO, {"scenes": [3, 4], "split": "test"}, 5)
    first = held_out.test_scenes(ECHO, {"difficulty": "hard"}, 5)
    assert last == tuple(f"Echo-v0/train/easy/{number}" for number in range(999_995, 1_000_000))
    assert first == tuple(f"Echo-v0/test/hard/{number:06}" for number in range(5))
    cycle = kind_of(SERVICE).parts.cycles["easy"]
    chosen = held_out.validation_scenes(SERVICE, {"kinds": ["cancel_order"]}, 5)
    assert {cycle[int(name[-6:]) % len(cycle)] for name in chosen} == {"cancel_order"}


def test_no_scene_is_trained_on_that_is_held_out():
    arguments = {"scenes": range(999_900, 1_000_000)}
    reserved = held_out.validation_scenes(ECHO, arguments, 50)
    drawn = held_out.training_scenes(ECHO, arguments, 7, 400, reserved)
    assert {*drawn} == {f"Echo-v0/train/easy/{number}" for number in range(999_900, 999_950)}
    assert drawn[:100] == held_out.training_scenes(ECHO, arguments, 7, 100, reserved)
    assert drawn != held_out.training_scenes(ECHO, arguments, 8, 400, reserved)
    assert not {*held_out.training_scenes(ECHO, {"split": "test"}, 0, 9)} & {*SCENES}


def test_what_leaves_no_scene_is_told():
    with pytest.raises(BadArgument, match=re.escape("scenes=() leaves nothing to measure on: name at least one")):
        HeldOut(ECHO, BARE, ())
    for count in (0, 1_000_001):
        with pytest.raises(
            BadArgument, match=f"count={count}: give a number of scenes of the test split, from 1 to 1000000"
        ):
            held_out.test_scenes(ECHO, BARE, count)
    only = {"scenes": [999_999] * 3}
    with pytest.raises(BadArgument, match="All 3 scenes to train on are held out: give more of them in scenes="):
        held_out.training_scenes(ECHO, only, 0, 1, held_out.validation_scenes(ECHO, only, 1))

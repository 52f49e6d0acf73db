"""Learning from the expert: its own tokens alone, what follows a mistake, and every demonstration once."""

import json
from collections import Counter
from random import Random

import pytest
import torch

from stateset_gym import trainers
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.rollout import rollout
from stateset_gym.policies.runs import Setting
from stateset_gym.trainers import through_trl
from stateset_gym.trainers.configs import Dealt
from stateset_gym.trainers.demonstrations import (
    IGNORED,
    STUMBLES,
    Demonstration,
    Stumbling,
    demonstration,
    demonstrations,
    mistaken,
)
from stateset_gym.trainers.sft import SORTED, by_length

from .trained import BARE, ECHO, SERVICE, TRIAGE, scenes, tokenizer, trained

END, AGENT = "<|end|>", "<|assistant|>"


def runs(row):
    """A demonstration's text in stretches that are learnt and that are not."""
    prompt, found = Prompt(tokenizer(SERVICE)), []
    for number, counted in zip(row.ids, row.counted, strict=True):
        if not found or found[-1][0] != counted:
            found.append((counted, []))
        found[-1][1].append(number)
    return [(counted, prompt.words(ids)) for counted, ids in found]


def stumbled(count=60):
    """Conversations of an expert that stumbles, with the turns at which it did."""
    env = Setting(SERVICE, "", BARE).env()
    agent = Stumbling(type(env), STUMBLES)
    for number, name in enumerate(scenes(SERVICE, count)):
        yield rollout(agent, env, name, trial=number), {*agent.stumbled}


def test_what_is_learnt_is_what_the_expert_said():
    words = tokenizer(SERVICE)
    for row in demonstrations(SERVICE, BARE, Prompt(words), scenes(SERVICE, 8)):
        learnt = [text for counted, text in runs(row) if counted]
        assert all(json.loads(text.removesuffix(END))["type"] for text in learnt)
        assert all(text.endswith(END) for text in learnt)
        assert all(text.endswith(AGENT) for counted, text in runs(row) if not counted)
        assert learnt
        assert row.labels == [
            number if counted else IGNORED for number, counted in zip(row.ids, row.counted, strict=True)
        ]


def test_mistakes_are_shown_and_what_follows_them_is_learnt():
    prompt, seen = Prompt(tokenizer(SERVICE)), 0
    for episode, turns in stumbled():
        row = demonstration(episode.messages, prompt, turns)
        said = [message["content"] for message in episode.messages if message["role"] == "assistant"]
        assert prompt.text(episode.messages, asked=False).startswith(prompt.words(row.ids))
        learnt = [text.removesuffix(END) for counted, text in runs(row) if counted]
        assert learnt == [text for turn, text in enumerate(said) if turn not in turns]
        assert not {turn + 1 for turn in turns} & turns
        seen += len(turns)
    assert seen > 30


def test_recoveries_that_are_shown_succeed():
    """A conversation whose mistake cost the goal is held again without any."""
    names = scenes(SERVICE, 60)
    prompt = Prompt(tokenizer(SERVICE))
    rows = [*demonstrations(SERVICE, BARE, prompt, names, stumbling=1.0, seed=0)]
    clean = [*demonstrations(SERVICE, BARE, prompt, names)]
    assert len(rows) == len(clean) == 60
    mistakes = [row for row, bare in zip(rows, clean, strict=True) if row != bare]
    assert 10 < len(mistakes) < 60
    env = Setting(SERVICE, "", BARE).env()
    for row, name in zip(rows, names, strict=True):
        env.reset(options={"scene": name})
        text = prompt.words(row.ids)
        answers = [part.partition(END)[0] for part in text.split(AGENT)[1:]]
        for answer in answers:
            *_, terminated, truncated, info = env.step(answer)
        assert terminated
        assert not truncated
        assert info["is_success"]
        assert not info["violations"]


def test_the_share_of_mistakes_is_the_one_that_is_asked_for():
    prompt, names = Prompt(tokenizer(ECHO)), scenes(ECHO, 64)
    none = [*demonstrations(ECHO, BARE, prompt, names)]
    assert none == [*demonstrations(ECHO, BARE, prompt, names, stumbling=0.0, seed=5)]
    assert all(sum(row.counted) for row in none)


def test_the_same_seed_makes_the_same_demonstrations():
    prompt, names = Prompt(tokenizer(SERVICE)), scenes(SERVICE, 12)
    one, two, other = ([*demonstrations(SERVICE, BARE, prompt, names, stumbling=0.8, seed=seed)] for seed in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize("seed", range(20))
def test_a_mistake_is_another_number_or_a_broken_action(seed):
    action = '{"type":"find_order","order_id":"W4312"}'
    found = mistaken(action, Random(seed))
    assert found != action or found == action[: len(found)]
    if len(found) == len(action):
        assert {len(one) for one in (found, action)} == {len(action)}
        assert json.loads(found)["order_id"][0] == "W"
    else:
        assert action.startswith(found)


def test_every_demonstration_is_learnt_once_in_batches_of_about_one_length():
    drawn = [Demonstration([number] * (1 + number * 37 % 101), [True]) for number in range(200)]
    found = by_length(drawn, 4, seed=3)
    assert Counter(row.ids[0] for row in found) == Counter(range(200))
    assert found != drawn
    assert found == by_length(drawn, 4, seed=3) != by_length(drawn, 4, seed=4)

    def padded(rows):
        return sum(max(map(len, batch)) * len(batch) for batch in batches(rows))

    def batches(rows):
        return [[row.ids for row in rows[at : at + 4]] for at in range(0, len(rows), 4)]

    assert padded(found) < 0.7 * padded(drawn)
    first = SORTED * 4
    assert {row.ids[0] for row in found[:first]} == {row.ids[0] for row in drawn[:first]}
    widths = [max(map(len, batch)) for batch in batches(found[:first])]
    assert widths != sorted(widths)


def teaching(tmp_path, rows, loaded):
    config = trainers.make("sft", SERVICE, output=tmp_path, steps=1, learning_rate=1e-3).config
    made = through_trl.sft(config, tmp_path, Dealt(len(rows), 1), loaded, rows)
    (batch,) = made.get_train_dataloader()
    return made, batch


def slopes(made, batch):
    made.model.zero_grad()
    made.compute_loss(made.model, dict(batch)).backward()
    return [weight.grad.clone() for weight in made.model.parameters()]


def distance(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one, other, strict=True))


def test_the_gradient_is_that_of_the_agents_tokens_alone(tmp_path):
    """As TRL deals them: other targets for what was shown change nothing, for what was said they do."""
    prompt, loaded = Prompt(tokenizer(SERVICE)), trained(SERVICE)
    rows = [demonstration(episode.messages, prompt, turns) for episode, turns in stumbled(4)]
    made, batch = teaching(tmp_path, rows, loaded)
    for number, row in enumerate(rows):
        assert batch["input_ids"][number, : len(row.ids)].tolist() == row.ids
        assert batch["labels"][number, : len(row.ids)].tolist() == row.labels
        assert (batch["labels"][number, len(row.ids) :] == IGNORED).all()
    true = slopes(made, batch)
    bare = trained(SERVICE).model
    scores = bare(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
    places = [(number, at) for number, row in enumerate(rows) for at, counted in enumerate(row.counted) if counted]
    loss = -torch.stack([scores[number, at - 1, rows[number].ids[at]] for number, at in places]).mean()
    loss.backward()
    assert distance(true, [weight.grad for weight in bare.parameters()]) < 1e-5
    assert max(each.abs().max() for each in true) > 1e-2
    number, at = places[3]
    batch["labels"][number, at] = 7
    assert distance(true, slopes(made, batch)) > 1e-4


def test_single_turns_are_demonstrations_of_one_answer():
    prompt = Prompt(tokenizer(TRIAGE))
    for row in demonstrations(TRIAGE, BARE, prompt, scenes(TRIAGE)):
        first = row.counted.index(True)
        assert all(row.counted[first:])
        assert prompt.words(row.ids[first:]).startswith('{"type":"triage"')

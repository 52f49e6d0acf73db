"""Small models that have learnt a little, each made once, in seconds, without the trainers that are tested on them."""

import copy
import functools
import json
from random import Random

import torch

import stateset_gym  # noqa: F401
from stateset_gym.policies.local import Loaded
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.runs import Player, Setting
from stateset_gym.trainers import reference
from stateset_gym.trainers.demonstrations import demonstration, demonstrations
from stateset_gym.trainers.held_out import training_scenes

ECHO, TRIAGE, SERVICE = (f"StateSet/{name}-v0" for name in ("Echo", "TicketTriage", "CustomerService"))
BARE = {"prompt": "none"}


@functools.cache
def tokenizer(env_id):
    """A tokenizer of an environment's language."""
    return reference.tokenizer(env_id, 1024, 60, **BARE)


def untrained(env_id, seed=0, context=1024):
    """A model that says whatever comes."""
    return Loaded(reference.model(tokenizer(env_id), width=32, layers=2, context=context, seed=seed), tokenizer(env_id))


def trained(env_id):
    """A model of one's own that succeeds now and then, and makes mistakes."""
    return Loaded(copy.deepcopy(_trained(env_id)), tokenizer(env_id))


def saved(env_id, folder):
    """The same as a folder, for the setting `model`."""
    for part in trained(env_id):
        part.save_pretrained(folder)
    return str(folder)


STEPS = {ECHO: 40, TRIAGE: 30, SERVICE: 45}
SEEDS = {ECHO: 6, TRIAGE: 0, SERVICE: 0}
"""So small a model may learn from so few scenes the rule, or the scenes: from this start it is the rule."""
SCENES = {ECHO: 128, TRIAGE: 4, SERVICE: 4}
"""It learns few conversations: that takes the least time."""


def scenes(env_id, count=None):
    """The scenes that were learnt."""
    return [*training_scenes(env_id, BARE, 0, count or SCENES[env_id])]


def expert(env_id, prompt):
    """What the expert does."""
    return demonstrations(env_id, BARE, prompt, scenes(env_id))


def careless(env_id, prompt):
    """The same of an expert who gives, every other time, whatever comes to mind: so much is left to learn."""
    field, values = CARELESS[env_id]
    chance = Random(0)
    jobs = [Job(scene) for scene in scenes(env_id) * (128 // SCENES[env_id])]
    for episode in Player(Setting(env_id, "expert", BARE)).play(jobs):
        asked, said = episode.messages[:2]
        if chance.random() < 0.5:
            action = {**json.loads(said["content"]), field: chance.choice(values)}
            said = {**said, "content": json.dumps(action, separators=(",", ":"))}
        yield demonstration([asked, said], prompt)


CARELESS = {
    ECHO: ("word", ("amber", "birch", "cedar", "delta")),
    TRIAGE: ("priority", ("urgent", "high", "normal", "low")),
}


@functools.cache
def _trained(env_id):
    words = tokenizer(env_id)
    rows = [*(careless if env_id in CARELESS else expert)(env_id, Prompt(words))]
    width = max(len(row.ids) for row in rows)
    ids, labels = (
        torch.tensor([[*row, *[rest] * (width - len(row))] for row in side])
        for side, rest in (([row.ids for row in rows], 0), ([row.labels for row in rows], -100))
    )
    model = reference.model(words, width=64, layers=2, context=4096, seed=SEEDS[env_id])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    chance = torch.Generator().manual_seed(0)
    for _ in range(STEPS[env_id]):
        some = torch.randperm(len(rows), generator=chance)[:16]
        model(input_ids=ids[some], labels=labels[some]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()

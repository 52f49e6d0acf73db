"""Small models that have learnt a little, each made once, in seconds, without the trainers that are tested on them."""

import copy
import functools

import torch

import stateset_gym  # noqa: F401
from stateset_gym.policies.local import Loaded
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.trainers import reference
from stateset_gym.trainers.demonstrations import demonstrations
from stateset_gym.trainers.held_out import training_scenes

ECHO, TRIAGE, SERVICE = (f"StateSet/{name}-v0" for name in ("Echo", "TicketTriage", "CustomerService"))
BARE = {"prompt": "none"}


@functools.cache
def tokenizer(env_id):
    """A tokenizer of an environment's language."""
    return reference.tokenizer(env_id, 1024, 60, **BARE)


def untrained(env_id, seed=0, context=1024):
    """A model that says whatever comes."""
    return Loaded(reference.model(tokenizer(env_id), 32, 2, 2, context, seed), tokenizer(env_id))


def trained(env_id):
    """A model of one's own that succeeds now and then, and makes mistakes."""
    return Loaded(copy.deepcopy(_trained(env_id)), tokenizer(env_id))


def saved(env_id, folder):
    """The same as a folder, for the setting `model`."""
    for part in trained(env_id):
        part.save_pretrained(folder)
    return str(folder)


STEPS = {ECHO: 8, TRIAGE: 20, SERVICE: 40}
SCENES = {ECHO: 64, TRIAGE: 4, SERVICE: 4}
"""It learns few conversations, by heart: that takes the least time."""


def scenes(env_id, count=None):
    """The scenes that were learnt."""
    return training_scenes(env_id, BARE, 0, count or SCENES[env_id])


@functools.cache
def _trained(env_id):
    words = tokenizer(env_id)
    rows = [*demonstrations(env_id, BARE, Prompt(words), scenes(env_id), stumbling=0.0)]
    width = max(len(row.ids) for row in rows)
    ids, labels = (
        torch.tensor([[*row, *[rest] * (width - len(row))] for row in side])
        for side, rest in (([row.ids for row in rows], 0), ([row.labels for row in rows], -100))
    )
    model = reference.model(words, 64, 2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    chance = torch.Generator().manual_seed(0)
    for _ in range(STEPS[env_id]):
        some = torch.randperm(len(rows), generator=chance)[:16]
        model(input_ids=ids[some], labels=labels[some]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()

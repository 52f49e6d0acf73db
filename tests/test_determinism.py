"""The same scene and actions give the same bytes: in a fresh process, under any hash seed, met first or again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys

import gymnasium as gym
import pytest

import stateset_gym

IDS = sorted(name for name in gym.registry if name.startswith("StateSet/"))

# Played in a process of its own: the expert with words and faults among its acts, and the stream of scenes of a seed.
PROGRAM = """
import json, sys
import gymnasium as gym
import stateset_gym
from stateset_gym.policies.registry import make as policy

FAULTS = [
    "Let us see ...",
    '{"type": "get_order", "order_id": "O0"}',
    '{"type": "apologise", "message": "Saltmarsh, Norwick or High Street? Priya, Yasmin, Z9, Z8, $3.21, a@b.example!"}',
    '{"type": "find_customer", "email": "a@b.example", "first_name": "Ann", "last_name": "Low", "postcode": "1"}',
    '{"type": "inform", "claims": [{"about": "O0", "field": "status", "value": "lost"}], "message": "I7 and I8"}',
    '{"type": "ask", "field": "request"}',
]
env_id, order = sys.argv[1], [int(each) for each in sys.argv[2].split(",")]
agent = policy("expert", env_id)

def trace(name, index):
    env = gym.make(env_id, max_turns=30)
    outcome = env.reset(options={"scene": name})
    lines, facts, turn = [outcome], list(outcome[-1]["facts"]), 0
    agent.reset()
    while not outcome[-1]["outcome"]:
        turn += 1
        if (turn + index) % 3 == 0:
            outcome = env.step(FAULTS[(turn + index) // 3 % len(FAULTS)])
            facts += outcome[-1]["facts"]
        else:
            outcome = env.step(agent.act(outcome[0], facts))
            facts = list(outcome[-1]["facts"])
        lines.append(outcome[1:] if turn < 30 else outcome)
    return json.dumps([lines, outcome[0]])

traces = {}
for index in order:
    split, difficulty = ("train", "test")[index % 2], ("easy", "normal", "hard")[index % 3]
    name = f"{env_id.removeprefix('StateSet/')}/{split}/{difficulty}/{index:06d}"
    traces[index] = trace(name, index)
env = gym.make(env_id, difficulty="hard", prompt="none")
stream = [env.reset(seed=5), *(env.reset() for _ in range(5))]
print(json.dumps([[traces[index] for index in sorted(traces)], stream]))
"""


@functools.cache
def played(env_id: str, hash_seed: str, order: tuple[int, ...]) -> str:
    """What a fresh process makes of some scenes, met in an order."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", PROGRAM, env_id, ",".join(map(str, order))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


SCENES = tuple(range(12))


@pytest.mark.parametrize("env_id", IDS)
def test_another_process_with_another_hash_seed_makes_the_same_bytes(env_id: str) -> None:
    first = played(env_id, "1", SCENES)
    assert len(json.loads(first)[0]) == len(SCENES)
    assert played(env_id, "2", SCENES) == first, digests(first, played(env_id, "2", SCENES))


@pytest.mark.parametrize("env_id", IDS)
def test_the_order_in_which_scenes_are_met_and_how_often_does_not_matter(env_id: str) -> None:
    again = played(env_id, "1", (*reversed(SCENES), 3, 3, *SCENES))
    assert again == played(env_id, "1", SCENES), digests(again, played(env_id, "1", SCENES))


def digests(*outputs: str) -> list[list[str]]:
    """The scenes' traces as short marks, so that a failure says which differ."""
    return [[hashlib.blake2b(each.encode(), digest_size=4).hexdigest() for each in json.loads(o)[0]] for o in outputs]


def test_the_ids_are_those_of_the_package() -> None:
    assert len(IDS) >= 3, stateset_gym.__version__

"""Golden traces: for language agents words are dynamics, so a change of one byte is a change of the environment.

Where a change is meant before a release, write the traces anew and look at the difference:

    .venv/bin/python tests/test_golden.py

After a release a trace that changes wants a new `-vN` of its environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from stateset_gym.policies.registry import make as policy

GOLDEN = Path(__file__).parent / "golden"
DIFFICULTIES = ("easy", "normal", "hard")
SCENES = ("train", 3), ("test", 18)
FAULTS = (
    "I would rather talk.",
    '{"type": "get_order", "order_id": "O1"}',
    '{"type": "apologise", "message": "Order Z9 goes to Saltmarsh, for $3.21, Yasmin."}',
    '{"type": "inform", "claims": [{"about": "O1", "field": "status", "value": "lost"}]}',
)


def ids() -> list[str]:
    return sorted(name for name in gym.registry if name.startswith("StateSet/"))


def step(outcome: tuple[Any, ...]) -> dict[str, Any]:
    """What a reset or a step brought; of the transcript, what is new."""
    observation, *rest, info = outcome
    new = observation["messages"][-2:] if rest else observation["messages"]
    return {"messages": new, "turn": observation["turn"], "left": observation["turns_left"], "rest": rest, "info": info}


def trace(env_id: str, scene: str, prompt: str, faults: tuple[str, ...] = ()) -> dict[str, Any]:
    """The expert's conversation, after some faults where there are any."""
    env, agent = gym.make(env_id, prompt=prompt, max_turns=40 if faults else None), policy("expert", env_id)
    outcome: tuple[Any, ...] = env.reset(options={"scene": scene})
    steps, facts = [step(outcome)], list(outcome[-1]["facts"])
    for fault in faults:
        outcome = env.step(fault)
        steps.append(step(outcome))
        facts += outcome[-1]["facts"]
        if outcome[-1]["outcome"]:
            break
    while not outcome[-1]["outcome"]:
        outcome = env.step(agent.act(outcome[0], facts))
        facts = outcome[-1]["facts"]
        steps.append(step(outcome))
    return {"scene": scene, "steps": steps}


def traces(env_id: str, difficulty: str) -> str:
    name = env_id.removeprefix("StateSet/")
    scenes = [f"{name}/{split}/{difficulty}/{index:06d}" for split, index in SCENES]
    made = [
        trace(env_id, scenes[0], "full"),
        trace(env_id, scenes[1], "brief"),
        trace(env_id, scenes[0], "none", FAULTS),
    ]
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def path(env_id: str, difficulty: str) -> Path:
    return GOLDEN / f"{env_id.removeprefix('StateSet/')}.{difficulty}.json"


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("env_id", ids())
def test_the_trace_is_the_golden_one(env_id: str, difficulty: str) -> None:
    golden, now = path(env_id, difficulty).read_text(encoding="utf-8"), traces(env_id, difficulty)
    for before, after in zip(json.loads(golden), json.loads(now), strict=True):
        for turn, (old, new) in enumerate(zip(before["steps"], after["steps"], strict=False)):
            assert new == old, f"{after['scene']}, turn {turn}"
    assert now == golden


def test_every_id_and_difficulty_has_its_trace_and_nothing_else_has() -> None:
    assert {path(env_id, each).name for env_id in ids() for each in DIFFICULTIES} == {p.name for p in GOLDEN.iterdir()}


def write() -> None:
    """Write all traces anew."""
    GOLDEN.mkdir(exist_ok=True)
    for stale in GOLDEN.glob("*.json"):
        stale.unlink()
    for env_id in ids():
        for difficulty in DIFFICULTIES:
            path(env_id, difficulty).write_text(traces(env_id, difficulty), encoding="utf-8")
            print(path(env_id, difficulty))


if __name__ == "__main__":
    write()

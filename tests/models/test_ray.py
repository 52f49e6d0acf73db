"""Runs on a Ray cluster, started here, give the traces of a run in this process."""

from pathlib import Path

import pytest

from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.evaluation import evaluate
from stateset_gym.policies.trace import read, timeless

DESK = "StateSet/CustomerService-v0"


def traced(path: Path, policy: str, **more: str | int) -> list[object]:
    report = evaluate(policy, DESK, difficulty="hard", scenes=40, trials=2, traces=path, **more)
    assert report.measured == 80
    return [timeless(each) for each in read(path)]


def test_a_run_on_ray_gives_the_same_traces(tmp_path: Path) -> None:
    for policy in ("expert", "random"):
        here = traced(tmp_path / f"{policy}-here.jsonl", policy)
        there = traced(tmp_path / f"{policy}-there.jsonl", policy, ray="local", workers=2)
        assert here == there
    with pytest.raises(BadArgument, match="cannot be sent to another process"):
        evaluate(lambda observation, facts: "", DESK, scenes=2, ray="local")

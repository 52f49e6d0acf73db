"""How many conversations an evaluation holds in a second of CPU time: python benchmarks/evaluation_speed.py [--json].

The expert plays scenes of CustomerService (easy) that are new to the process, and every trace is written. CartPole-v1
is stepped before and after each pass, so that a slow machine shows; medians of the passes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

import gymnasium

from stateset_gym.policies import evaluate

ID = "StateSet/CustomerService-v0"
TARGET = 4_000
BALANCED = 30_000
"""Steps of CartPole before and after each pass."""


def balance() -> None:
    """Step CartPole, left and right in turn, with a reset after each fall."""
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    for number in range(BALANCED):
        _, _, fallen, cut, _ = env.step(number & 1)
        if fallen or cut:
            env.reset(seed=number)


def measure(number: int, scenes: int, folder: Path) -> None:
    """Evaluate the expert on the pass's own scenes, and put its report in words."""
    wanted = range(number * scenes, (number + 1) * scenes)
    report = evaluate("expert", ID, difficulty="easy", scenes=wanted, traces=folder / f"{number}.jsonl")
    if not str(report) or report.success.mean != 1:
        raise SystemExit(f"The expert fails: {report!r}")


def seconds(work: Callable[[], None]) -> float:
    """The CPU seconds that some work takes."""
    start = process_time()
    work()
    return process_time() - start


def main() -> None:
    """Measure, and print a line or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4_000, help="conversations a pass")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    talks, steps = [], []
    with tempfile.TemporaryDirectory() as name:
        for number in range(given.passes):
            before = seconds(balance)
            took = seconds(partial(measure, number, given.scenes, Path(name)))
            after = seconds(balance)
            talks.append(given.scenes / took)
            steps.append(2 * BALANCED / (before + after))
    pace, beside = median(talks), median(steps)
    ratio = median(talk / step for talk, step in zip(talks, steps, strict=True))
    if given.json:
        found = {"conversations_a_second": pace, "cartpole_steps_a_second": beside, "ratio": ratio, "target": TARGET}
        print(json.dumps(found))
    else:
        print(f"{pace:,.0f} conversations a second of CPU time (aim {TARGET:,}), traces written;")
        print(
            f"CartPole-v1 beside it: {beside:,.0f} steps a second; a conversation costs {1 / ratio:.1f} of its steps."
        )


if __name__ == "__main__":
    main()

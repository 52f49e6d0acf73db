"""How fast classical baselines can play: python benchmarks/baseline_speed.py [--quick] [--json] [--cache FOLDER].

Tabulated conversations beside Gymnasium's own vectorised CartPole, the discrete view in Python, and PPO of
stable-baselines3 on tabulated conversations beside PPO on CartPole. Speeds are CPU time of one process on one core,
medians over passes, and passes of what is compared alternate. Targets stand beside the figures; a missed one is shown,
and is no error. Unless a folder with tables is named, all scenes are explored anew.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

ID = "StateSet/CustomerService-v0"
ENVS, SMALL, TRAINED = 4096, 64, 1024
"""How many environments: tabulated ones, those of the discrete view, and those that PPO plays."""
SCENES = 1000
BESIDE = 4
"""How many CartPoles PPO plays in a DummyVecEnv: as in the documentation of stable-baselines3."""


class Row(NamedTuple):
    """A measured figure, with its target where it has one."""

    what: str
    figure: float
    unit: str
    target: str = ""
    met: bool | None = None


# Tabulated conversations.


def tables(folder: Path, scenes: int) -> tuple[Any, list[Row]]:
    """The tabulated environments, and what making their tables took."""
    jobs = os.cpu_count() or 1
    options: dict[str, Any] = {"num_envs": ENVS, "view": "tabular", "scenes": scenes, "cache": folder, "jobs": jobs}
    before, start = os.times(), perf_counter()
    gymnasium.make_vec(ID, **options)
    seconds, after = perf_counter() - start, os.times()
    spent = sum(after[:4]) - sum(before[:4])
    start = process_time()
    env: Any = gymnasium.make_vec(ID, **options).unwrapped
    again, report = process_time() - start, env.tables.report()
    return env, [
        Row(f"{scenes:,} easy scenes: tables made, {jobs} processes", seconds, "s of the clock"),
        Row("the same", spent, "s of CPU"),
        Row("read again from the disk", again, "s of CPU", "2 or less", again <= 2),
        Row("states found, all of them explored", report["states_explored"], "states"),
        Row("states that differ in what can be seen or done", report["states"], "states"),
        Row("different tables", report["tables"], "tables"),
        Row("actions", report["actions"], "actions"),
        Row("the tables in memory", env.tables.joined().nbytes, "bytes"),
    ]


def tabulated(env: Any, passes: int, steps: int) -> list[Row]:
    """Steps per second on random actions that are not masked, drawn before the clock runs, beside CartPole."""
    generator = np.random.default_rng(0)
    cart = gymnasium.make_vec("CartPole-v1", num_envs=ENVS, vectorization_mode="vector_entry_point")
    moves = [generator.integers(2, size=ENVS) for _ in range(steps)]
    env.reset(seed=0)
    cart.reset(seed=0)
    start, plan, ended = env.snapshot(), [], 0
    for _ in range(steps):
        plan.append(allowed(env.action_masks(), generator))
        _, _, over, cut, _ = env.step(plan[-1])
        ended += int((over | cut).sum())
    beside, own = [], []
    for _ in range(passes):
        beside.append(ENVS * steps / seconds(lambda: [cart.step(each) for each in moves]))
        env.restore(start)
        own.append(ENVS * steps / seconds(lambda: [env.step(each) for each in plan]))
    speed, ratio = median(own), median(mine / other for mine, other in zip(own, beside, strict=True))
    what = f"tabulated, {ENVS:,} envs"
    return [
        Row(what, speed, "steps/s", "5,000,000 or more", speed >= 5_000_000),
        Row(f"{what}: steps that end a conversation", ended / ENVS / steps, "of all"),
        Row(f"CartPole-v1, vectorised by Gymnasium, {ENVS:,} envs", median(beside), "steps/s"),
        Row(what, ratio, "x CartPole-v1", "1.0 or more", ratio >= 1),
    ]


def allowed(masks: Any, generator: np.random.Generator) -> Any:
    """A random action for each environment that is not masked."""
    return (generator.random(masks.shape) * masks).argmax(axis=1)


def seconds(play: Callable[[], object]) -> float:
    """The CPU seconds that something takes."""
    gc.collect()
    start = process_time()
    play()
    return process_time() - start


# The discrete view.


def discrete(passes: int, steps: int) -> list[Row]:
    """Steps per second of the Python environments, on scenes that were met before and on new ones."""
    rows = []
    for kind in ("met", "new"):
        target, least = ("100,000 or more", 100_000) if kind == "met" else ("", 0)
        options: dict[str, Any] = {"scenes": range(2 * SMALL)} if kind == "met" else {}
        env: Any = gymnasium.make_vec(ID, num_envs=SMALL, view="discrete", **options)
        warm = 3 if kind == "met" else 0
        speeds = [_stepped(env, number if kind == "new" else 0, steps) for number in range(warm + passes)][warm:]
        speed = median(speeds)
        what = f"discrete view in Python, {SMALL} envs, scenes {kind}"
        rows.append(Row(what, speed, "steps/s", target, speed >= least if target else None))
    return rows


def _stepped(env: Any, seed: int, steps: int) -> float:
    """The speed of the steps alone: actions are drawn while the clock stands still."""
    generator, spent = np.random.default_rng(seed), 0.0
    env.reset(seed=SMALL * steps * seed)
    gc.collect()
    for _ in range(steps):
        actions = allowed(env.action_masks(), generator)
        start = process_time()
        env.step(actions)
        spent += process_time() - start
    return SMALL * steps / spent


# PPO of stable-baselines3.


def trained(folder: Path, scenes: int, passes: int) -> list[Row]:
    """Frames per second of PPO, rollouts and updates together, with stable-baselines3's own epochs and network."""
    if find_spec("stable_baselines3") is None:
        print("PPO is left out: pip install 'stateset-gym[sb3]'")
        return []
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    from stateset_gym.trainers.vec_env import Conversations

    torch.set_num_threads(1)
    env = gymnasium.make_vec(ID, num_envs=TRAINED, view="tabular", scenes=scenes, cache=folder)
    ours = PPO("MlpPolicy", Conversations(env), n_steps=16, batch_size=4096, device="cpu", seed=0)
    cart = PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=BESIDE), device="cpu", seed=0)
    beside: list[float] = []
    own: list[float] = []
    for number in range(passes + 1):
        for model, frames, speeds in ((cart, 2048 * BESIDE, beside), (ours, 4 * 16 * TRAINED, own)):
            took = seconds(lambda model=model, frames=frames: model.learn(frames))  # type: ignore[misc]
            speeds += [frames / took] if number else []  # the first pass warms up
    ratio = median(mine / other for mine, other in zip(own, beside, strict=True))
    return [
        Row(f"SB3's PPO, {TRAINED:,} tabulated envs, batches of 4,096", median(own), "frames/s"),
        Row(f"SB3's PPO, CartPole-v1 in DummyVecEnv, {BESIDE} envs, batches of 64", median(beside), "frames/s"),
        Row("the one against the other", ratio, "x CartPole-v1"),
    ]


# The report.


def measure(quick: bool, cache: Path | None) -> list[Row]:
    """All figures."""
    import stateset_gym  # noqa: F401

    scenes, passes, steps = (100, 5, 50) if quick else (SCENES, 21, 100)
    with tempfile.TemporaryDirectory() as temporary:
        folder = cache or Path(temporary)
        env, rows = tables(folder, scenes)
        rows += tabulated(env, passes, steps)
        rows += discrete(passes, 4 * steps)
        rows += trained(folder, scenes, 2 if quick else 5)
    return rows


def versions() -> dict[str, str]:
    """What was measured with."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "machine": platform.machine(),
    }


def show(rows: list[Row]) -> None:
    """The figures as a table."""
    console = Console(width=max(Console().width, 120))
    table = Table(title=f"{ID}, difficulty easy; CPU time of one process", title_justify="left")
    for name in ("measured", "figure", "", "target", "reached"):
        table.add_column(name, justify="right" if name == "figure" else "left")
    for row in rows:
        figure = f"{row.figure:,.0f}" if row.figure >= 100 else f"{row.figure:.3g}"
        table.add_row(row.what, figure, row.unit, row.target, "" if row.met is None else "yes" if row.met else "no")
    console.print(table)
    console.print(", ".join(f"{name} {version}" for name, version in versions().items()))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100 scenes, fewer and shorter passes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--cache", type=Path, help="a folder where tables are kept")
    given = parser.parse_args()
    rows = measure(given.quick, given.cache)
    if given.json:
        print(json.dumps({"figures": [row._asdict() for row in rows], "versions": versions()}, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()

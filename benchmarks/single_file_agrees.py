"""Whether examples/grpo_single_file.py learns what `stateset-gym train` does: python benchmarks/single_file_agrees.py.

Both begin with one model that the expert has taught, and learn for as many updates from as many conversations, each
several times with another seed. All the models then play the same held-out scenes of the test split, sampled. The
runs are the sample: a trainer's interval is Student's over its seeds. Beside it stands Wilson's of all its
conversations together, which says how well the runs were measured, and nothing of how much they differ.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from stateset_gym import policies
from stateset_gym.trainers import Share

ID, MOST = "StateSet/CustomerService-v0", 96
SCRIPT = Path(__file__).parents[1] / "examples" / "grpo_single_file.py"
TRAINERS = ("library", "script")
Interval = tuple[float, float, float]
"""A mean, and the ends of its 95 % interval."""
QUANTILES = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's, of a two-sided 95 % interval, by the number of seeds."""


def by_library(trainer: str, folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """The command that trains with the library; the model goes to `folder/final`."""
    told = {"output": folder, "tested": 0, "max_new_tokens": MOST, **settings}
    words = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
    return [sys.executable, "-m", "stateset_gym", "train", trainer, "--env", ID, *words]


def command(trainer: str, seed: int, folder: Path, given: argparse.Namespace) -> list[str]:
    """The command of a run; the model goes to `folder/final`."""
    if trainer == "library":
        settings = {"env.difficulty": given.difficulty, "model": given.start, "seed": seed, "steps": given.updates}
        settings |= {"batch": given.batch, "group": given.group, "learning_rate": given.learning_rate}
        return by_library(given.loss, folder, settings)
    context = json.loads((given.start / "config.json").read_bytes())["max_position_embeddings"]
    options = {"env": ID, "difficulty": given.difficulty, "start": given.start, "save": folder / "final", "seed": seed}
    options |= {"updates": given.updates, "scenes": given.batch // given.group, "group": given.group}
    options |= {"lr": given.learning_rate, "norm": given.loss, "max-tokens": MOST, "context": context, "held-out": 32}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(SCRIPT), *words]


def done(words: Sequence[str], folder: Path) -> float:
    """Run a command, and take its minutes; what it says goes to `folder.log`."""
    started = time.monotonic()
    with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
        subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, check=True)
    return (time.monotonic() - started) / 60


def measured(model: Path, given: argparse.Namespace) -> Share:
    """How often a model succeeds, sampled; a conversation that outgrows it is no success."""
    torch.set_num_threads(1)
    options = {"temperature": 1.0, "max_new_tokens": MOST, "batch": 256}
    told: Any = {"difficulty": given.difficulty, "prompt": "none", "parallel": 256, "options": options}
    share, _, _, count = policies.evaluate(f"hf:{model}", ID, scenes=given.scenes, **told).success
    return Share.of(round(share * count), given.scenes)


def run(job: tuple[int, str], given: argparse.Namespace) -> tuple[Share, float]:
    """Train and measure: the success, and the minutes of the training."""
    seed, trainer = job
    folder = given.output / f"{trainer}-{seed}"
    minutes = done(command(trainer, seed, folder, given), folder)
    return measured(folder / "final", given), minutes


def intervals(shares: Sequence[Share]) -> list[Interval]:
    """Of the mean of a trainer's runs: over the seeds, and over all their conversations."""
    means = [share.mean for share in shares]
    mean, reach = fmean(means), QUANTILES[len(means)] * stdev(means) / math.sqrt(len(means))
    pooled = Share.of(sum(share.successes for share in shares), sum(share.scenes for share in shares))
    return [(mean, mean - reach, mean + reach), (pooled.mean, pooled.low, pooled.high)]


def main() -> int:
    """Train, measure and compare; 1 where the intervals over the seeds are apart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--start", type=Path, help="the folder of a model, in place of one that is taught first")
    parser.add_argument("--sft-steps", type=int, default=800, help="updates in which that one is taught")
    parser.add_argument("--difficulty", default="easy")
    parser.add_argument("--seeds", type=int, default=3, choices=QUANTILES)
    parser.add_argument("--updates", type=int, default=45)
    parser.add_argument("--batch", type=int, default=128, help="conversations of an update")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--loss", default="grpo", choices=("grpo", "dapo"))
    parser.add_argument("--scenes", type=int, default=1000, help="held-out scenes that each model plays")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, of one thread each")
    parser.add_argument("--output", type=Path, default=Path("runs") / time.strftime("%Y%m%d-%H%M%S-single_file_agrees"))
    parser.add_argument("--json", type=Path, help="the file that the figures go to")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    given.output.mkdir(parents=True, exist_ok=True)
    if given.start is None:
        sft = given.output / "sft"
        done(by_library("sft", sft, {"env.difficulty": given.difficulty, "steps": given.sft_steps}), sft)
        given.start = sft / "final"

    jobs = [*product(range(given.seeds), TRAINERS)]
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        begun = pool.submit(measured, given.start, given)
        runs = dict(zip(jobs, pool.map(run, jobs, [given] * len(jobs)), strict=True))
        before = begun.result()
    shares = [[runs[seed, name][0] for seed in range(given.seeds)] for name in TRAINERS]
    over = dict(zip(("all, by seed", "all, pooled"), zip(*map(intervals, shares), strict=True), strict=True))
    overlap = {name: max(one[1], other[1]) <= min(one[2], other[2]) for name, (one, other) in over.items()}

    print(f"Success on {given.scenes:,} test scenes, {given.difficulty}: {before} before the {given.updates} updates.")
    table = Table("seed", *TRAINERS, "intervals")
    for seed in range(given.seeds):
        told = (runs[seed, name] for name in TRAINERS)
        table.add_row(str(seed), *(f"{share}, {minutes:.1f} minutes" for share, minutes in told))
    for name, both in over.items():
        said = (f"{mean:.1%} ({low:.1%} to {high:.1%})" for mean, low, high in both)
        table.add_row(name, *said, "overlap" if overlap[name] else "are apart")
    Console(width=120).print(table)
    if given.json:
        each = {f"{name}-{seed}": [share.successes, minutes] for (seed, name), (share, minutes) in runs.items()}
        figures = {"settings": vars(given), "before": before.successes, "successes and minutes": each}
        figures |= {"trainers": TRAINERS, "intervals": over, "overlap": overlap}
        given.json.write_text(json.dumps(figures, indent=1, default=str), encoding="utf-8")
    return 0 if overlap["all, by seed"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""Watch reinforcement learning of a language model work, on two processor cores, in about ten minutes.

    python examples/train_grpo.py

A tokenizer of the shop's language and a small Llama are made, the model learns to speak from the scripted expert (SFT),
and then from its own conversations (GRPO, in Dr. GRPO's form). Nothing is downloaded. What is measured when that is
done, in some minutes more: success on 1,000 scenes of the test split, which recombine what training has shown, sampled
at a temperature of 1 and with the likeliest token, and on as many scenes of the train split.

Each of the two trainings is one `stateset-gym train` in two processes of one thread, which a model this small makes
better use of than one process of two threads. On a cluster it is the same command with more of them.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stateset_gym import policies
from stateset_gym.trainers.folder import Share

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads of a model this small wait for each other
ID = "StateSet/CustomerService-v0"
SCENES = 1000
ROWS = (("test, sampled", "test", 1.0), ("test, greedy", "test", 0.0), ("train, sampled", "train", 1.0))
SFT = ("steps=900", "batch=16", "mistakes=0", "weight_decay=0", "log_every=10")
GRPO = ("steps=40", "batch=128", "group=8", "learning_rate=2e-4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("runs") / time.strftime("%Y%m%d-%H%M%S-train_grpo"))
    given = parser.parse_args()
    started = time.monotonic()

    sft, grpo = given.output / "sft", given.output / "grpo"
    train(given, "sft", *SFT, f"output={sft}")
    train(given, "dr_grpo", *GRPO, f"model={sft / 'final'}", f"output={grpo}")

    minutes = (time.monotonic() - started) / 60

    asked = [(run / "final", split, temperature) for _, split, temperature in ROWS for run in (sft, grpo)]
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        found = iter([*pool.map(success, *zip(*asked, strict=True))])
    table = Table("success", "after SFT", "after GRPO", title=f"{ID}, easy, seed {given.seed}")
    for name, _, _ in ROWS:
        table.add_row(name, next(found), next(found))
    Console().print(table)
    print(f"{minutes:.1f} minutes of training, {(time.monotonic() - started) / 60:.1f} with the measuring.")


def train(given: argparse.Namespace, trainer: str, *settings: str) -> None:
    """Train in several processes, as on the command line."""
    launcher = ("torch.distributed.run", "--standalone", f"--nproc_per_node={given.processes}", "-m")
    told = (f"seed={given.seed}", "env.difficulty=easy", "tested=0", *settings)
    subprocess.run(
        [
            *(sys.executable, "-m", *launcher, "stateset_gym", "train", trainer, "--env", ID),
            *(word for setting in told for word in ("--set", setting)),
        ],
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
        check=True,
    )


def success(model: Path, split: str, temperature: float) -> str:
    """How often a model succeeds, with a 95 % interval; a conversation that outgrows it is no success."""
    report = policies.evaluate(
        f"hf:{model}",
        ID,
        scenes=SCENES,
        split=split,
        difficulty="easy",
        prompt="none",
        parallel=256,
        options={"temperature": temperature, "max_new_tokens": 96, "batch": 256},
    )
    share, _, _, count = report.success
    return str(Share.of(round(share * count), SCENES))


if __name__ == "__main__":
    main()

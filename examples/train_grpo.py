"""Watch reinforcement learning of a language model work, on two processor cores, in about ten minutes.

    python examples/train_grpo.py

A tokenizer of the shop's language and a small Llama are made, the model learns to speak from the scripted expert (SFT),
and then from its own conversations (GRPO). Nothing is downloaded. What is measured: success on 1,000 scenes of the test
split, which recombine what training has shown, sampled at a temperature of 1 and with the likeliest token, and on as
many scenes of the train split.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stateset_gym import policies, trainers

ID = "StateSet/CustomerService-v0"
DESK = {"difficulty": "easy", "prompt": "none"}
SCENES = 1000
ROWS = (("test, sampled", "test", 1.0), ("test, greedy", "test", 0.0), ("train, sampled", "train", 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs") / time.strftime("%Y%m%d-%H%M%S-train_grpo"))
    given = parser.parse_args()
    started = time.monotonic()

    sft = trainers.make("sft", ID, env=DESK, seed=given.seed, output=str(given.output / "sft"), tested=0)
    sft.train(progress=True)
    grpo = trainers.make(
        "dapo",
        ID,
        env=DESK,
        seed=given.seed,
        output=str(given.output / "grpo"),
        model=str(given.output / "sft" / "final"),
        tested=0,
    )
    grpo.train(progress=True)

    table = Table("success", "after SFT", "after GRPO", title=f"{ID}, easy, seed {given.seed}")
    for name, split, temperature in ROWS:
        table.add_row(name, *(success(given.output / run / "final", split, temperature) for run in ("sft", "grpo")))
    Console().print(table)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes in all.")


def success(model: Path, split: str, temperature: float) -> str:
    """How often a model succeeds, with a 95 % interval."""
    report = policies.evaluate(
        f"hf:{model}",
        ID,
        scenes=SCENES,
        split=split,
        parallel=256,
        options={"temperature": temperature, "max_new_tokens": 96, "batch": 256},
        **DESK,
    )
    share, low, high, _ = report.success
    return f"{share:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()

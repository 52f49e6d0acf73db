"""A training as each of two processes runs it: `python -m torch.distributed.run --nproc_per_node 2 pair.py FOLDER`."""

import os
import sys
from pathlib import Path

import torch

from stateset_gym import trainers

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    trainers.make(
        "grpo_turns",
        "StateSet/Echo-v0",
        model=str(folder / "model"),
        output=str(folder / "turns"),
        batch=16,
        group=4,
        max_new_tokens=12,
        steps=1,
        tested=0,
    ).train()
    trainer = trainers.make(
        "grpo",
        "StateSet/Echo-v0",
        model=str(folder / "model"),
        output=str(folder / "run"),
        batch=64,
        group=8,
        max_new_tokens=12,
        steps=8,
        learning_rate=1e-3,
        tested=200,
    )
    policy = trainer.train()
    torch.save(dict(policy.model.named_parameters()), folder / f"{os.environ['RANK']}.pt")

"""Where the time of GRPO goes, and what a cache kept across turns saves: python benchmarks/lm_training.py [--json].

A small model learns from the expert for a moment, so that its conversations are real ones, and then from its own: each
update is cut into its stages. The whole loop runs again with every transcript read anew at every turn. Then the same
model holds the same conversations once with its cache kept and once by Transformers' `generate` on left-padded
transcripts, which is how TRL samples: the draws are alike, so that the tokens are the same, and are not counted there.
Where there is an accelerator, a larger model does it all in bfloat16. Medians; the first update is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any
from unittest import mock

import torch
import transformers
import trl
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from rich.console import Console
from rich.table import Table
from torch import Tensor

import stateset_gym
from stateset_gym import trainers
from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.policies.local import Local
from stateset_gym.policies.local.choose import choose, logprobs
from stateset_gym.policies.local.load import load
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.local.sampler import Row, Sampler
from stateset_gym.trainers import episode
from stateset_gym.trainers.configs import GRPOConfig
from stateset_gym.trainers.episode import Stage, Start
from stateset_gym.trainers.grpo import Rollouts
from stateset_gym.trainers.held_out import training_scenes
from stateset_gym.trainers.through_trl import Conversations

ID, EASY, MOST = "StateSet/CustomerService-v0", {"difficulty": "easy"}, GRPOConfig().max_new_tokens
ENVIRONMENT, SHARE = "rollout: environment", 0.03
"""The environment's share of the wall time is to be below this."""
REST, SPEED = "the rest", "sampled tokens/s, of the whole update"
UPDATE = {"CPU": "CPU seconds of an update", "wall": "wall seconds of an update"}
STAGES: list[tuple[str, Any, tuple[str, ...]]] = [
    (ENVIRONMENT, ConversationEnv, ("reset", "step", "snapshot", "restore")),
    ("rollout: tokenising", Prompt, ("text", "ids", "words", "opening")),
    ("rollout: model reads", Sampler, ("_read",)),
    ("rollout: model samples", Sampler, ("_step",)),
    ("rollout: the rest", Rollouts, ("__call__",)),
    ("forward and loss", Conversations, ("_compute_loss",)),
    ("backward", Accelerator, ("backward",)),
    ("optimiser", Accelerator, ("clip_grad_norm_",)),
    ("optimiser", AcceleratedOptimizer, ("step",)),
]
"""The functions whose time each stage is, less that of the stages within."""


Spent = dict[str, dict[str, float]]
"""Seconds by stage, of the CPU and of the wall's clock."""


def nothing() -> Spent:
    """At the beginning."""
    return {"CPU": defaultdict(float), "wall": defaultdict(float)}


class Clock:
    """Time belongs to the stage that was entered last, so that the stages add up to all of it."""

    def __init__(self) -> None:
        self._stages, self._last, self._spent = [REST], (process_time(), perf_counter()), nothing()

    def _lap(self) -> None:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        now = process_time(), perf_counter()
        for seconds, before, after in zip(self._spent.values(), self._last, now, strict=True):
            seconds[self._stages[-1]] += after - before
        self._last = now

    def cut(self) -> Spent:
        """What was spent since the last cut."""
        self._lap()
        found, self._spent = self._spent, nothing()
        return found

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a stage."""

        @functools.wraps(function)
        def within(*args: Any, **more: Any) -> Any:
            self._lap()
            self._stages.append(stage)
            try:
                return function(*args, **more)
            finally:
                self._lap()
                self._stages.pop()

        return within

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Meanwhile the functions of the stages are timed."""
        with contextlib.ExitStack() as stack:
            for stage, owner, names in STAGES:
                for name in names:
                    stack.enter_context(mock.patch.object(owner, name, self.timed(stage, getattr(owner, name))))
            yield


class Generated(Sampler):
    """TRL's way: `generate` reads the left-padded whole of every transcript at every turn."""

    def __init__(self, other: Sampler, clock: Clock) -> None:
        super().__init__(other.model, other._vocabulary, other._stops, other._chance)
        self.context = other.context
        self._clock = clock

    def open(self, ids: list[int]) -> None:
        """Nothing is read beforehand."""

    @torch.no_grad()
    def generate(self, rows: Sequence[Row], most: int) -> None:
        """Continue each conversation with the tokens that our own sampler draws."""
        width, device, stops = max(len(row.ids) for row in rows), self.model.device, [*self._stops]
        pads = [width - len(row.ids) for row in rows]
        over = [False] * len(rows)

        def drawn(_: Tensor, logits: Tensor) -> Tensor:
            draws = [0.0 if done else row.chance.random() for done, row in zip(over, rows, strict=True)]
            chosen = choose(logprobs(logits[:, : self._vocabulary], self._chance), None, draws, self._chance)
            over[:] = [done or token in stops for done, token in zip(over, chosen.tolist(), strict=True)]
            return torch.full_like(logits, -torch.inf).scatter(1, chosen[:, None], 0.0)

        found = self.model.generate(
            torch.tensor([[stops[0]] * pad + row.ids for pad, row in zip(pads, rows, strict=True)], device=device),
            attention_mask=torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads], device=device),
            generation_config=transformers.GenerationConfig(
                max_new_tokens=most, do_sample=True, temperature=self._chance.temperature, top_p=1.0, top_k=0,
                eos_token_id=stops, pad_token_id=stops[0], disable_compile=True,
            ),
            logits_processor=[self._clock.timed("draws", drawn)],
        )  # fmt: skip
        for row, ids in zip(rows, found[:, width:].tolist(), strict=True):
            row.said, row.logprobs, row.sampled = [], [], []
            for token in ids:
                row.add(token, 0.0, True)
                if self._over(row, most):
                    break


def held(folder: Path, given: argparse.Namespace, dtype: str) -> dict[str, float]:
    """The same conversations in both ways: by how much the one takes more time than the other."""
    loaded, clock = load(folder, "auto", "float32"), Clock()
    trainer: Any = trainers.make("grpo", ID, env=EASY, model=str(folder))
    told = trainer.arguments
    stages = [Stage(ID, told, loaded, given.batch, temperature=1.0, max_new_tokens=MOST) for _ in range(2)]
    ratios: dict[str, list[float]] = {"CPU": [], "wall": []}
    alike = []
    for number in range(given.updates + 1):
        spent, said = [], []
        for stage, generates in zip(stages, (False, True), strict=True):
            stage.renew()
            if generates:
                stage.policy.sampler = Generated(stage.policy.sampler, clock)
            scenes = training_scenes(ID, told, number, given.batch // given.group)
            openings = [stage.opening(scene) for scene in scenes for _ in range(given.group)]
            clock.cut()
            with torch.autocast(loaded.model.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
                episodes = stage.play([Start(opening, seed) for seed, opening in enumerate(openings)])
            spent.append(clock.cut())
            said.append([each.completion_ids for each in episodes])
        for kind, found in ratios.items():
            found.append(spent[1][kind][REST] / spent[0][kind][REST])
        alike.append(sum(map(list.__eq__, *said)) / given.batch)
    return {
        **{f"rollout by generate: {kind} time, times ours": median(found[1:]) for kind, found in ratios.items()},
        "share of conversations that generate holds alike": median(alike[1:]),
    }


def updated(folder: Path, given: argparse.Namespace, dtype: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Updates of GRPO, by stage and in tokens."""
    clock, updates = Clock(), list[Spent]()
    sampled, held = list[float](), list[int]()
    play = Stage.play

    def told(event: trainers.Event) -> None:
        updates.append(clock.cut())
        sampled.append(event.metrics["sampled_tokens"] * given.batch)

    def counted(stage: Stage, *others: Any) -> list[episode.Episode]:
        episodes = play(stage, *others)
        held.append(sum(len(each.prompt_ids) + len(each.completion_ids) for each in episodes))
        return episodes

    with (
        tempfile.TemporaryDirectory() as output,
        mock.patch.object(Stage, "play", counted),
        clock.watching(),
    ):
        settings = {"env": EASY, "model": str(folder), "batch": given.batch, "group": given.group, "dtype": dtype}
        settings |= {"max_new_tokens": MOST, "tested": 0, "output": f"{output}/run", "steps": given.updates + 1}
        trainers.make("grpo", ID, **settings).train(callbacks=[told])

    def wall(at: int, *heads: str) -> float:
        return sum(seconds for name, seconds in updates[at]["wall"].items() if name.startswith(heads))

    def usually(figure: Callable[[int], float]) -> float:
        return median(figure(at) for at in range(1, given.updates + 1))  # the first one warms up

    names = dict.fromkeys([*(stage for stage, _, _ in STAGES), REST])
    stages = {name: {kind: median(each[kind][name] for each in updates[1:]) for kind in updates[0]} for name in names}
    return stages, {
        **{update: median(sum(each[kind].values()) for each in updates[1:]) for kind, update in UPDATE.items()},
        "tokens sampled in an update": usually(lambda at: sampled[at]),
        "tokens of its conversations": usually(lambda at: held[at]),
        "sampled tokens/s, of the rollout": usually(lambda at: sampled[at] / wall(at, "rollout")),
        "tokens/s of conversations, learnt from": usually(
            lambda at: held[at] / wall(at, "forward", "backward", "optimiser")
        ),
        SPEED: usually(lambda at: sampled[at] / wall(at, "")),
        "the environment's share of the wall time": usually(lambda at: wall(at, ENVIRONMENT) / wall(at, "")),
    }


def taught(folder: Path, steps: int, dtype: str, **size: int) -> Path:
    """A model that has learnt a little from the expert."""
    settings = {"env": EASY, "steps": steps, "batch": 16, "tested": 0, "dtype": dtype, **size}
    trainers.make("sft", ID, output=str(folder), **settings).train()
    return folder / "final"


def measure(folder: Path, given: argparse.Namespace, dtype: str) -> dict[str, Any]:
    """All of a model's figures."""
    stages, figures = updated(folder, given, dtype)
    with mock.patch.object(episode, "Local", functools.partial(Local, cache=False)):
        _, again = updated(folder, given, dtype)
    figures[f"{SPEED}, read anew"] = again[SPEED]
    for kind, update in UPDATE.items():
        figures[f"whole loop read anew: {kind} time, times ours"] = again[update] / figures[update]
    return {"stages": stages, "figures": figures | held(folder, given, dtype)}


def show(console: Console, stages: dict[str, Any], figures: dict[str, float]) -> None:
    """Print a model's figures."""
    table = Table("stage of an update")
    for heading in ("CPU s", "wall s", "share of CPU"):
        table.add_column(heading, justify="right")
    total = sum(each["CPU"] for each in stages.values())
    for name, each in stages.items():
        table.add_row(name, f"{each['CPU']:.3f}", f"{each['wall']:.3f}", f"{each['CPU'] / total:.1%}")
    console.print(table)
    table = Table()
    for heading in ("measured", "figure", "target", "reached"):
        table.add_column(heading, justify="right" if heading == "figure" else "left")
    for name, figure in figures.items():
        target = f"below {SHARE}" if name.startswith("the environment's share") else ""
        reached = ("no", "yes")[figure < SHARE] if target else ""
        table.add_row(name, f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}", target, reached)
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--updates", type=int, help="updates that are counted")
    parser.add_argument("--batch", type=int, help="conversations of an update")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--sft-steps", type=int, help="batches of 16 that the model learns from the expert at first")
    parser.add_argument("--model", type=Path, help="the folder of a model in place of the small one")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto")
    given = parser.parse_args()
    for name, usual, quick in (("updates", 5, 1), ("batch", 128, 16), ("sft_steps", 150, 60)):
        if getattr(given, name) is None:
            setattr(given, name, quick if given.quick else usual)
    if given.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as output:
        small = given.model or taught(Path(output) / "small", given.sft_steps, "float32")
        found[str(given.model or "the reference model")] = measure(small, given, "float32")
        if torch.accelerator.is_available():
            large = taught(Path(output) / "large", given.sft_steps, "bfloat16", width=768, layers=12)
            found["12 layers, width 768, bfloat16"] = measure(large, given, "bfloat16")
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu, one thread"
    versions = {"device": str(device), "python": platform.python_version(), "machine": platform.machine()}
    versions |= {each.__name__: each.__version__ for each in (torch, transformers, trl, stateset_gym)}
    if given.json:
        print(json.dumps({"figures": found, "batch": given.batch, "versions": versions}, indent=2))
        return
    console = Console(width=100)
    for name, each in found.items():
        console.print(f"GRPO on {ID}, easy: {name}, {given.batch} conversations an update")
        show(console, **each)
    console.print(", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()

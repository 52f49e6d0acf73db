"""Where the time of GRPO goes, and what a cache kept across turns saves: python benchmarks/lm_training.py [--json].

A small model learns from the expert for a moment, so that its conversations are real ones, and then from its own: each
update is cut into its stages. The same model then holds the same conversations in three ways: with its cache kept
across turns, with every transcript read anew at every turn, and by Transformers' `generate` on left-padded transcripts,
which is how TRL samples. The draws are alike, so that the tokens are the same, and are not counted in the third way.
Where there is an accelerator, a larger model does it all in bfloat16, and its whole loop runs with re-reading too.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple
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
from stateset_gym.policies.local.choose import Chance, choose, logprobs
from stateset_gym.policies.local.load import load
from stateset_gym.policies.local.prompt import Prompt
from stateset_gym.policies.local.sampler import Row, Sampler
from stateset_gym.trainers import episode
from stateset_gym.trainers.episode import Stage, Start
from stateset_gym.trainers.grpo import Rollouts
from stateset_gym.trainers.held_out import training_scenes
from stateset_gym.trainers.through_trl import Conversations

ID, EASY, MOST = "StateSet/CustomerService-v0", {"difficulty": "easy"}, 96
ENVIRONMENT, SHARE = "rollout: environment", 0.03
"""The environment's share of the wall time is to be below this."""
REST = "the rest"
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


class Spent(NamedTuple):
    """Seconds by stage."""

    cpu: Counter[str]
    wall: Counter[str]


class Clock:
    """Time belongs to the stage that was entered last, so that the stages add up to all of it."""

    def __init__(self) -> None:
        self._stages, self._last, self._spent = [REST], (process_time(), perf_counter()), Spent(Counter(), Counter())

    def _lap(self) -> None:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        now = process_time(), perf_counter()
        for spent, before, after in zip(self._spent, self._last, now, strict=True):
            spent[self._stages[-1]] += after - before
        self._last = now

    def cut(self) -> Spent:
        """What was spent since the last cut."""
        self._lap()
        found, self._spent = self._spent, Spent(Counter(), Counter())
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

    clock: Clock

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
            logits_processor=[self.clock.timed("draws", drawn)],
        )  # fmt: skip
        for row, ids in zip(rows, found[:, width:].tolist(), strict=True):
            row.said, row.logprobs, row.sampled = [], [], []
            for token in ids:
                row.add(token, 0.0, True)
                if self._over(row, most):
                    break


WAYS = ("cache kept", "read anew", "generate")


def held(folder: Path, dtype: str, batch: int, group: int, passes: int) -> dict[str, float]:
    """The same conversations in the three ways: ratios of the time that they take."""
    loaded, clock = load(folder, "auto", "float32"), Clock()
    told = trainers.make("grpo", ID, env=EASY, model=str(folder)).arguments
    place = loaded.model.device.type
    stages = {
        way: Stage(ID, told, loaded, batch, temperature=1.0, max_new_tokens=MOST, cache=way != WAYS[1]) for way in WAYS
    }
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    same = []
    for number in range(passes + 1):  # the first one warms up
        scenes = training_scenes(ID, told, number, batch // group)
        said = {}
        for way, stage in stages.items():
            stage.renew()
            if way == WAYS[2]:
                own = stage.policy.sampler
                stage.policy.sampler = Generated(
                    own.model, own._vocabulary, own._stops, Chance(1.0), context=stage.policy._context
                )
                stage.policy.sampler.clock = clock
            openings = [stage.opening(scene) for scene in scenes for _ in range(group)]
            starts = [Start(opening, seed) for seed, opening in enumerate(openings)]
            clock.cut()
            with torch.autocast(place, torch.bfloat16, enabled=dtype == "bfloat16"):
                said[way] = [each.completion_ids for each in stage.play(starts)]
            took = clock.cut()
            spent[way].append((took.cpu[REST], took.wall[REST]))
        same.append(sum(one == other for one, other in zip(said[WAYS[0]], said[WAYS[2]], strict=True)) / batch)
    kept, *others = ([*zip(*spent[way][1:], strict=True)] for way in WAYS)
    ratios: dict[str, float] = {"cache kept: CPU seconds of a rollout": median(kept[0])}
    for way, other in zip(WAYS[1:], others, strict=True):
        for what, own, theirs in zip(("CPU", "wall"), kept, other, strict=True):
            ratio = median(slow / fast for fast, slow in zip(own, theirs, strict=True))
            ratios[f"{way}: {what} time, times that of the cache kept"] = ratio
    return {**ratios, "conversations that generate holds alike": median(same)}


def updated(folder: Path, dtype: str, batch: int, group: int, updates: int) -> dict[str, dict[str, float]]:
    """Updates of GRPO, by stage and in tokens."""
    clock, spent = Clock(), list[Spent]()
    sampled, seen = list[float](), [0.0]

    def told(event: trainers.Event) -> None:
        spent.append(clock.cut())
        sampled.append(event.metrics["sampled_tokens"] * batch)
        seen.append(event.metrics["num_tokens"])

    with tempfile.TemporaryDirectory() as output, clock.watching():
        trainers.make(
            "grpo", ID, env=EASY, model=str(folder), output=f"{output}/run", steps=updates + 1, batch=batch,
            group=group, max_new_tokens=MOST, dtype=dtype, tested=0, schedule="constant", warmup=0.0,
        ).train(callbacks=[told])  # fmt: skip
    counted = range(1, updates + 1)  # the first one warms up
    names = [*dict.fromkeys(stage for stage, _, _ in STAGES), REST]
    stages = {
        f"{what}: {name}": median(getattr(spent[at], what)[name] for at in counted)
        for name in names
        for what in Spent._fields
    }

    def wall(at: int, *heads: str) -> float:
        return sum(seconds for name, seconds in spent[at].wall.items() if name.startswith(heads))

    def most_often(found: Callable[[int], float]) -> float:
        return median(map(found, counted))

    learn = ("forward", "backward", "optimiser")
    figures = {
        "tokens sampled in an update": most_often(lambda at: sampled[at]),
        "tokens of its conversations": most_often(lambda at: seen[at + 1] - seen[at]),
        "sampled tokens/s, of the rollout": most_often(lambda at: sampled[at] / wall(at, "rollout")),
        "tokens/s of conversations, learnt from": most_often(lambda at: (seen[at + 1] - seen[at]) / wall(at, *learn)),
        "sampled tokens/s, of the whole update": most_often(lambda at: sampled[at] / wall(at, "")),
        "the environment's share of the wall time": most_often(lambda at: wall(at, ENVIRONMENT) / wall(at, "")),
    }
    return {"stages": stages, "figures": figures}


def taught(folder: Path, given: argparse.Namespace, dtype: str, **size: int) -> Path:
    """A model that has learnt a little from the expert."""
    settings = {"env": EASY, "steps": given.sft_steps, "batch": 16, "tested": 0, "dtype": dtype, **size}
    trainers.make("sft", ID, output=str(folder), **settings).train()
    return folder / "final"


def measure(folder: Path, given: argparse.Namespace, dtype: str, loop: bool) -> dict[str, dict[str, float]]:
    """All of a model's figures; with `loop` the whole loop is run a second time, with re-reading."""
    found = updated(folder, dtype, given.batch, given.group, given.updates)
    if loop:
        with mock.patch.object(episode, "Local", functools.partial(Local, cache=False)):
            again = updated(folder, dtype, given.batch, given.group, given.updates)
        speed = "sampled tokens/s, of the whole update"
        found["figures"][f"{speed}, read anew"] = again["figures"][speed]
        found["figures"]["times as fast as the loop that reads anew"] = (
            found["figures"][speed] / again["figures"][speed]
        )
    found["figures"] |= held(folder, dtype, given.batch, given.group, given.passes)
    return found


def show(console: Console, title: str, found: dict[str, dict[str, float]]) -> None:
    """Print a model's figures."""
    stages, figures = found["stages"], found["figures"]
    table = Table(title=f"{title}: an update", title_justify="left")
    table.add_column("stage")
    for heading in ("CPU s", "wall s", "share of CPU"):
        table.add_column(heading, justify="right")
    cpu = {name.partition(": ")[2]: seconds for name, seconds in stages.items() if name.startswith("cpu: ")}
    for name, seconds in cpu.items():
        share = seconds / sum(cpu.values())
        table.add_row(name, f"{seconds:.3f}", f"{stages[f'wall: {name}']:.3f}", f"{share:.1%}")
    console.print(table)
    table = Table(title=f"{title}: figures", title_justify="left")
    for heading in ("measured", "figure", "target", "reached"):
        table.add_column(heading, justify="right" if heading == "figure" else "left")
    for name, figure in figures.items():
        shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
        met = figure < SHARE if name.startswith("the environment's share") else None
        table.add_row(name, shown, "" if met is None else f"below {SHARE}", {None: "", True: "yes", False: "no"}[met])
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--updates", type=int, help="updates that are counted")
    parser.add_argument("--passes", type=int, help="rollouts in each of the three ways that are counted")
    parser.add_argument("--batch", type=int, help="conversations of an update")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--sft-steps", type=int, help="batches of 16 that the model learns from the expert at first")
    parser.add_argument("--model", type=Path, help="the folder of a model in place of the small one")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto")
    given = parser.parse_args()
    for name, usual, quick in (("updates", 5, 1), ("passes", 3, 1), ("batch", 128, 16), ("sft_steps", 150, 60)):
        if getattr(given, name) is None:
            setattr(given, name, quick if given.quick else usual)
    if given.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as output:
        small = given.model or taught(Path(output) / "small", given, "float32")
        found[str(given.model or "the reference model")] = measure(small, given, "float32", loop=False)
        if torch.accelerator.is_available():
            large = taught(Path(output) / "large", given, "bfloat16", width=768, layers=12, heads=12)
            found["12 layers, width 768, bfloat16"] = measure(large, given, "bfloat16", loop=True)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu, one thread"
    versions = {"device": str(device), "python": platform.python_version(), "machine": platform.machine()}
    versions |= {each.__name__: each.__version__ for each in (torch, transformers, trl, stateset_gym)}
    if given.json:
        print(json.dumps({"figures": found, "batch": given.batch, "versions": versions}, indent=2))
        return
    console = Console(width=100)
    for name, each in found.items():
        show(console, f"{ID} easy, {name}, batch {given.batch}", each)
    console.print(", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()

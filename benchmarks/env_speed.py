"""How fast the environments step, beside CartPole: python benchmarks/env_speed.py [--quick] [--json].

All speeds are CPU time of one process, medians over passes; CartPole's passes alternate with ours. The expert's texts
are recorded by another process first, so that the measured one meets a scene for the first time where it says so.
Targets stand beside the figures; a missed one is shown, and is no error.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from time import process_time
from types import FrameType
from typing import Any, NamedTuple

import gymnasium
from rich.console import Console
from rich.table import Table

ID = "StateSet/CustomerService-v0"
DIFFICULTIES = ("easy", "normal", "hard")
VECTOR_SIZES = (64, 1024)
VECTOR_DIFFICULTY = "normal"
ROUNDS = 64
"""How many steps each environment of a vector takes at least, so that conversations end and begin anew."""
LIVE_ENVS = 10_000
Script = tuple[int, str, list[str]]
"""A scene to be played: the seed that draws it, its name, the expert's texts."""


class Row(NamedTuple):
    """A measured figure, with its target where it has one."""

    what: str
    figure: float
    unit: str
    target: str = ""
    met: bool | None = None


# What is measured, in this process.


def played(env: gymnasium.Env[Any, Any], scripts: list[Script]) -> float:
    """The CPU seconds in which an environment plays the scripts, resets included."""
    won = 0
    gc.collect()
    start = process_time()
    for seed, _, texts in scripts:
        env.reset(seed=seed)
        for text in texts:
            _, _, _, _, info = env.step(text)
        won += info["is_success"]
    seconds = process_time() - start
    if won != len(scripts):
        raise SystemExit(
            f"Only {won} of {len(scripts)} recorded conversations were won when replayed: record them again."
        )
    return seconds


def balanced(env: gymnasium.Env[Any, Any], actions: list[int]) -> float:
    """The CPU seconds in which CartPole takes as many random steps, with a `reset(seed=...)` after each fall."""
    gc.collect()
    start = process_time()
    env.reset(seed=0)
    for seed, action in enumerate(actions):
        _, _, fallen, cut, _ = env.step(action)
        if fallen or cut:
            env.reset(seed=seed)
    return process_time() - start


def speeds(difficulty: str, folder: Path, passes: int) -> tuple[list[Row], dict[str, float]]:
    """Steps per second on scenes met before and on new ones, beside CartPole; also the CPU microseconds a step."""
    import numpy as np

    env, cart = gymnasium.make(ID, difficulty=difficulty), gymnasium.make("CartPole-v1")
    known = scripts_of(folder, difficulty, 0)
    steps = sum(len(texts) for _, _, texts in known)
    actions: list[int] = np.random.default_rng(0).integers(2, size=steps).tolist()
    played(env, known)  # the first pass meets the scenes, and is not counted
    balanced(cart, actions)
    rows: list[Row] = []
    costs: dict[str, float] = {}
    for kind, least in (("met", 1.0), ("new", 0.7)):
        beside, own = [], []
        for number in range(1, passes + 1):
            scripts = known if kind == "met" else scripts_of(folder, difficulty, number)
            beside.append(balanced(cart, actions) / steps)
            own.append(played(env, scripts) / sum(len(texts) for _, _, texts in scripts))
        ratio = median(cart_cost / cost for cart_cost, cost in zip(beside, own, strict=True))
        target, what = "" if difficulty == "hard" else f"{least} or more", f"{difficulty}, scenes {kind}"
        rows.append(Row(f"{what}: CartPole-v1 beside it", 1 / median(beside), "steps/s"))
        rows.append(Row(what, 1 / median(own), "steps/s"))
        rows.append(Row(what, ratio, "x CartPole-v1", target, ratio >= least if target else None))
        costs[kind] = median(own) * 1e6
    return rows, costs


def vectors(folder: Path, passes: int, steps: int) -> list[Row]:
    """What a step costs in our vector environment and in the single one: scenes met before, resets without a seed."""
    scripts = {name: texts for _, name, texts in scripts_of(folder, VECTOR_DIFFICULTY, 0)}
    options: dict[str, Any] = {"difficulty": VECTOR_DIFFICULTY, "scenes": list(scripts)}
    single = gymnasium.make(ID, **options)
    plan = _single_plan(single, scripts, steps)
    rows = []
    for size in VECTOR_SIZES:
        many = gymnasium.make_vec(ID, num_envs=size, **options)
        rounds = _vector_plan(many, scripts, max(ROUNDS, steps // size))
        ratios = []
        for number in range(passes + 1):
            one, all_ = _single_pass(single, plan) / len(plan), _vector_pass(many, rounds) / (size * len(rounds))
            ratios += [all_ / one] if number else []  # the first pass meets the scenes
        many.close()
        ratio = median(ratios)
        rows.append(Row(f"vector env, {size:,} envs: a step", ratio, "x the single env's", "1.0 or less", ratio <= 1.0))
    return rows


def _single_plan(env: gymnasium.Env[Any, Any], scripts: dict[str, list[str]], steps: int) -> list[tuple[str, bool]]:
    """The texts of one environment's stream of scenes, and where it must be reset; looked up before the clock runs."""
    plan: list[tuple[str, bool]] = []
    _, info = env.reset(seed=0)
    while len(plan) < steps:
        texts = scripts[info["scene"]]
        plan += [(text, text is texts[-1]) for text in texts]
        for text in texts:
            env.step(text)
        _, info = env.reset()
    return plan


def _single_pass(env: gymnasium.Env[Any, Any], plan: list[tuple[str, bool]]) -> float:
    env.reset(seed=0)
    gc.collect()
    start = process_time()
    for text, last in plan:
        env.step(text)
        if last:
            env.reset()
    return process_time() - start


def _vector_plan(envs: Any, scripts: dict[str, list[str]], rounds: int) -> list[tuple[str, ...]]:
    """The texts of each round, by where each environment stands in its scene."""
    _, infos = envs.reset(seed=0)
    left = [list(scripts[name]) for name in infos["scene"]]
    plan = []
    for _ in range(rounds):
        actions = tuple(texts.pop(0) for texts in left)
        plan.append(actions)
        _, _, over, cut, infos = envs.step(actions)
        left = [list(scripts[name]) if over[at] or cut[at] else left[at] for at, name in enumerate(infos["scene"])]
    return plan


def _vector_pass(envs: Any, plan: list[tuple[str, ...]]) -> float:
    envs.reset(seed=0)  # not counted: a seed for each environment, and no step
    gc.collect()
    start = process_time()
    for actions in plan:
        envs.step(actions)
    return process_time() - start


# What is measured in processes of their own; each prints one JSON value.


def record(folder: Path, passes: int, scenes: int) -> None:
    """Let the expert play scenes, none of them twice, and write down its texts: a file for each pass."""
    from stateset_gym import policies
    from stateset_gym.policies.rollout import rollout

    for difficulty in DIFFICULTIES:
        env = gymnasium.make(f"stateset_gym:{ID}", difficulty=difficulty)
        expert, parts = policies.make("expert", env), env.unwrapped.parts  # type: ignore[attr-defined]
        seed, met = 0, set()
        for number in range(passes + 1):
            scripts: list[Script] = []
            while len(scripts) < scenes:
                seed += 1
                episode = rollout(expert, env, seed=seed)
                if episode.scene not in met:
                    met.add(episode.scene)
                    scripts.append((seed, episode.scene, [parts.actions.encode(action) for action in episode.actions]))
            (folder / f"{difficulty}-{number}.json").write_text(json.dumps(scripts))
    print(json.dumps(True))


def scripts_of(folder: Path, difficulty: str, number: int) -> list[Script]:
    """The recorded scripts of a pass."""
    return [
        (seed, name, texts) for seed, name, texts in json.loads((folder / f"{difficulty}-{number}.json").read_text())
    ]


OWNERS = {
    "scene": ("scenes", "plots", "requests", "stock", "lexicon", "chance", "goals"),
    "parse": ("parse",),
    "rules": (
        "rules",
        "desk",
        "store",
        "records",
        "ledger",
        "views",
        "conduct",
        "reading",
        "mentions",
        "told",
        "words",
    ),
    "customer": ("customer", "mind", "played"),
    "words": ("wording", "phrases"),
    "observe": ("conversation",),
    "turns, memory, reward": ("turns", "memory", "terms"),
}
"""Part -> the modules that do its work; the work of any other module counts to whoever called it."""
OWNER = {module: part for part, modules in OWNERS.items() for module in modules}
SPLIT = (*OWNERS, "gymnasium")


def split(folder: Path, difficulty: str, passes: int) -> None:
    """Where the CPU time goes, by sampling the running function: no timer stands in the code that is measured."""
    counts: dict[str, Counter[str]] = {"new": Counter(), "met": Counter()}
    env = gymnasium.make(f"stateset_gym:{ID}", difficulty=difficulty)
    for number in range(passes + 1):
        scripts = scripts_of(folder, difficulty, number)
        for kind in ("new", "", "met", "met"):  # a scene may be kept only from its second meeting on
            if kind:
                _sample(counts[kind])
            try:
                played(env, scripts)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(counts))


def _sample(counts: Counter[str]) -> None:
    """Count, each tick of CPU time, to which part the running function belongs."""

    def tick(number: int, frame: FrameType | None) -> None:
        part = None
        while frame is not None and part is None:
            part = _part(frame)
            frame = frame.f_back
        if part is not None:
            counts[part] += 1

    signal.signal(signal.SIGPROF, tick)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)


def _part(frame: FrameType) -> str | None:
    name = frame.f_globals.get("__name__", "")
    if name.startswith("gymnasium"):
        return "gymnasium"
    if name.startswith("stateset_gym") and frame.f_code.co_name == "info":
        return "observe"
    return OWNER.get(name.rsplit(".", 1)[-1]) if name.startswith("stateset_gym") else None


def live() -> None:
    """The memory that live environments take after their reset, in MiB."""
    gymnasium.make(f"stateset_gym:{ID}", difficulty="hard").reset(seed=0)
    before = resident()
    envs = [gymnasium.make(ID, difficulty="hard") for _ in range(LIVE_ENVS)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    print(json.dumps(resident() - before))


def resident() -> float:
    """The memory of this process, in MiB; not its peak, which a process inherits from the one that started it."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], check=True, stdout=subprocess.PIPE)
    return int(shown.stdout) / 2**10


IMPORT = "import gymnasium, time; start = time.perf_counter(); import stateset_gym; print(time.perf_counter() - start)"
"""What importing the package takes once gymnasium is imported, in seconds of the clock."""


# The report.


def apart(*role: object) -> Any:
    """Run a role of this script in a process of its own, and read what it prints."""
    return _printed(os.fspath(Path(__file__).resolve()), *map(str, role))


def _printed(*arguments: str) -> Any:
    return json.loads(subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE).stdout)


def splits(folder: Path, difficulty: str, passes: int, runs: int) -> dict[str, dict[str, float]]:
    """The share of each part on new and on met scenes, over several processes."""
    total: dict[str, Counter[str]] = {"new": Counter(), "met": Counter()}
    for _ in range(runs):
        for kind, counts in apart("split", "--folder", folder, "--difficulty", difficulty, "--passes", passes).items():
            total[kind].update(counts)
    return {kind: {part: counts[part] / max(counts.total(), 1) for part in SPLIT} for kind, counts in total.items()}


def measure(quick: bool) -> tuple[list[Row], dict[str, Any]]:
    """All figures, and the split of time by difficulty."""
    import stateset_gym  # noqa: F401

    passes, scenes, runs = (3, 100, 2) if quick else (7, 1000, 3)
    rows: list[Row] = []
    parts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        apart("record", "--folder", folder, "--passes", passes, "--scenes", scenes)
        for difficulty in DIFFICULTIES:
            found, cost = speeds(difficulty, folder, passes)
            rows += found
            shares = splits(folder, difficulty, passes, runs)
            parts[difficulty] = {
                kind: {part: share * cost[kind] for part, share in each.items()} for kind, each in shares.items()
            }
        rows += vectors(folder, passes, 4 * scenes if quick else 16 * scenes)
    memory = apart("live")
    rows.append(Row(f"{LIVE_ENVS:,} live envs (hard), reset", memory, "MiB", "1024 or less", memory <= 1024))
    seconds = median(_printed("-c", IMPORT) for _ in range(passes))
    rows.append(Row("import stateset_gym, after gymnasium", seconds, "s", "0.1 or less", seconds <= 0.1))
    return rows, parts


def versions() -> dict[str, str]:
    """What was measured with."""
    return {"python": platform.python_version(), "gymnasium": gymnasium.__version__, "machine": platform.machine()}


def show(rows: list[Row], parts: dict[str, Any]) -> None:
    """The figures and the split as tables."""
    console = Console(width=max(Console().width, 120))
    table = Table(title=f"{ID}, CPU time of one process, medians", title_justify="left")
    for name in ("measured", "figure", "", "target", "reached"):
        table.add_column(name, justify="right" if name == "figure" else "left")
    for row in rows:
        figure = f"{row.figure:,.0f}" if row.figure >= 100 else f"{row.figure:.3g}"
        table.add_row(row.what, figure, row.unit, row.target, "" if row.met is None else "yes" if row.met else "no")
    console.print(table)
    table = Table(title="CPU microseconds a step, by part (sampled in processes of their own)", title_justify="left")
    columns = [(difficulty, kind) for difficulty in parts for kind in parts[difficulty]]
    table.add_column("part")
    for difficulty, kind in columns:
        table.add_column(f"{difficulty}, {kind}", justify="right")
    for part in SPLIT:
        table.add_row(part, *(f"{parts[difficulty][kind][part]:.2f}" for difficulty, kind in columns))
    console.print(table)
    console.print(", ".join(f"{name} {version}" for name, version in versions().items()))


def main() -> None:
    """Measure and report, or play one of the roles that want a process of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("role", nargs="?", default="report", choices=("report", "record", "split", "live"))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter passes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    for hidden, kind in (("folder", Path), ("difficulty", str), ("passes", int), ("scenes", int)):
        parser.add_argument(f"--{hidden}", type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "record":
        record(given.folder, given.passes, given.scenes)
    elif given.role == "split":
        split(given.folder, given.difficulty, given.passes)
    elif given.role == "live":
        live()
    else:
        rows, parts = measure(given.quick)
        if given.json:
            print(
                json.dumps(
                    {"figures": [row._asdict() for row in rows], "microseconds_a_step": parts, "versions": versions()},
                    indent=2,
                )
            )
        else:
            show(rows, parts)


if __name__ == "__main__":
    main()

"""What a trainer is, and trainers by name: our own, and those that other packages bring."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from ..envs.errors import BadArgument
from ..policies import registry, runs
from ..policies.base import Policy
from ..policies.progress import Tick, bar, quiet
from . import settings
from .folder import FILES, Folder, Record, Summary, versions
from .telling import Callback, Told, heeded, rank

GROUP = "stateset_gym.trainers"
"""The entry points by which a package brings a trainer: NAME = "module:class", a subclass of `Trainer`."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every trainer is told."""

    env: Annotated[Mapping[str, Any], Meta(description="Arguments of the environment, but for its split.")] = field(
        default_factory=dict
    )
    seed: Annotated[int, Meta(ge=0, description="What all that is left to chance follows from.")] = 0
    output: Annotated[str, Meta(description="The run's folder; by default a new one in runs/.")] = ""
    steps: Annotated[int, Meta(ge=1, description="How many updates are made.")] = 100
    log_every: Annotated[int, Meta(ge=1, description="Steps from one line of metrics to the next.")] = 1
    checkpoint_every: Annotated[
        int, Meta(ge=0, description="Steps from one checkpoint to the next; 0: only at the end and on Ctrl-C.")
    ] = 0
    evaluate_every: Annotated[
        int, Meta(ge=0, description="Steps from one held-out evaluation to the next; 0: only before and after.")
    ] = 0
    held_out: Annotated[
        int, Meta(ge=0, description="Scenes of the train split that evaluations play, and training does not.")
    ] = 200
    patience: Annotated[
        int, Meta(ge=0, description="Evaluations in a row without a better success that end the training; 0: never.")
    ] = 0


C = TypeVar("C", bound=Config)


class Trainer(ABC, Generic[C]):
    """Makes a policy better at an environment. Made by `make`; subclasses give `train` and `save`."""

    config_class: ClassVar[type[Config]] = Config
    packages: ClassVar[Sequence[str]] = ()
    """What it needs beside this package, to be told before anything is trained."""
    files: ClassVar[Mapping[str, str]] = FILES
    """What a run leaves in its folder, and what each is."""
    fixed: ClassVar[Sequence[str]] = ()
    """The settings that decide what a checkpoint holds: a resumed run keeps them."""

    def __init__(self, env_id: str, config: C) -> None:
        if not isinstance(config, self.config_class):
            wanted = self.config_class.__name__
            raise BadArgument(f"config={config!r} is no {wanted}, which {type(self).__name__} takes: use make().")
        if "split" in config.env:
            raise BadArgument(
                f"env={{'split': {config.env['split']!r}}} is not to be chosen: what is trained on is the train split, "
                "and what is measured on the test split. Leave it out."
            )
        self.kind = registry.kind_of(env_id)
        self.env_id, self.config = env_id, config
        self.name = _name_of(type(self))
        """By what name `make` makes it."""
        self.summary: Summary | None = None
        """What came of the training."""
        self.changed: Collection[str] = ()
        """The settings in which a resumed run may differ from what it was begun with."""
        self._folder: Folder | None = None

    @abstractmethod
    def train(
        self, *, resume: bool = False, callbacks: Sequence[Callback] = (), progress: bool | Tick = False
    ) -> Policy:
        """Train, and give the trained policy.

        Whoever writes one trains under `with self.telling(...) as told`: after each step `told(step, metrics)` says
        whether to end there, and in the end `told.finish(summary)` saves the model and what came of it.

        Args:
            resume: go on with the run in the folder, exactly as if it had never been interrupted.
            callbacks: called after each step that is told.
            progress: show a progress bar, or call this function (what, done, total).
        """

    @abstractmethod
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the trained model, so that `policies.make` can load it; an error before `train`."""

    def load(self, folder: str | os.PathLike[str]) -> Policy:
        """The policy that `save` wrote into a folder, to be measured as it acts: what comparisons ask for."""
        raise BadArgument(f"Trainer {self.name!r} gives no load(folder), so what it has trained cannot be measured.")

    @property
    def arguments(self) -> dict[str, Any]:
        """What the environment is made with, but for its split."""
        return {**self.config.env}

    @property
    def folder(self) -> Folder:
        """The run's folder: the one that was named, or a new one in runs/."""
        if self._folder is None:
            self._folder = Folder(self.config.output or self._new(), writes=rank() == 0)
        return self._folder

    def _new(self) -> Path:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise BadArgument("output='' leaves each process to name a folder of its own: name one for all (output).")
        now = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        return Path("runs") / f"{now}-{self.name}-{self.env_id.rpartition('/')[2]}"

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        runs.Setting(self.env_id, None, {**self.config.env, "split": "train"}).env().close()
        needs(self.name, self.packages)
        self._check_fixed()

    def _check_fixed(self) -> None:
        """Raise where a resumed run is to go on with a model or with conversations of another shape."""
        changed = [name for name in self.fixed if name in self.changed]
        begun, now = (self.folder.record().config if changed else {}), plain(self.config)
        for name in changed:
            if begun.get(name) != now[name]:
                raise BadArgument(
                    f"{name}={now[name]!r} cannot be changed on the way: {self.folder.path} was begun with "
                    f"{begun.get(name)!r}. Leave it out, or begin a new run."
                )

    @property
    def steps(self) -> int:
        """How many steps are made where nothing ends it earlier: the setting, unless it takes whole rounds of many."""
        return self.config.steps

    @contextlib.contextmanager
    def telling(
        self, *, callbacks: Sequence[Callback] = (), progress: bool | Tick = False, after: int | None = None
    ) -> Iterator[Told]:
        """Open the run's folder and show the progress; `after` is the step that is resumed from, `None` for a new run.

        Meanwhile the first Ctrl-C, or SIGTERM, asks to end after the step that is under way; the second ends at once.
        """
        self.check()
        record = Record(self.name, self.env_id, plain(self.config), versions(), objects(self.config))
        shown = contextlib.nullcontext(progress or quiet) if progress is not True else bar()
        if after is None:
            self.folder.begin(record)
        else:
            self.folder.resume(record, after, self.changed)
        with shown if rank() == 0 else contextlib.nullcontext(quiet) as tick:
            config, done = self.config, after or 0
            told = Told(self.folder, self.name, self.steps, done, callbacks, tick, self._finished, config.log_every)
            with heeded(told.interrupt):
                yield told

    def _finished(self, summary: Summary) -> None:
        """Keep what was trained in `final/`, and what came of it beside it."""
        self.summary = summary
        self.save(self.folder.final)
        self.folder.finish(summary)


class BuiltIn(NamedTuple):
    """A trainer of ours, imported only when it is used."""

    where: str
    what: str
    packages: tuple[str, ...]
    """What it needs,"""
    extra: str
    """and which extra of this package brings it."""


LLM = ("torch", "transformers", "trl"), "llm"
SB3 = ("stable_baselines3",), "sb3"
CONTRIB = ("stable_baselines3", "sb3_contrib"), "sb3"
RLLIB = ("torch", "ray", "tree"), "rllib"
BUILT_IN = {
    "sft": BuiltIn(".sft:SFT", "Learns to say what the expert says, recoveries from mistakes included.", *LLM),
    "grpo": BuiltIn(".grpo:GRPO", "Learns from its own conversations, in groups that start from one scene.", *LLM),
    "gspo": BuiltIn(".grpo:GSPO", "GRPO with the importance of whole conversations in place of tokens.", *LLM),
    "dr_grpo": BuiltIn(".grpo:DrGRPO", "GRPO without the bias of lengths and of a group's spread.", *LLM),
    "dapo": BuiltIn(".grpo:DAPO", "GRPO with a loss over the batch's tokens and a wider clip above.", *LLM),
    "rloo": BuiltIn(".grpo:RLOO", "Leave-one-out baselines: GRPO without scaling of rewards.", *LLM),
    "grpo_turns": BuiltIn(".grpo:TurnGRPO", "GRPO with credit for each turn, against branches of one snapshot.", *LLM),
    "dpo": BuiltIn(".dpo:DPO", "Learns which of two answers to the same turn is better.", *LLM),
    "bc": BuiltIn(".baselines:BC", "Numbered actions: learns to choose what the expert chooses.", *CONTRIB),
    "maskable_ppo": BuiltIn(".baselines:MaskablePPO", "Numbered actions: PPO among those that are allowed.", *CONTRIB),
    "ppo": BuiltIn(".baselines:PPO", "Numbered actions: PPO, which finds out which are allowed.", *SB3),
    "recurrent_ppo": BuiltIn(".baselines:RecurrentPPO", "Numbered actions: PPO with an LSTM.", *CONTRIB),
    "a2c": BuiltIn(".baselines:A2C", "Numbered actions: advantage actor-critic.", *SB3),
    "dqn": BuiltIn(".baselines:DQN", "Numbered actions: Q-learning with a replay buffer.", *SB3),
    "rllib_ppo": BuiltIn(".rllib:RLlibPPO", "Numbered actions: PPO of RLlib, on one machine or many.", *RLLIB),
}
"""Our own trainers."""


def names() -> tuple[str, ...]:
    """The trainers that `make` knows, those of other packages last."""
    return tuple(dict.fromkeys((*BUILT_IN, *_plugged())))


def find(name: str) -> type[Trainer[Any]]:
    """The class of a trainer."""
    if name in BUILT_IN:
        needs(name, BUILT_IN[name].packages)
        module, _, attribute = BUILT_IN[name].where.partition(":")
        found = getattr(importlib.import_module(module, __package__), attribute)
    elif name in (plugged := _plugged()):
        found = plugged[name].load()
    else:
        raise BadArgument(f"Trainer {name!r} does not exist{registry.hint(name, names())}")
    if not isinstance(found, type) or not issubclass(found, Trainer):
        raise BadArgument(
            f"Trainer {name!r} is {found!r}: its entry point names a subclass of stateset_gym.trainers.Trainer."
        )
    return found


def about(name: str) -> str:
    """A sentence on a trainer; of another package's, the first line of its docstring, or why it cannot be had."""
    if name in BUILT_IN:
        return BUILT_IN[name].what
    try:
        return (find(name).__doc__ or "").strip().partition("\n")[0]
    except (ImportError, AttributeError, BadArgument) as error:
        return f"cannot be used: {error}"


def make(name: str, env_id: str, **config: Any) -> Trainer[Any]:
    """The trainer of a name for an environment; what it is told is in its `config_class`."""
    found = find(name)
    _no_argument(found, env_id, config)
    made = found(env_id, settings.build(found.config_class, config, f"the trainer {name!r}"))
    made.name = name
    return made


def _no_argument(found: type[Trainer[Any]], env_id: str, config: Mapping[str, Any]) -> None:
    """Raise where the environment's argument is given as the trainer's setting."""
    known, taken = settings.fields(found.config_class), runs.taken(registry.kind_of(env_id))
    for name, value in config.items():
        if name not in known and name in taken:
            raise BadArgument(
                f"{name}={value!r} is an argument of the environment, not of the trainer: give env={{{name!r}: ...}}."
            )


def resume(folder: str | os.PathLike[str], **changes: Any) -> Trainer[Any]:
    """The trainer of a run that is to go on: call `train(resume=True)`.

    `changes` are settings to go on with instead of those it was begun with, such as more `steps`. Arguments of the
    environment that are objects, which no file holds, are given again: `env={"reward": ...}`.
    """
    record = Folder(folder).record()
    missing = [name for name in record.objects if name not in changes.get("env", {})]
    if missing:
        raise BadArgument(
            f"{os.fspath(folder)} was trained with env.{missing[0]}, an object that no file holds: give it again, "
            f"resume(folder, env={{{missing[0]!r}: ...}})."
        )
    env = {**record.config.pop("env", {}), **changes.get("env", {})}
    made = make(record.trainer, record.env_id, **{**record.config, **changes, "env": env, "output": folder})
    made.changed = {*changes}
    return made


def _plugged() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}


def _name_of(found: type[Trainer[Any]]) -> str:
    """By what name a class is known, where it is."""
    ours = {f"{__package__}{each.where}": name for name, each in BUILT_IN.items()}
    known = {entry.value: name for name, entry in _plugged().items() if name not in BUILT_IN} | ours
    return known.get(f"{found.__module__}:{found.__qualname__}", found.__name__.lower())


def needs(name: str, packages: Sequence[str]) -> None:
    """Raise `BadArgument` where a trainer's packages are not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            remedy = f'"stateset-gym[{BUILT_IN[name].extra}]"' if name in BUILT_IN else package
            raise BadArgument(f"Trainer {name!r} needs the package {package}: pip install {remedy}.")


def plain(config: Config) -> dict[str, Any]:
    """A config as JSON."""
    return runs.plain({each.name: getattr(config, each.name) for each in dataclasses.fields(config)})


def objects(config: Config) -> list[str]:
    """The arguments of the environment that JSON cannot hold."""
    return [name for name, value in config.env.items() if not _told_by_json(value)]


def _told_by_json(value: Any) -> bool:
    if isinstance(value, os.PathLike):
        return True
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError):
        return False
    return True

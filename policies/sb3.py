"""Models trained with stable-baselines3 or sb3-contrib as policies: numbers in, numbers out, with a view between."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

from ..envs.actions import Action
from ..envs.catalogue import Catalogue
from ..envs.conversation import Observation
from ..envs.errors import BadArgument, one_of
from ..envs.memory import Fact, Memory
from ..envs.parse import Malformed, Parser
from .base import Kind, Remembering
from .named import named


class View(Protocol):
    """What stands between a model, which acts on numbers, and a conversation; it keeps nothing of any conversation."""

    def features(self, memory: Memory, observation: Observation) -> npt.NDArray[Any]:
        """What the model is shown."""

    def action(self, answer: Any, memory: Memory) -> Any:
        """What the model's answer means: an index where its actions are discrete, else an array."""

    def masks(self, memory: Memory) -> npt.NDArray[np.bool_] | None:
        """Which answers are allowed, for a model that heeds it; `None`: all of them."""


MODULES = {
    "PPO": "stable_baselines3",
    "A2C": "stable_baselines3",
    "DQN": "stable_baselines3",
    "MaskablePPO": "sb3_contrib",
    "RecurrentPPO": "sb3_contrib",
    "QRDQN": "sb3_contrib",
    "TRPO": "sb3_contrib",
}
"""Algorithm -> where it comes from."""
WITH_STATE = frozenset({"RecurrentPPO"})
"""Algorithms whose models keep something of a conversation."""
FILE = "model.zip"
"""A model within the folder of a run."""
TOGETHER = 64
"""How many conversations a model answers in one go: a prediction for one costs as much as for many."""

POLICIES = {
    "sb3_contrib.common.maskable": "MaskablePPO",
    "sb3_contrib.common.recurrent": "RecurrentPPO",
    "sb3_contrib.qrdqn": "QRDQN",
    "stable_baselines3.dqn": "DQN",
}
"""The module of a model's policy -> the algorithm that trained it."""


class SB3(Remembering):
    """A trained model (a zip, or a folder with a `model.zip`), seen through a view: by default the environment's own.

    Another `view` is an object, or `module:name` of one or of what makes one. `algorithm` is found from the file, or a
    name or a class. A model holds pickled Python, so load only what you trust.
    """

    manner = "batch"

    def __init__(
        self,
        kind: Kind,
        path: str | os.PathLike[str],
        *,
        view: View | str | None = None,
        algorithm: Any = "auto",
        deterministic: bool = True,
        device: str = "cpu",
    ) -> None:
        self.view = _view(view, kind, path)
        self.model = _loaded(_file(path), algorithm, device)
        self._deterministic = deterministic
        self._masked = takes_masks(self.model)
        # What is drawn follows from each conversation's own seed, so those who draw answer one after the other.
        self._together = deterministic and type(self.model).__name__ in MODULES.keys() - WITH_STATE
        self.parallel = TOGETHER if self._together else 1
        if isinstance(self.view, Catalogue):
            _fits(self.model, self.view, kind)
        self._parser = Parser(kind.parts.actions)
        super().__init__()

    def reset(self, seed: int | None = None) -> None:
        """Forget the last conversation; where the model draws its actions, `seed` decides them."""
        super().reset(seed)
        self._state: Any = None
        self._begins, self._seed = True, seed

    def choose(self, observation: Observation) -> Any:
        """What the model does."""
        shown = self._checked(self.view.features(self.memory, observation))
        given: dict[str, Any] = {"state": self._state, "episode_start": np.array([self._begins])}
        if self._masked and (masks := self.view.masks(self.memory)) is not None:
            given["action_masks"] = np.asarray(masks, dtype=bool)
        with _chance(self.model, None if self._deterministic else self._seed, observation["turn"]):
            answer, self._state = self.model.predict(shown, deterministic=self._deterministic, **given)
        self._begins = False
        return self._meant(answer)

    def act_batch(
        self, observations: Sequence[Observation | None], facts: Sequence[Sequence[Fact] | None]
    ) -> list[Any]:
        """The next action of each slot, from one prediction where nothing is drawn and the model keeps no state."""
        if not self._together:
            return super().act_batch(observations, facts)
        actions: list[Any] = [None] * len(observations)
        slots, rows, masks = [], [], []
        for slot, (seen, new) in enumerate(zip(observations, facts, strict=True)):
            if seen is not None:
                memory = self._at(slot).take_in(new or ())
                slots.append(slot)
                rows.append(self._checked(self.view.features(memory, seen)))
                masks.append(self.view.masks(memory) if self._masked else None)
        answers, _ = self.model.predict(np.stack(rows), deterministic=True, **_given(masks))
        for slot, answer in zip(slots, answers, strict=True):
            actions[slot] = action = self._at(slot)._meant(answer)
            self._at(slot).did(action if isinstance(action, Action) else None)
        return actions

    def take_in(self, facts: Sequence[Fact]) -> Memory:
        """Fold what the last action brought into memory."""
        self.memory.fold(self._last, facts)
        return self.memory

    def _at(self, slot: int) -> SB3:
        twin = self.at(slot)
        assert isinstance(twin, SB3)
        return twin

    def _meant(self, answer: Any) -> Any:
        """What the model's answer means in this conversation."""
        discrete = isinstance(self.model.action_space, gymnasium.spaces.Discrete)
        return self._read(self.view.action(int(answer) if discrete else answer, self.memory))

    def _checked(self, features: Any) -> npt.NDArray[Any]:
        space = self.model.observation_space
        shown = np.asarray(features, dtype=space.dtype)
        if shown.shape != space.shape:
            raise BadArgument(
                f"{type(self.view).__name__}.features() has the shape {shown.shape}, and the model was trained on "
                f"{space.shape}: give view=... the view that it was trained with."
            )
        return shown

    def _read(self, given: Any) -> Any:
        """The action as a Struct, so that memory takes in what it brings; what is none as it is."""
        action = given if isinstance(given, Action) else self._parser.parse(given)
        return given if isinstance(action, Malformed) else action


def _fits(model: Any, catalogue: Catalogue, kind: Kind) -> None:
    """Refuse a model that was trained on other actions or features than a catalogue has."""
    features, actions = (len(catalogue.feature_names),), len(catalogue.action_names)
    shape, count = model.observation_space.shape, getattr(model.action_space, "n", None)
    if (shape, count) != (features, actions):
        raise BadArgument(
            f"The model was trained on observations of the shape {shape} and actions in {model.action_space}, and the "
            f"discrete view of {kind.parts.name} has {features[0]} features and {actions} actions: give a model that "
            "was trained on this view, or view=... the view that it was trained with."
        )


def _given(masks: Sequence[npt.NDArray[np.bool_] | None]) -> dict[str, Any]:
    """The masks of many conversations, where there are any; `None` allows everything."""
    some = next((mask for mask in masks if mask is not None), None)
    if some is None:
        return {}
    everything = np.ones(np.shape(some), bool)
    return {"action_masks": np.array([everything if mask is None else mask for mask in masks], bool)}


def _view(view: View | str | None, kind: Kind, path: Any) -> View:
    """The view that is meant; one that has to be made is made for the kind of environment."""
    if view is None:
        if kind.parts.catalogue is not None:
            return kind.parts.catalogue
        raise BadArgument(
            f"Policy 'sb3:{path}' needs a view, as a model acts on numbers and {kind.parts.name} on JSON, and there is "
            "no catalogue of it: give view=..., an object with features(memory, observation), action(answer, memory) "
            "and masks(memory), or 'module:name' of one."
        )
    found: Any = named(f"view={view!r}", view) if isinstance(view, str) else view
    if isinstance(found, type) or (callable(found) and not hasattr(found, "features")):
        found = found(kind)
    missing = [name for name in ("features", "action", "masks") if not callable(getattr(found, name, None))]
    if missing:
        raise BadArgument(f"view={view!r} is no view: it has no {', '.join(missing)}.")
    made: View = found
    return made


def _file(path: str | os.PathLike[str]) -> Path:
    """The file of a model; `.zip` may be left out, as it may in `model.save`, and in a folder it is `model.zip`."""
    given = Path(path)
    for file in (given, given.with_name(f"{given.name}.zip"), given / FILE):
        if file.is_file():
            return file
    if given.is_dir():
        raise BadArgument(f"Policy 'sb3:{path}': there is no {FILE} in this folder; a run's model is in its final/.")
    raise BadArgument(f"Policy 'sb3:{path}': there is no file {path} and no {given.name}.zip beside it.")


def _loaded(file: Path, algorithm: Any, device: str) -> Any:
    """The model that a file holds."""
    data = _data(file)
    name = _algorithm(data, file) if algorithm == "auto" else algorithm
    made: Any = name if isinstance(name, type) else _class(name)
    custom = {"buffer_size": 1} if "buffer_size" in data else {}  # nothing is learned here: no room for replays
    try:
        return made.load(file, device=device, custom_objects=custom)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        raise BadArgument(
            f"Policy 'sb3:{file}' does not load as {made.__name__}: {error}. Name the algorithm that trained it with "
            "algorithm=..., and use the versions that its system_info.txt tells."
        ) from error


def _data(file: Path) -> dict[str, Any]:
    """What a model's file tells of it; nothing is unpickled."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadArgument(
            f"{file} is no model of stable-baselines3 ({error}): give a file that model.save() wrote."
        ) from None
    if not isinstance(found, dict) or "policy_class" not in found:
        raise BadArgument(f"{file} is no model of stable-baselines3: its data names no policy class.")
    return found


def _algorithm(data: dict[str, Any], file: Path) -> str:
    """The algorithm that trained a model: told by its policy's module, and where that has several by its parameters."""
    module = str(data["policy_class"].get("__module__", "")) if isinstance(data["policy_class"], dict) else ""
    for start, name in POLICIES.items():
        if module.startswith(start):
            return name
    if module.startswith("stable_baselines3.common.policies"):
        return "TRPO" if "cg_max_steps" in data else "PPO" if "clip_range" in data else "A2C"
    raise BadArgument(
        f"{file} does not tell which algorithm trained it (its policy comes from {module or 'nowhere'}): "
        f"give algorithm=..., a class or one of {', '.join(MODULES)}."
    )


def _class(name: str) -> Any:
    one_of("algorithm", name, ("auto", *MODULES))
    import importlib

    try:
        return getattr(importlib.import_module(MODULES[name]), name)
    except ModuleNotFoundError as error:
        raise BadArgument(f'sb3:PATH needs the package {error.name}: pip install "stateset-gym[sb3]".') from None


def takes_masks(model: Any) -> bool:
    """Whether a model heeds which actions are allowed."""
    return "action_masks" in inspect.signature(model.predict).parameters


@contextmanager
def _chance(model: Any, seed: int | None, turn: int) -> Iterator[None]:
    """Let what is drawn follow from the seed and the turn, and leave the generators of others as they were."""
    if seed is None:
        yield
        return
    import torch

    own = int.from_bytes(hashlib.blake2b(f"{seed}|{turn}".encode(), digest_size=4).digest())
    before = np.random.get_state()  # noqa: NPY002  DQN explores by NumPy's global generator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own)
        np.random.seed(own)  # noqa: NPY002
        model.action_space.seed(own)
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002

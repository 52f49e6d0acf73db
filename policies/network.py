"""A trained network as a policy: numbers in, numbers out. It is an array of weights, and needs nothing but NumPy."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..envs.conversation import Observation
from ..envs.discrete import catalogue_of
from ..envs.errors import BadArgument
from .base import Kind, Remembering

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
FILE = "network.npz"
"""A network within the folder of a run."""


class Layer(NamedTuple):
    """Inputs times weights, and the bias added."""

    weights: Floats
    """[inputs, outputs]"""
    bias: Floats


class Network:
    """Layers with tanh between them; the last one scores the actions."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def scores(self, features: Floats) -> Floats:
        """A score of each action, for each row of features."""
        *hidden, last = self.layers
        for weights, bias in hidden:
            features = np.tanh(features @ weights + bias)
        scored: Floats = features @ last.weights + last.bias
        return scored

    def best(self, features: Floats, masks: Flags) -> npt.NDArray[np.int64]:
        """Of the actions that are allowed, the one with the highest score, for each row."""
        chosen: npt.NDArray[np.int64] = np.where(masks, self.scores(features), -np.inf).argmax(axis=1)
        return chosen

    def save(self, folder: Path) -> None:
        """Write it down; `load` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{name}_{at}": value for at, each in enumerate(self.layers) for name, value in each._asdict().items()
        }
        np.savez(folder / FILE, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """The network of a file, or of the folder it is in. There is no pickled Python in it."""
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        try:
            with np.load(file) as arrays:
                count = max(1, len(arrays.files) // len(Layer._fields))
                layers = [Layer(*(arrays[f"{name}_{at}"] for name in Layer._fields)) for at in range(count)]
        except FileNotFoundError:
            raise BadArgument(
                f"There is no {file}: give the file or the folder of a network, as a run's final/."
            ) from None
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
            raise BadArgument(f"{file} is no network that was trained here ({error}): give a {FILE}.") from None
        return cls(layers)


class Networked(Remembering):
    """Plays what a network scores highest of the actions that the discrete view allows."""

    def __init__(self, kind: Kind, path: str | os.PathLike[str]) -> None:
        self.network = Network.load(path)
        self._catalogue = catalogue_of(kind)
        fits = len(self._catalogue.feature_names), len(self._catalogue.action_names)
        trained = self.network.layers[0].weights.shape[0], self.network.layers[-1].weights.shape[1]
        if fits != trained:
            raise BadArgument(
                f"The network of {os.fspath(path)} was trained on {trained[0]} features and {trained[1]} actions, and "
                f"the discrete view of {kind.parts.name} has {fits[0]} and {fits[1]}: give one that was trained on it."
            )
        super().__init__()

    def choose(self, observation: Observation) -> Any:
        """The best of the actions that are allowed."""
        look = self._catalogue.look(self.memory)
        (best,) = self.network.best(look.array()[np.newaxis], look.mask()[np.newaxis])
        return look.actions[best]

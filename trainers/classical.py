"""What all trainers on numbered actions and features share: what is checked, measured, kept and gone on with."""

from __future__ import annotations

import importlib.util
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from ..envs.discrete import catalogue_of
from ..envs.errors import BadArgument
from ..policies import registry
from ..policies.base import Policy
from ..policies.progress import Tick, quiet
from .base import Config, Trainer
from .classical_configs import ClassicalConfig
from .course import Course, Learning, one_thread
from .folder import FILES, Share
from .held_out import first_scenes, validation_scenes
from .measuring import Measure
from .telling import Callback, Told
from .tested import Tested

K = TypeVar("K", bound=ClassicalConfig)
TENSORBOARD = "tensorboard"


class ClassicalTrainer(Trainer[K]):
    """A trainer on the discrete view; subclasses give what learns."""

    config_class: ClassVar[type[Config]] = ClassicalConfig
    packages: ClassVar[Sequence[str]] = ("stable_baselines3", "torch")
    files = {
        **FILES,
        "best/": "the model that did best on the held-out scenes, where evaluations were made on the way",
        "checkpoints/": "what is needed to resume",
    }
    fixed = ("envs", "view", "net", "lstm", "buffer")

    def __init__(self, env_id: str, config: K) -> None:
        super().__init__(env_id, config)
        self._learner: Learning | None = None

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        catalogue_of(self.kind)
        config = self.config
        if config.patience and not config.evaluate_every:
            raise BadArgument(
                f"patience={config.patience} counts evaluations, and evaluate_every=0 makes none: give it too."
            )
        if config.env.get("customer", "agenda") != "agenda":
            raise BadArgument(
                f"env.customer={config.env['customer']!r} may answer otherwise when a conversation is held again, so "
                "that no run could go on where it ended: train with 'agenda', and measure with the other."
            )
        if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
            raise BadArgument(
                f"{self.name} trains in one process, and here are {processes}: start it without torchrun."
            )
        if TENSORBOARD in config.report_to and importlib.util.find_spec(TENSORBOARD) is None:
            raise BadArgument(
                f"report_to={config.report_to!r} needs the package {TENSORBOARD}: pip install {TENSORBOARD}, or leave "
                "it out."
            )

    @abstractmethod
    def learner(self, scenes: Sequence[str], tick: Tick = quiet) -> Learning:
        """What learns on these scenes, as it is at first."""

    def prepare(self, learner: Learning, scenes: Sequence[str]) -> None:
        """What is done before the first step of a new run, and after the first measuring."""

    @property
    def reserved(self) -> tuple[str, ...]:
        """The scenes of the train split that the best model is chosen by; they are not trained on."""
        count = self.config.held_out if self.config.evaluate_every else 0
        return validation_scenes(self.env_id, self.arguments, count, "held_out") if count else ()

    @property
    def tensorboard(self) -> Path | None:
        """Where TensorBoard finds the metrics, if it is to."""
        return self.folder.path / TENSORBOARD if TENSORBOARD in self.config.report_to else None

    def train(
        self, *, resume: bool = False, callbacks: Sequence[Callback] = (), progress: bool | Tick = False
    ) -> Policy:
        """Train, and give the trained policy."""
        after = self.folder.last()[0] if resume else None
        with one_thread(), self.telling(callbacks=callbacks, progress=progress, after=after) as told:
            scenes = first_scenes(self.env_id, self.arguments, self.config.scenes, self.reserved)
            self._learner = learner = self.learner(scenes, told.doing)
            held_out = self._measure("train", self.reserved) if self.reserved else None
            tested = Tested(self.env_id, self.arguments, self.config.tested)
            course = Course(learner, told, self.config, held_out)
            if resume:
                course.resume()
            else:
                tested.measure(told, "before", self._played(told))
                self.prepare(learner, scenes)
                course.begin()
            if not told.stopped:
                learner.learn(told.steps, course.between)
            if course.best:
                learner.take(self.folder.best)
            if told.stopped != "interrupted":
                tested.measure(told, "after", self._played(told))
            best = course.best.step if course.best else None
            told.finish(tested.summary(told, learner.spent, best))
            learner.close()
            if held_out:
                held_out.close()
        return self.load(self.folder.final)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model as stable-baselines3 does: `sb3:FOLDER` is a policy."""
        if self._learner is None:
            raise BadArgument(f"{self.name} has not trained yet, and has nothing to save: call train() first.")
        self._learner.save(Path(folder))

    def load(self, folder: str | os.PathLike[str]) -> Policy:
        """The policy of a folder as it is measured: it does what it thinks best."""
        return registry.make(f"sb3:{os.fspath(folder)}", self.env_id, view=catalogue_of(self.kind))

    def _measure(self, split: str, scenes: Sequence[str]) -> Measure:
        return Measure(self.env_id, {**self.arguments, "split": split}, scenes)

    def _played(self, told: Told) -> Callable[[str, Sequence[str]], tuple[Share, float]]:
        """What plays scenes with the model as it is now."""

        def played(split: str, scenes: Sequence[str]) -> tuple[Share, float]:
            assert self._learner is not None
            measure = self._measure(split, scenes)
            found = measure.of(self._learner.greedy(), told.doing)
            measure.close()
            return found.share, found.mean_return

        return played

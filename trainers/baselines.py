"""Baselines: PPO and others of stable-baselines3 and sb3-contrib, and behaviour cloning, on numbered actions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import gymnasium

from ..envs.errors import BadArgument
from ..policies.progress import Tick, quiet
from . import through_sb3
from .base import Config
from .classical import ClassicalTrainer
from .classical_configs import (
    A2CConfig,
    CloningConfig,
    DQNConfig,
    PPOConfig,
    RecurrentPPOConfig,
    RolloutConfig,
)
from .cloning import Cloner, imitate, show
from .course import Learning
from .learner import Learner
from .vec_env import Conversations

R = TypeVar("R", bound=RolloutConfig)
V = TypeVar("V", bound=A2CConfig)
P = TypeVar("P", bound=PPOConfig)


class RolloutTrainer(ClassicalTrainer[R]):
    """One that learns from its own conversations; subclasses name the algorithm."""

    config_class: ClassVar[type[Config]] = RolloutConfig

    @abstractmethod
    def model(self, env: Conversations) -> Any:
        """The algorithm, of stable-baselines3 or sb3-contrib."""

    @property
    def rollout(self) -> int:
        """How many actions there are between two updates, all conversations together."""
        return self.config.envs

    @property
    def steps(self) -> int:
        """Whole rollouts are made."""
        return -(-self.config.steps // self.rollout) * self.rollout

    def learner(self, scenes: Sequence[str], tick: Tick = quiet) -> Learner:
        """The algorithm, and the conversations that it learns from."""
        config = self.config
        given = {**self.arguments, "split": "train", "kinds": None, "scenes": scenes}
        if config.view == "tabular":
            given["progress"] = tick
        env = gymnasium.make_vec(self.env_id, num_envs=config.envs, view=config.view, **given)
        return Learner(self.model(Conversations(env)), self.tensorboard)


class A2C(RolloutTrainer[V]):
    """Advantage actor-critic: an update for each rollout."""

    config_class: ClassVar[type[Config]] = A2CConfig

    def model(self, env: Conversations) -> Any:
        """The algorithm."""
        return through_sb3.a2c(self.config, env)

    @property
    def rollout(self) -> int:
        """Some actions of each conversation."""
        return self.config.envs * self.config.n_steps

    def prepare(self, learner: Learning, scenes: Sequence[str]) -> None:
        """Learn from the expert first, where that is asked for."""
        config = self.config
        if config.clone:
            shown = show(self.env_id, self.arguments, scenes[: config.clone], config.gamma)
            imitate(learner.model, shown, config.learning_rate, config.seed)

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        clone, scenes = self.config.clone, self.config.scenes
        if clone > scenes:
            raise BadArgument(
                f"clone={clone} conversations of the expert are more than the scenes={scenes} that are trained on, and "
                "it holds one on each: give fewer, or more scenes."
            )


class PPO(A2C[P]):
    """Proximal policy optimisation: several passes over each rollout, clipped."""

    config_class = PPOConfig

    def model(self, env: Conversations) -> Any:
        """The algorithm."""
        return through_sb3.ppo(self.config, env)

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        batch, envs, n_steps = self.config.batch, self.config.envs, self.config.n_steps
        if self.rollout % batch:
            raise BadArgument(
                f"batch={batch} does not divide a rollout of envs={envs} times n_steps={n_steps}, {self.rollout} "
                "actions: choose numbers that do."
            )


class MaskablePPO(PPO[PPOConfig]):
    """PPO among the actions that are allowed."""

    packages = (*PPO.packages, "sb3_contrib")

    def model(self, env: Conversations) -> Any:
        """The algorithm."""
        return through_sb3.maskable_ppo(self.config, env)


class RecurrentPPO(PPO[RecurrentPPOConfig]):
    """PPO with an LSTM."""

    config_class = RecurrentPPOConfig
    packages = (*PPO.packages, "sb3_contrib")

    def model(self, env: Conversations) -> Any:
        """The algorithm."""
        return through_sb3.recurrent_ppo(self.config, env)

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        if self.config.clone:
            raise BadArgument(
                f"clone={self.config.clone} teaches single turns, and an LSTM is taught whole conversations: give 0, "
                "or train ppo or maskable_ppo."
            )


class DQN(RolloutTrainer[DQNConfig]):
    """Q-learning with a replay buffer."""

    config_class = DQNConfig

    def model(self, env: Conversations) -> Any:
        """The algorithm."""
        return through_sb3.dqn(self.config, env)

    @property
    def rollout(self) -> int:
        """The actions between two trainings."""
        return self.config.envs * self.config.train_every


class BC(ClassicalTrainer[CloningConfig]):
    """Behaviour cloning: learns to choose what the expert chooses, and is kept as a model of maskable PPO."""

    config_class = CloningConfig
    packages = (*ClassicalTrainer.packages, "sb3_contrib")

    def learner(self, scenes: Sequence[str], tick: Tick = quiet) -> Learner:
        """A policy, and what the expert does."""
        config = self.config
        env = Conversations(gymnasium.make_vec(self.env_id, num_envs=1, view="discrete", **self.arguments))
        model = through_sb3.untrained(config, env)
        shown = show(self.env_id, self.arguments, scenes, gamma=1.0)
        return Cloner(model, shown, config.batch, config.seed, self.tensorboard)

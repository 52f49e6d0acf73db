"""PPO of RLlib on numbered actions, for those who outgrow a machine; no other room knows RLlib.

RLlib wants gymnasium 1.2.2 and nothing newer, so it is installed into an environment of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from tensorboardX import SummaryWriter
from torch import nn

from ..envs.discrete import DiscreteView
from ..envs.errors import BadArgument
from ..policies import registry
from ..policies.base import Policy
from ..policies.network import Layer, Network
from ..policies.on_ray import connected
from ..policies.progress import Tick, quiet
from ..policies.runs import Setting, sendable
from .base import Config
from .classical import ClassicalTrainer
from .measuring import Act
from .rllib_config import RLlibConfig
from .telling import Callback
from .tested import Spent

LATELY = 100
"""So many of the last conversations of each worker give the success, the reward and the turns that are told."""
NEVER = -1e9
"""The score of an action that is not allowed."""
TOLD = {
    "policy_loss": "policy_loss",
    "vf_loss": "value_loss",
    "entropy": "entropy",
    "vf_explained_var": "explained_variance",
    "default_optimizer_learning_rate": "learning_rate",
}
"""What RLlib's learner measures, and what the metrics call it."""


class Numbered(gymnasium.Env[npt.NDArray[np.float32], Any]):
    """The discrete view as RLlib is shown it: a row of the features, and behind them which actions are allowed."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        made: Any = gymnasium.make(given["env_id"], disable_env_checker=True, **given["arguments"])
        self._view = DiscreteView(made)
        self.action_space = self._view.action_space
        width = len(self._view.feature_names) + len(self._view.action_names)
        self.observation_space = gymnasium.spaces.Box(0, 1, (width,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin a conversation."""
        features, _ = self._view.reset(seed=seed, options=options)
        return self._shown(features), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Play an action; what an info tells that is sent to the learner is how the conversation ended."""
        features, reward, terminated, truncated, info = self._view.step(action)
        ended = terminated or truncated
        told = {"is_success": bool(info["is_success"])} if ended else {}
        return self._shown(features), reward, terminated, truncated, told

    def close(self) -> None:
        """Close the environment."""
        self._view.close()

    def _shown(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.concatenate([features, self._view.action_masks()], dtype=np.float32)


class Masked(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]  # RLlib's classes are untyped
    """A network that scores the actions that are allowed, and one for the values."""

    def setup(self) -> None:
        """Make them."""
        (width,), self._actions = self.observation_space.shape, int(self.action_space.n)
        self.actor = layers(width - self._actions, self.model_config["net"], self._actions)
        self.critic = layers(width - self._actions, self.model_config["net"], 1)

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The scores."""
        features, masks = self._parts(batch)
        return {Columns.ACTION_DIST_INPUTS: self.actor(features).masked_fill(masks == 0, NEVER)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """What the conversations are thought to bring yet."""
        features, _ = self._parts(batch)
        values: torch.Tensor = self.critic(features)
        return values.squeeze(-1)

    def _parts(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        seen: torch.Tensor = batch[Columns.OBS]
        return seen[..., : -self._actions], seen[..., -self._actions :]


def layers(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with tanh between them. The last is small at first, so that all actions are as likely."""
    widths = [inputs, *hidden, outputs]
    made: list[nn.Module] = []
    for before, after in pairwise(widths):
        layer = nn.Linear(before, after)
        nn.init.orthogonal_(layer.weight, gain=2**0.5 if len(made) // 2 < len(hidden) else 0.01)
        nn.init.zeros_(layer.bias)
        made += [layer, nn.Tanh()]
    return nn.Sequential(*made[:-1])


def network_of(weights: Mapping[str, Any]) -> Network:
    """What chooses the actions, of all the weights of a `Masked`."""
    own = [np.asarray(value, np.float32) for name, value in weights.items() if name.startswith("actor.")]
    return Network([Layer(weight.T.copy(), bias) for weight, bias in zip(own[::2], own[1::2], strict=True)])


def on_episode_end(*, episode: Any, metrics_logger: Any, **_: Any) -> None:
    """Tell whether a conversation ended well."""
    metrics_logger.log_value("success", float(episode.get_infos(-1)["is_success"]), window=LATELY)


class Learner:
    """RLlib's algorithm at its training: what it measures, how it is kept, and how it goes on."""

    def __init__(self, config: PPOConfig, tensorboard: Path | None = None) -> None:
        self.model: Algorithm = config.build_algo()
        self._writer = SummaryWriter(tensorboard) if tensorboard else None
        self._result: dict[str, Any] = {}
        self._taken: Network | None = None
        self._fps = 0.0

    @property
    def step(self) -> int:
        """How many actions were taken."""
        return self._lifetime("num_env_steps_sampled_lifetime")

    @property
    def spent(self) -> Spent:
        """The conversations that were held to the end, and all actions."""
        return Spent(self._lifetime("num_episodes_lifetime"), self.step, 0)

    @property
    def network(self) -> Network:
        """What chooses the actions, as it is now."""
        if self._taken:
            return self._taken
        return network_of(self.model.learner_group.get_weights()[DEFAULT_MODULE_ID])

    def learn(self, steps: int, between: Callable[[], bool]) -> None:
        """Train up to a step; `between` is called after each rollout that was learnt from, and may end it."""
        while self.step < steps:
            started, before = time.monotonic(), self.step
            self._result = self.model.train()
            self._fps = (self.step - before) / max(time.monotonic() - started, 1e-9)
            if between():
                return

    def measured(self) -> dict[str, float]:
        """What the last step has measured, and how the last conversations of each worker went."""
        runners, learnt = self._result["env_runners"], self._result["learners"][DEFAULT_MODULE_ID]
        lately = {"success": "success", "episode_return_mean": "reward", "episode_len_mean": "turns"}
        found = {ours: float(runners[theirs]) for theirs, ours in lately.items() if theirs in runners}
        found |= {ours: float(learnt[theirs]) for theirs, ours in TOLD.items() if theirs in learnt}
        return {**found, "fps": self._fps}

    def report(self, metrics: Mapping[str, float]) -> None:
        """Send metrics where else they are to go."""
        if self._writer:
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, self.step)
            self._writer.flush()

    def greedy(self) -> Act:
        """Does what the network thinks best."""
        network = self.network
        return lambda features, masks, begins: network.best(features, masks)

    def save(self, folder: Path) -> None:
        """Write the network."""
        self.network.save(folder)

    def take(self, folder: Path) -> None:
        """Be the network that was saved in a folder."""
        self._taken = Network.load(folder)

    def state(self) -> dict[str, Any]:
        """What RLlib keeps of a training, as `Algorithm.save_to_path` writes it."""
        state: dict[str, Any] = self.model.get_state()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; conversations begin anew."""
        self.model.set_state(state)
        # RLlib sends the weights and does not wait: a worker that is late would hold a rollout with what it began with.
        weights = {"state": {"rl_module": self.model.learner_group.get_weights()}}
        self.model.env_runner_group.foreach_env_runner("set_state", kwargs=weights, local_env_runner=False)

    def close(self) -> None:
        """End the workers."""
        self.model.stop()
        if self._writer:
            self._writer.close()
        if not any((log := Path(self.model.logdir)).iterdir()):
            log.rmdir()  # RLlib makes one in the user's home, and here nothing is written into it

    def _lifetime(self, name: str) -> int:
        return int(self.model.metrics.peek(("env_runners", name), default=0))


def told_to(env_id: str, arguments: Mapping[str, Any], config: RLlibConfig, steps: int) -> PPOConfig:
    """What RLlib is told."""
    rate = config.learning_rate
    return (
        PPOConfig()
        .environment(Numbered, env_config={"env_id": env_id, "arguments": {**arguments}}, disable_env_checking=True)
        .env_runners(
            num_env_runners=config.workers,
            num_envs_per_env_runner=config.envs,
            rollout_fragment_length=config.n_steps,
        )
        .learners(num_learners=0)
        .training(
            lr=[[0, rate], [steps, 0.0]] if config.schedule == "linear" else rate,
            gamma=config.gamma,
            lambda_=config.gae_lambda,
            train_batch_size_per_learner=config.rollout,
            minibatch_size=config.batch,
            num_epochs=config.epochs,
            clip_param=config.clip_ratio,
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            entropy_coeff=config.entropy,
            vf_loss_coeff=config.value_weight,
            grad_clip=config.clip,
            grad_clip_by="global_norm",
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=Masked, model_config={"net": [*config.net]}))
        .callbacks(on_episode_end=on_episode_end)
        .debugging(seed=config.seed, log_level="ERROR")
        .reporting(metrics_num_episodes_for_smoothing=LATELY, min_time_s_per_iteration=0)
    )


class RLlibPPO(ClassicalTrainer[RLlibConfig]):
    """PPO of RLlib: several processes, on one machine or many, hold the conversations that one learner learns from."""

    config_class: ClassVar[type[Config]] = RLlibConfig
    packages: ClassVar[Sequence[str]] = ("torch", "ray", "tree")

    @property
    def steps(self) -> int:
        """Whole rollouts are made."""
        return -(-self.config.steps // self.config.rollout) * self.config.rollout

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        sendable(Setting(self.env_id, "", self.arguments))
        config = self.config
        if config.batch > config.rollout:
            raise BadArgument(
                f"batch={config.batch} is more than a rollout of workers={config.workers} times envs={config.envs} "
                f"times n_steps={config.n_steps}, {config.rollout} actions: give less, or make those more."
            )

    def learner(self, scenes: Sequence[str], tick: Tick = quiet) -> Learner:
        """The algorithm, and the processes that hold conversations for it."""
        given = {**self.arguments, "split": "train", "kinds": None, "scenes": scenes}
        return Learner(told_to(self.env_id, given, self.config, self.steps), self.tensorboard)

    def train(
        self, *, resume: bool = False, callbacks: Sequence[Callback] = (), progress: bool | Tick = False
    ) -> Policy:
        """Train, and give the trained policy. A resumed run goes on from its network, with new conversations."""
        self.check()
        with connected(self.config.workers, self.config.ray):
            return super().train(resume=resume, callbacks=callbacks, progress=progress)

    def load(self, folder: str | os.PathLike[str]) -> Policy:
        """The policy of a folder as it is measured; it plays where RLlib is not installed, too."""
        return registry.make(f"net:{os.fspath(folder)}", self.env_id)

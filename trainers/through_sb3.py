"""The algorithms of stable-baselines3 and sb3-contrib, as our settings make them, and what they think best."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.utils import LinearSchedule

from ..policies.sb3 import takes_masks
from .classical_configs import A2CConfig, ClassicalConfig, DQNConfig, PPOConfig, RecurrentPPOConfig
from .vec_env import Conversations

LATELY = 100
"""So many of the last conversations give the success, the reward and the turns that are told."""


def common(config: ClassicalConfig, gamma: float) -> dict[str, Any]:
    """What all algorithms are told."""
    rate = config.learning_rate
    return {
        "learning_rate": LinearSchedule(rate, 0.0, 1.0) if config.schedule == "linear" else rate,
        "gamma": gamma,
        "policy_kwargs": {"net_arch": [*config.net]},
        "stats_window_size": LATELY,
        "seed": config.seed,
        "device": "cpu",
    }


def with_values(config: A2CConfig) -> dict[str, Any]:
    """What those are told that learn a policy and values."""
    return {
        **common(config, config.gamma),
        "n_steps": config.n_steps,
        "gae_lambda": config.gae_lambda,
        "ent_coef": config.entropy,
        "vf_coef": config.value_weight,
        "max_grad_norm": config.clip,
    }


def clipped(config: PPOConfig) -> dict[str, Any]:
    """What PPO and its relatives are told."""
    return {
        **with_values(config),
        "batch_size": config.batch,
        "n_epochs": config.epochs,
        "clip_range": config.clip_ratio,
    }


def a2c(config: A2CConfig, env: Conversations) -> Any:
    """Advantage actor-critic."""
    return A2C("MlpPolicy", env, **with_values(config))


def ppo(config: PPOConfig, env: Conversations) -> Any:
    """Proximal policy optimisation."""
    return PPO("MlpPolicy", env, **clipped(config))


def maskable_ppo(config: PPOConfig, env: Conversations) -> Any:
    """The same, of allowed actions alone."""
    from sb3_contrib import MaskablePPO

    return MaskablePPO("MlpPolicy", env, **clipped(config))


def untrained(config: ClassicalConfig, env: Conversations) -> Any:
    """A model of it that something else teaches."""
    from sb3_contrib import MaskablePPO

    return MaskablePPO("MlpPolicy", env, **common(config, gamma=1.0), n_steps=2, batch_size=2)


def recurrent_ppo(config: RecurrentPPOConfig, env: Conversations) -> Any:
    """The same, with an LSTM before the network."""
    from sb3_contrib import RecurrentPPO

    given = clipped(config)
    given["policy_kwargs"]["lstm_hidden_size"] = config.lstm
    return RecurrentPPO("MlpLstmPolicy", env, **given)


def dqn(config: DQNConfig, env: Conversations) -> Any:
    """Q-learning with a replay buffer."""
    return DQN(
        "MlpPolicy",
        env,
        **common(config, config.gamma),
        buffer_size=config.buffer,
        learning_starts=config.learning_starts,
        train_freq=config.train_every,
        gradient_steps=config.updates,
        batch_size=config.batch,
        target_update_interval=config.target_every,
        exploration_final_eps=config.exploration,
        exploration_fraction=config.exploration_share,
        max_grad_norm=config.clip,
    )


class Greedy:
    """Always does what a model thinks best, in many conversations at once."""

    def __init__(self, model: Any) -> None:
        self._model, self._masked = model, takes_masks(model)
        self._state: Any = None

    def __call__(
        self, features: npt.NDArray[np.float32], masks: npt.NDArray[np.bool_], begins: npt.NDArray[np.bool_]
    ) -> npt.NDArray[Any]:
        """The action of each conversation, told where one has just begun."""
        given = {"action_masks": masks} if self._masked else {}
        actions, self._state = self._model.predict(
            features, state=self._state, episode_start=begins, deterministic=True, **given
        )
        chosen: npt.NDArray[Any] = actions
        return chosen

"""An algorithm of stable-baselines3 at its training: what it measures, how it is kept, and how it goes on."""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from ..policies.sb3 import FILE
from .tested import Spent
from .through_sb3 import Greedy
from .vec_env import Conversations

PROGRESS = (
    "num_timesteps",
    "_n_updates",
    "_n_calls",
    "_episode_num",
    "_current_progress_remaining",
    "_last_obs",
    "_last_original_obs",
    "_last_episode_starts",
    "_last_lstm_states",
    "ep_info_buffer",
    "ep_success_buffer",
    "exploration_rate",
)
"""What a model knows of its training beside its parameters, by the names it has there."""
UNKEPT = (*(name for name in PROGRESS if name.startswith("_last")), "ep_info_buffer", "ep_success_buffer", "start_time")
"""What is of no use in a model that has been trained."""
REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""The columns of a replay buffer."""


FALL = 2
"""The power of the share of the steps that are left, by which the weight of the entropy falls: soon, and then slowly.

Most of what an untrained policy tries is penalised, and ending the conversation at once is not: were it left to itself,
it would learn to do that before it has met what pays.
"""


class Enough(Exception):
    """The training is to end here."""


class Between(BaseCallback):
    """Calls a function between two steps, when what was met is learnt and nothing new has begun; it may end there.

    An algorithm asks its callbacks whether to go on in the midst of a rollout alone, where no run can be resumed.
    """

    def __init__(self, told: Callable[[], bool], begin: Callable[[], None]) -> None:
        """`begin` is called before each step, `told` after it."""
        super().__init__()
        self._told, self._begin, self._begun = told, begin, False

    def _on_rollout_start(self) -> None:
        if self._begun and self._told():
            raise Enough
        self._begin()
        self._begun = True

    def _on_training_end(self) -> None:
        self._told()

    def _on_step(self) -> bool:
        return True


class Learner:
    """An algorithm at its training: what it measures, how it is kept, and how it goes on."""

    def __init__(self, model: Any, tensorboard: Path | None = None) -> None:
        self.model = model
        self.env: Conversations = model.env
        self._logger = Logger(None, [TensorBoardOutputFormat(str(tensorboard))] if tensorboard else [])
        model.set_logger(self._logger)
        self._entropy: float = getattr(model, "ent_coef", 0.0)
        self._clock: tuple[float, int] | None = None

    @property
    def step(self) -> int:
        """How many actions were taken."""
        return int(self.model.num_timesteps)

    @property
    def spent(self) -> Spent:
        """The conversations that were held to the end, and all actions."""
        return Spent(self.env.ended, self.step, 0)

    def learn(self, steps: int, between: Callable[[], bool]) -> None:
        """Train up to a step; `between` is called after each rollout that was learnt from, and may end it."""
        if self.step >= steps:
            return

        def begin() -> None:
            self.model.ent_coef = self._entropy * (1 - self.step / steps) ** FALL

        self._clock, new = (time.monotonic(), self.step), self.step == 0
        with contextlib.suppress(Enough):
            self.model.learn(steps - self.step, Between(between, begin), log_interval=None, reset_num_timesteps=new)

    def measured(self) -> dict[str, float]:
        """What the last step has measured, and how the last conversations went."""
        found: dict[str, float] = {}
        if self.model.ep_info_buffer:
            found = {
                "success": fmean(self.model.ep_success_buffer),
                "reward": fmean(each["r"] for each in self.model.ep_info_buffer),
                "turns": fmean(each["l"] for each in self.model.ep_info_buffer),
            }
        own = {name.partition("/")[2]: float(value) for name, value in self._logger.name_to_value.items()}
        found |= {name: value for name, value in own.items() if math.isfinite(value)}
        self._logger.name_to_value.clear()
        self._logger.name_to_excluded.clear()
        now, (then, step) = time.monotonic(), self._clock or (0.0, 0)
        self._clock = now, self.step
        return {**found, "fps": (self.step - step) / max(now - then, 1e-9)}

    def report(self, metrics: Mapping[str, float]) -> None:
        """Send metrics where else they are to go."""
        for name, value in metrics.items():
            self._logger.record(name, value)
        self._logger.dump(self.step)

    def greedy(self) -> Greedy:
        """What always does what the model thinks best."""
        return Greedy(self.model)

    def save(self, folder: Path) -> None:
        """Write the model as stable-baselines3 does."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / FILE, exclude=UNKEPT)

    def take(self, folder: Path) -> None:
        """Be the model that was saved in a folder."""
        self.model.set_parameters(os.fspath(folder / FILE), device="cpu")

    def state(self) -> dict[str, Any]:
        """All that is needed to go on exactly, as plain data."""
        model = self.model
        return {
            "parameters": model.get_parameters(),
            "progress": {name: vars(model)[name] for name in PROGRESS if name in vars(model)},
            "replay": _replayed(getattr(model, "replay_buffer", None)),
            "env": self.env.snapshot(),
            "chance": chance(model),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.model.set_parameters(state["parameters"], device="cpu")
        vars(self.model).update(state["progress"])
        if state["replay"]:
            _refill(self.model.replay_buffer, state["replay"])
        self.env.restore(state["env"])
        take_chance(self.model, state["chance"])

    def close(self) -> None:
        """Let go of what is held open."""
        self._logger.close()
        self.env.close()


def _replayed(buffer: Any) -> dict[str, Any]:
    """What a replay buffer holds; where it is not full yet, the rest of it is nothing."""
    if buffer is None:
        return {}
    rows = buffer.buffer_size if buffer.full else buffer.pos
    columns = {name: getattr(buffer, name)[:rows].copy() for name in REPLAYED}
    return {"columns": columns, "pos": buffer.pos, "full": buffer.full}


def _refill(buffer: Any, replay: Mapping[str, Any]) -> None:
    for name, rows in replay["columns"].items():
        getattr(buffer, name)[: len(rows)] = rows
    buffer.pos, buffer.full = replay["pos"], replay["full"]


def chance(model: Any) -> dict[str, Any]:
    """The generators that an algorithm draws from: those of the whole process, and that of its actions."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002  the algorithms draw from it
        "torch": torch.get_rng_state(),
        "actions": model.action_space.np_random.bit_generator.state,
    }


def take_chance(model: Any, kept: Mapping[str, Any]) -> None:
    """Let the generators go on from where they were."""
    random.setstate(kept["python"])
    np.random.set_state(kept["numpy"])  # noqa: NPY002
    torch.set_rng_state(kept["torch"])
    model.action_space.np_random.bit_generator.state = kept["actions"]

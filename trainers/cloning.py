"""Behaviour cloning: a policy learns to choose what the expert chooses, and values what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ..envs.actions import Action
from ..envs.conversation import Observation
from ..envs.discrete import catalogue_of
from ..envs.errors import BadArgument
from ..policies.base import Kind
from ..policies.rollout import rollout
from ..policies.runs import Setting
from ..policies.sb3 import takes_masks
from ..policies.scripted import Expert
from .learner import Learner
from .tested import Spent

VALUE = 0.5
"""The weight of the values' loss beside that of the choices."""
UPDATES = 500
"""So many are made before another algorithm goes on,"""
BATCH = 256
"""each with so many turns."""


class Shown(NamedTuple):
    """The expert's turns as a model meets them, a row each."""

    features: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    actions: npt.NDArray[np.int64]
    returns: npt.NDArray[np.float32]
    """What was paid from that turn on."""
    conversations: int


class Watched(Expert):
    """The expert, each of whose turns is noted."""

    def __init__(self, kind: Kind) -> None:
        self._catalogue = catalogue_of(kind)
        super().__init__(kind)

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins."""
        super().reset(seed)
        self.turns: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], int]] = []

    def choose(self, observation: Observation) -> Action:
        """What the expert does, which is one of the templates."""
        action, look = super().choose(observation), self._catalogue.look(self.memory)
        if action not in look.actions:
            raise BadArgument(
                f"The expert does {action!r}, which no template of the catalogue stands for here: there is nothing to "
                "clone. Give the catalogue a template for it."
            )
        self.turns.append((look.array(), look.mask(), look.actions.index(action)))
        return action


def show(env_id: str, arguments: Mapping[str, Any], scenes: Sequence[str], gamma: float) -> Shown:
    """What the expert does on scenes, a conversation each."""
    env = Setting(env_id, "", {**arguments, "split": "train"}).env()
    agent = Watched(type(env))
    turns, returns = [], list[float]()
    for scene in scenes:
        rewards = rollout(agent, env, scene).rewards
        turns += agent.turns
        returns += [*accumulate(reversed(rewards), lambda later, now: now + gamma * later)][::-1]
    env.close()
    features, masks, actions = zip(*turns, strict=True)
    return Shown(np.stack(features), np.stack(masks), np.array(actions), np.array(returns, np.float32), len(scenes))


def update(model: Any, shown: Shown, rows: npt.NDArray[np.int64], optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Learn from some of the turns; what is measured of it."""
    policy = model.policy
    policy.set_training_mode(True)
    given = {"action_masks": shown.masks[rows]} if takes_masks(model) else {}
    seen, chosen, worth = (torch.as_tensor(each[rows]) for each in (shown.features, shown.actions, shown.returns))
    values, log_probs, _ = policy.evaluate_actions(seen, chosen, **given)
    value_loss = functional.mse_loss(values.flatten(), worth)
    loss = VALUE * value_loss - log_probs.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    agreement = log_probs.detach().exp().mean()
    return {"loss": loss.item(), "value_loss": value_loss.item(), "agreement": agreement.item()}


def imitate(model: Any, shown: Shown, learning_rate: float, seed: int) -> None:
    """Let a model learn what the expert does before it goes on by itself, with an optimiser of its own."""
    optimizer = torch.optim.Adam(model.policy.parameters(), learning_rate)
    generator = np.random.default_rng(seed)
    for _ in range(UPDATES):
        update(model, shown, generator.integers(len(shown.actions), size=BATCH), optimizer)


class Cloner(Learner):
    """A model that learns from the expert alone; a step is an update."""

    def __init__(self, model: Any, shown: Shown, batch: int, seed: int, tensorboard: Path | None) -> None:
        super().__init__(model, tensorboard)
        self._shown, self._batch, self._seed = shown, batch, seed
        self._step = 0
        self._found: dict[str, float] = {}

    @property
    def step(self) -> int:
        """How many updates were made."""
        return self._step

    @property
    def spent(self) -> Spent:
        """The conversations that the expert has shown, and its actions."""
        return Spent(self._shown.conversations, len(self._shown.actions), 0)

    def learn(self, steps: int, between: Callable[[], bool]) -> None:
        """Train up to a step. What is drawn follows from its number, in a resumed run too."""
        optimizer = self.model.policy.optimizer
        while self._step < steps:
            for group in optimizer.param_groups:
                group["lr"] = self.model.lr_schedule(1 - self._step / steps)
            rows = np.random.default_rng((self._seed, self._step)).integers(len(self._shown.actions), size=self._batch)
            self._found = update(self.model, self._shown, rows, optimizer)
            self._step += 1
            if between():
                return

    def measured(self) -> dict[str, float]:
        """How well the choices and the values of the last batch were known."""
        return self._found

    def state(self) -> dict[str, Any]:
        """All that is needed to go on exactly."""
        return {"parameters": self.model.get_parameters(), "step": self._step}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.model.set_parameters(state["parameters"], device="cpu")
        self._step = state["step"]

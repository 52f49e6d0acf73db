"""What the classical trainers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from .base import Config

Layers = tuple[Annotated[int, Meta(ge=1)], ...]


@dataclass(frozen=True, kw_only=True)
class ClassicalConfig(Config):
    """What every trainer on numbered actions and features is told."""

    learning_rate: Annotated[float, Meta(gt=0, description="The learning rate at the start.")] = 2e-3
    schedule: Annotated[
        Literal["linear", "constant"], Meta(description="How the learning rate falls: to nothing at the end, or not.")
    ] = "linear"
    net: Annotated[
        Layers, Meta(description="How wide the hidden layers are, of the policy and of the values each.")
    ] = (
        64,
        64,
    )
    scenes: Annotated[
        int,
        Meta(ge=1, description="How many scenes of the train split are met: the first ones, or those of env.scenes."),
    ] = 500
    tested: Annotated[int, Meta(ge=0, description="Scenes of the test split to measure on before and after.")] = 1000
    report_to: Annotated[
        tuple[Literal["tensorboard"], ...], Meta(description="Where metrics go beside the folder.")
    ] = ()


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(ClassicalConfig):
    """What is told who learns from its own conversations."""

    steps: Annotated[
        int, Meta(ge=1, description="Actions to take, all conversations together; whole rollouts are made of them.")
    ] = 600_000
    log_every: Annotated[int, Meta(ge=1, description="Actions from one line of metrics to the next.")] = 10_000
    checkpoint_every: Annotated[
        int, Meta(ge=0, description="Actions from one checkpoint to the next; 0: only at the end and on Ctrl-C.")
    ] = 0
    evaluate_every: Annotated[
        int, Meta(ge=0, description="Actions from one held-out evaluation to the next; 0: only before and after.")
    ] = 50_000
    envs: Annotated[int, Meta(ge=1, description="Conversations that are held at once.")] = 256
    view: Annotated[
        Literal["discrete", "tabular"],
        Meta(description="What is trained on: the conversations themselves, or tables of all that can happen in them."),
    ] = "discrete"
    gamma: Annotated[float, Meta(ge=0, le=1, description="What a reward is worth a turn earlier.")] = 0.99


@dataclass(frozen=True, kw_only=True)
class A2CConfig(RolloutConfig):
    """What A2C is told, and every other trainer of a policy with values."""

    n_steps: Annotated[int, Meta(ge=1, description="Actions of each conversation in a rollout.")] = 16
    gae_lambda: Annotated[float, Meta(ge=0, le=1, description="How far advantages look ahead; 1: to the end.")] = 0.95
    entropy: Annotated[
        float,
        Meta(ge=0, description="The weight of the policy's entropy at first, to go on trying; it falls to nothing."),
    ] = 0.6
    value_weight: Annotated[float, Meta(ge=0, description="The weight of the values' loss.")] = 0.5
    clip: Annotated[float, Meta(gt=0, description="The greatest norm of a gradient.")] = 0.5
    clone: Annotated[int, Meta(ge=0, description="Conversations of the expert to learn from first; 0: none.")] = 0


@dataclass(frozen=True, kw_only=True)
class PPOConfig(A2CConfig):
    """What PPO is told, with masks and without."""

    batch: Annotated[int, Meta(ge=2, description="Actions of an update; it divides a rollout.")] = 512
    epochs: Annotated[int, Meta(ge=1, description="How often a rollout is gone through.")] = 4
    clip_ratio: Annotated[
        float, Meta(gt=0, description="How far a ratio of probabilities counts above 1, and below it.")
    ] = 0.2


@dataclass(frozen=True, kw_only=True)
class RecurrentPPOConfig(PPOConfig):
    """What PPO with a memory of its own is told."""

    lstm: Annotated[int, Meta(ge=1, description="How much the LSTM remembers: its width.")] = 64


@dataclass(frozen=True, kw_only=True)
class DQNConfig(RolloutConfig):
    """What DQN is told."""

    buffer: Annotated[int, Meta(ge=1, description="How many of the last actions are kept to learn from.")] = 100_000
    learning_starts: Annotated[int, Meta(ge=0, description="Actions that are drawn at random first.")] = 5_000
    train_every: Annotated[int, Meta(ge=1, description="Actions of each conversation between two trainings.")] = 1
    updates: Annotated[int, Meta(ge=1, description="Updates of a training.")] = 1
    batch: Annotated[int, Meta(ge=1, description="Actions of an update.")] = 256
    target_every: Annotated[int, Meta(ge=1, description="Actions from one target network to the next.")] = 5_000
    exploration: Annotated[float, Meta(ge=0, le=1, description="The share of random actions in the end.")] = 0.05
    exploration_share: Annotated[
        float, Meta(gt=0, le=1, description="The share of the steps in which it falls to that, from 1.")
    ] = 0.3
    clip: Annotated[float, Meta(gt=0, description="The greatest norm of a gradient.")] = 10.0


@dataclass(frozen=True, kw_only=True)
class CloningConfig(ClassicalConfig):
    """What behaviour cloning is told."""

    steps: Annotated[int, Meta(ge=1, description="How many updates are made.")] = 1_000
    log_every: Annotated[int, Meta(ge=1, description="Updates from one line of metrics to the next.")] = 50
    evaluate_every: Annotated[
        int, Meta(ge=0, description="Updates from one held-out evaluation to the next; 0: only before and after.")
    ] = 0
    scenes: Annotated[
        int,
        Meta(ge=1, description="How many scenes of the train split the expert shows: the first ones, or env.scenes."),
    ] = 2_000
    batch: Annotated[int, Meta(ge=1, description="Turns of an update.")] = 256

"""What PPO of RLlib is told; known without RLlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from .classical_configs import ClassicalConfig


@dataclass(frozen=True, kw_only=True)
class RLlibConfig(ClassicalConfig):
    """What PPO of RLlib is told."""

    steps: Annotated[
        int, Meta(ge=1, description="Actions to take, all conversations together; whole rollouts are made of them.")
    ] = 300_000
    log_every: Annotated[int, Meta(ge=1, description="Actions from one line of metrics to the next.")] = 5_000
    checkpoint_every: Annotated[
        int, Meta(ge=0, description="Actions from one checkpoint to the next; 0: only at the end and on Ctrl-C.")
    ] = 0
    evaluate_every: Annotated[
        int, Meta(ge=0, description="Actions from one held-out evaluation to the next; 0: only before and after.")
    ] = 50_000
    ray: Annotated[
        str, Meta(description="The Ray cluster, as ray.init takes it (auto, HOST:PORT, ray://...); local starts one.")
    ] = "local"
    workers: Annotated[int, Meta(ge=1, description="Processes that hold conversations, a core each.")] = 2
    envs: Annotated[int, Meta(ge=1, description="Conversations that each of them holds at once.")] = 8
    n_steps: Annotated[int, Meta(ge=1, description="Actions of each conversation in a rollout.")] = 64
    batch: Annotated[int, Meta(ge=2, description="Actions of an update; a rollout has no fewer.")] = 256
    epochs: Annotated[int, Meta(ge=1, description="How often a rollout is gone through.")] = 4
    gamma: Annotated[float, Meta(ge=0, le=1, description="What a reward is worth a turn earlier.")] = 0.99
    gae_lambda: Annotated[float, Meta(ge=0, le=1, description="How far advantages look ahead; 1: to the end.")] = 0.95
    clip_ratio: Annotated[
        float, Meta(gt=0, description="How far a ratio of probabilities counts above 1, and below it.")
    ] = 0.2
    entropy: Annotated[float, Meta(ge=0, description="The weight of the entropy of the policy: to go on trying.")] = (
        0.01
    )
    value_weight: Annotated[float, Meta(ge=0, description="The weight of the values' loss.")] = 0.5
    clip: Annotated[float, Meta(gt=0, description="The greatest norm of a gradient.")] = 0.5

    @property
    def rollout(self) -> int:
        """How many actions there are between two updates, all conversations together."""
        return self.workers * self.envs * self.n_steps

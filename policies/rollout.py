"""One conversation between a policy and an environment, and all that is to be known of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium

from ..envs.conversation import Observation
from ..envs.memory import Fact
from .base import Policy


@dataclass
class Episode:
    """A conversation, turn by turn; `facts` and `infos` begin with the reset's."""

    scene: str = ""
    kind: str = ""
    par: int = 0
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, str]] = field(default_factory=list)
    terms: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    refused: int = 0
    malformed: int = 0
    outcome: str = ""
    success: bool = False
    truncated: bool = False

    @property
    def over(self) -> bool:
        """Whether the conversation has ended."""
        return self.outcome != ""

    @property
    def turns(self) -> int:
        """How many actions were played."""
        return len(self.actions)

    @property
    def facts(self) -> list[list[Fact]]:
        """What became visible: at the start, and by each action."""
        return [info["facts"] for info in self.infos]

    @property
    def total(self) -> float:
        """The return."""
        return sum(self.rewards)

    def begin(self, observation: Observation, info: dict[str, Any]) -> None:
        """Take in a reset."""
        self.scene, self.kind, self.par = info["scene"], info["kind"], info["par"]
        self.messages, self.infos = observation["messages"], [info]

    def add(self, action: Any, observation: Observation, reward: float, cut: bool, info: dict[str, Any]) -> None:
        """Take in a step."""
        self.actions.append(action)
        self.rewards.append(reward)
        self.infos.append(info)
        self.messages = observation["messages"]
        for name, value in info["reward_terms"].items():
            self.terms[name] = self.terms.get(name, 0.0) + value
        self.violations += info["violations"]
        self.refused += info["refused"] != ""
        self.malformed += info["malformed"] != ""
        self.outcome, self.success, self.truncated = info["outcome"], info["is_success"], cut


def rollout(policy: Policy, env: gymnasium.Env[Any, Any], scene: Any = None, seed: int | None = None) -> Episode:
    """Play a conversation to its end: the scene of a name or of a user's own, or else the next of the stream."""
    episode = Episode()
    policy.reset()
    observation, info = env.reset(seed=seed, options=None if scene is None else {"scene": scene})
    episode.begin(observation, info)
    while not episode.over:
        action = policy.act(observation, info["facts"])
        observation, reward, _, truncated, info = env.step(action)
        episode.add(action, observation, float(reward), truncated, info)
    return episode

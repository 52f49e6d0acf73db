"""Conversations as tokens: what was shown and what the agent sampled, in the ids and log-probabilities of the sampling.

Many are held in step, each from a point of a conversation: those of a group start from one snapshot of one scene, and
a conversation that parts from another goes on with the ids that were sampled there. Nothing is ever tokenised again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..envs.conversation import ConversationEnv, Snapshot
from ..envs.errors import BadArgument
from ..policies.local import Loaded, Local
from ..policies.local.sampler import Sampler
from ..policies.runs import Setting
from ..rewards.errors import InfrastructureError


class Start(NamedTuple):
    """Where a conversation begins."""

    snapshot: Snapshot
    seed: int
    """What its sampling is left to."""
    spoken: int | None = None
    """The slot whose tokens it begins with, where it parts from another conversation."""


@dataclass
class Episode:
    """A conversation from where it began; `prompt_ids` is all that the agent was shown before its first own token."""

    scene: str
    prompt_ids: list[int] = field(default_factory=list)
    completion_ids: list[int] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    """Of each id of the completion: whether the agent chose it."""
    logprobs: list[float] = field(default_factory=list)
    """Of a sampled id, its log-probability when it was sampled; else 0."""
    turns: list[int] = field(default_factory=list)
    """Of each id of the completion: the turn whose answer it belongs to, or is shown before, from 0."""
    rewards: list[float] = field(default_factory=list)
    """By turn."""
    success: bool = False
    malformed: int = 0
    refused: int = 0
    cut: bool = False
    """Whether it outgrew what the model can look at."""

    @property
    def total(self) -> float:
        """The return."""
        return sum(self.rewards)

    @property
    def to_go(self) -> list[float]:
        """The return from each turn on; one in which it was cut short earned nothing."""
        left, found = self.total, []
        for reward in self.rewards:
            found.append(left)
            left -= reward
        return [*found, 0.0] if self.cut else found


class Stage:
    """A model, and as many environments as conversations are held at once."""

    def __init__(self, env_id: str, arguments: Mapping[str, Any], loaded: Loaded, count: int, **options: Any) -> None:
        """`options` are those of `policies.local.Local`: temperature, max_new_tokens, constrained, ..."""
        setting = Setting(env_id, "", {**arguments, "split": "train"})
        self.envs: list[ConversationEnv] = [setting.env() for _ in range(count)]
        self._loaded, self._options = loaded, options
        self.sampler: Callable[[Local], Sampler] | None = None
        """What makes the sampler, where it is not the policy's own."""
        self.renew()

    def renew(self) -> None:
        """Forget all that was held with the model as it was.

        The policy is made anew, which takes milliseconds: the order in which an older one has left its rows would
        decide how sums are rounded, and a resumed run would differ from one that was not interrupted.
        """
        self.policy = Local(type(self.envs[0]), self._loaded, batch=len(self.envs), **self._options)
        if self.sampler:
            self.policy.sampler = self.sampler(self.policy)

    def opening(self, scene: Any) -> Snapshot:
        """The beginning of a scene."""
        self.envs[0].reset(options={"scene": scene})
        return self.envs[0].snapshot()

    def play(self, starts: Sequence[Start], kept: list[list[Snapshot]] | None = None, first: int = 0) -> list[Episode]:
        """Hold the conversations, in the slots from `first` on; `kept` takes in a snapshot before each turn."""
        if first + len(starts) > len(self.envs):
            raise BadArgument(f"{first + len(starts)} conversations at once: this stage holds {len(self.envs)}.")
        slots = range(first, first + len(starts))
        shown, episodes = {}, []
        for slot, start in zip(slots, starts, strict=True):
            observation, info = self.envs[slot].restore(start.snapshot)
            if start.spoken is None:
                self.policy.begin(slot, start.seed)
            else:
                self.policy.fork(start.spoken, slot, start.snapshot.turn.number, start.seed)
            shown[slot] = observation
            episodes.append(Episode(info["scene"]))
        while shown:
            if kept is not None:
                for slot in shown:
                    kept[slot - first].append(self.envs[slot].snapshot())
            answers = self.policy.act_batch([shown.get(slot) for slot in range(slots.stop)], [None] * slots.stop)
            for slot in [*shown]:
                episode, answer = episodes[slot - first], answers[slot]
                if isinstance(answer, InfrastructureError):
                    self._cut(episode, slot, answer)
                    del shown[slot]
                    continue
                observation, reward, terminated, truncated, info = self.envs[slot].step(answer)
                episode.rewards.append(float(reward))
                episode.malformed += info["malformed"] != ""
                episode.refused += info["refused"] != ""
                episode.success = info["is_success"]
                shown[slot] = observation
                if terminated or truncated:
                    del shown[slot]
        for slot, episode, start in zip(slots, episodes, starts, strict=True):
            self._spell(episode, slot, start)
        return episodes

    def _cut(self, episode: Episode, slot: int, error: InfrastructureError) -> None:
        """A conversation that outgrew the model ends where it is; whatever else failed is no fault of the agent's."""
        turn = self.envs[slot].snapshot().turn.number
        if error.fatal or not any(
            part.said and part.turn >= turn - len(episode.rewards) for part in self.policy.parts(slot)
        ):
            raise error
        episode.cut = True

    def _spell(self, episode: Episode, slot: int, start: Start) -> None:
        """Take over the tokens."""
        before = 0 if start.spoken is None else start.snapshot.turn.number
        for part in self.policy.parts(slot):
            ids, sampled, logprobs = part.tokens
            turn = part.turn - before
            if turn < 0 or (turn == 0 and not part.said):
                episode.prompt_ids += ids
            else:
                episode.completion_ids += ids
                episode.sampled += sampled
                episode.logprobs += logprobs
                episode.turns += [turn] * len(ids)

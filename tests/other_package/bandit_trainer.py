"""A trainer as another package would bring it: a bandit learns which word of Echo's last message is to be said."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from stateset_gym import policies
from stateset_gym.policies.progress import Tick
from stateset_gym.policies.rollout import rollout
from stateset_gym.policies.runs import Setting
from stateset_gym.trainers import Callback, Config, Share, Summary, Trainer

WORDS = 4
"""The places that it chooses from."""


@dataclass(frozen=True, kw_only=True)
class BanditConfig(Config):
    """What the bandit is told."""

    rate: Annotated[float, Meta(gt=0, le=1, description="How far a reward moves the value of a choice.")] = 0.2
    curious: Annotated[float, Meta(ge=0, le=1, description="How often any choice is tried.")] = 0.3
    begin: Literal["zeros", "ones"] = "zeros"
    model: Annotated[str, Meta(description="A folder with the values to begin with; by default `begin` tells.")] = ""
    tags: Annotated[tuple[str, ...], Meta(description="Words for whoever looks at it later.")] = ()


class Said(policies.Policy):
    """Says a word of the last message, the likeliest by the values or one at random."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.place: int | None = None

    def act(self, observation: Any, facts: Sequence[Any]) -> dict[str, str]:
        """Say it."""
        words = observation["messages"][-1]["content"].rstrip(".").split()
        best = int(np.argmax(self.values)) if self.place is None else self.place
        return {"type": "say", "word": words[min(best, len(words) - 1)]}


class Bandit(Trainer[BanditConfig]):
    """Learns which word of the last message is to be said.

    It needs nothing but numpy.
    """

    config_class = BanditConfig

    values: list[float] | None = None

    def train(
        self, *, resume: bool = False, callbacks: Sequence[Callback] = (), progress: bool | Tick = False
    ) -> policies.Policy:
        """Try, and learn from what is paid."""
        config, chance, values, after = self.config, np.random.default_rng(self.config.seed), [0.0] * WORDS, None
        if config.begin == "ones":
            values = [1.0] * WORDS
        if config.model:
            values = self.load(config.model).values
        if resume:
            after, path = (self.folder.saved() or [(0, None)])[-1]
            if path:
                kept = json.loads((path / "state.json").read_text())
                values, chance.bit_generator.state = kept["values"], kept["chance"]
        env = Setting(self.env_id, None, {**config.env, "split": "train"}).env()
        with self.telling(callbacks=callbacks, progress=progress, after=after) as told:
            before = self._success([0.0] * WORDS)
            while told.step < config.steps and not told.stopped:
                step, agent = told.step + 1, Said(values)
                curious = chance.random() < config.curious
                agent.place = int(chance.integers(WORDS)) if curious else int(np.argmax(values))
                total = rollout(agent, env, scene=f"Echo-v0/train/{config.env['difficulty']}/{step:06d}").total
                values[agent.place] += config.rate * (total - values[agent.place])
                ends = told(step, {"reward": total, "best": float(np.argmax(values))}) or step == config.steps
                if ends or (config.checkpoint_every and step % config.checkpoint_every == 0):
                    with told.folder.whole(told.folder.checkpoint(step)) as part:
                        kept = {"values": values, "chance": chance.bit_generator.state}
                        (part / "state.json").write_text(json.dumps(kept))
            self.values = values
            told.finish(
                Summary(
                    before=before,
                    after=self._success(values),
                    episodes=told.step,
                    minutes=told.minutes,
                    steps=told.step,
                    stopped=told.stopped,
                )
            )
        return Said(values)

    def _success(self, values: list[float]) -> Share | None:
        if not self.config.held_out:
            return None
        report = policies.evaluate(Said(values), self.env_id, scenes=self.config.held_out, **self.config.env)
        return Share.of(round(report.success.mean * self.config.held_out), self.config.held_out)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the values."""
        if self.values is None:
            raise ValueError("Nothing is trained yet: call train() first.")
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "values.json").write_text(json.dumps(self.values))

    def load(self, folder: str | os.PathLike[str]) -> Said:
        """The policy of the values."""
        return load(self.kind, path=os.fspath(folder))


def load(kind: Any, *, path: str) -> Said:
    """The policy of a saved bandit."""
    return Said(json.loads((Path(path) / "values.json").read_text()))


class Broken:
    """No trainer, though an entry point says so."""

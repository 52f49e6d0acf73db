"""Supervised learning from the expert: what a model begins with."""

from __future__ import annotations

from random import Random
from statistics import fmean
from typing import Any

from ..envs.errors import BadArgument
from ..envs.scenes import ScenePool
from ..policies.local import Loaded
from ..policies.local.prompt import Prompt
from ..policies.rollout import rollout
from ..policies.runs import Setting
from ..policies.scripted import Expert
from . import reference, through_trl
from .configs import REFERENCE, SFTConfig
from .demonstrations import Demonstration, demonstrations
from .held_out import training_scenes
from .language import LanguageTrainer
from .tested import Spent
from .thoughts import looked_up

FEW = 8
"""So many scenes of a kind tell how much is looked up in it."""
SORTED = 16
"""So many batches are drawn together and cut by length: little is padded, and chance still mixes them."""


class SFT(LanguageTrainer[SFTConfig]):
    """Learns to say what the expert says: its own tokens alone, recoveries from mistakes included."""

    config_class = SFTConfig

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        config = self.config
        if config.constrained and config.thinking:
            raise BadArgument(
                "thinking=True teaches thoughts before an action, and constrained=True lets nothing be said but the "
                "action: give thinking=False too."
            )
        if self.config.lora and self.config.model == REFERENCE:
            raise BadArgument(
                f"lora={self.config.lora} trains matrices beside a model's own, and model='reference' has not learnt "
                "anything yet: leave lora out, or name a folder with a model."
            )

    def start(self) -> Loaded:
        """The model of the folder, or a new one of the environment's language."""
        config = self.config
        if config.model != REFERENCE:
            return super().start()
        tokenizer = reference.tokenizer(self.env_id, config.vocabulary, **self.arguments)
        model = reference.model(tokenizer, width=config.width, layers=config.layers, seed=config.seed)
        return Loaded(model, tokenizer)

    def adapter(self, loaded: Loaded) -> Any:
        """TRL's SFT over the expert's conversations."""
        config = self.config
        count = config.steps * config.batch
        scenes = training_scenes(self.env_id, self.arguments, config.seed, count, self.reserved, self.often)
        prompt = Prompt(loaded.tokenizer)
        shown = demonstrations(
            self.env_id, self.arguments, prompt, scenes, config.mistakes, config.thinking, config.seed
        )
        drawn = list(shown)
        rows = by_length(drawn, config.batch, config.seed)
        self._sizes = [(each.turns, len(each.ids)) for each in rows]
        return through_trl.sft(config, self.folder.checkpoints, self.dealt(), loaded, rows)

    def often(self, scenes: ScenePool, share: float) -> float:
        """How often scenes of a kind are shown, whose share of the split is 1 on average.

        Rare kinds are shown oftener than they are met, and the more is looked up in a kind, the oftener too: that
        takes longest to learn.
        """
        env = Setting(self.env_id, "", {**self.arguments, "split": "train", "customer": "agenda"}).env()
        episodes = [rollout(Expert(type(env)), env, scenes[number]) for number in range(min(FEW, len(scenes)))]
        env.close()
        return 2 + 4 * share + fmean(looked_up(episode.messages, episode.facts) for episode in episodes)

    def spent(self, steps: int) -> Spent:
        """The demonstrations that were shown, with their turns and ids."""
        shown = self._sizes[: steps * self.config.batch]
        return Spent(len(shown), *map(sum, zip(*shown, strict=True))) if shown else Spent(0, 0, 0)


def by_length(drawn: list[Demonstration], batch: int, seed: int) -> list[Demonstration]:
    """The same in batches of about one length, the batches in a random order."""
    chance, found = Random(seed), list[Demonstration]()
    for start in range(0, len(drawn), SORTED * batch):
        some = sorted(drawn[start : start + SORTED * batch], key=lambda each: len(each.ids))
        batches = [some[at : at + batch] for at in range(0, len(some), batch)]
        chance.shuffle(batches)
        found += [each for one in batches for each in one]
    return found

"""Preference learning from pairs of answers to one turn, which the model itself gives and follows up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..envs.errors import BadArgument
from ..policies.local import Loaded
from ..policies.local.prompt import Prompt
from . import through_trl
from .branches import HELD, Branches
from .configs import REFERENCE, DPOConfig
from .episode import Stage
from .held_out import training_scenes
from .language import LanguageTrainer
from .pairs import PAIRS, Pairs
from .telling import Told
from .tested import Spent


class DPO(LanguageTrainer[DPOConfig]):
    """DPO on turns: from a point of its own conversations the model answers several times, and learns which is better.

    What it is compared with is the model that made the pairs, as it was when it made them.
    """

    config_class = DPOConfig
    files = {**LanguageTrainer.files, PAIRS: "the pairs of answers that were learnt from, as text and as ids"}

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        if self.config.model in ("", REFERENCE):
            raise BadArgument(
                f"model={self.config.model!r} has learnt nothing yet, and all its answers are as bad: train one with "
                "'sft' first, and give the folder of that run's final/ model."
            )
        super().check()

    @contextlib.contextmanager
    def telling(self, **given: Any) -> Iterator[Told]:
        """As every trainer does; the making of pairs is told of too."""
        with super().telling(**given) as told:
            self._told = told
            yield told

    def adapter(self, loaded: Loaded) -> Any:
        """TRL's DPO over our pairs."""
        config = self.config
        each = config.branches + 1  # the conversation itself, and those that part from it
        stage = Stage(
            self.env_id,
            self.arguments,
            loaded,
            each * min(config.points, max(1, HELD // each)),
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            constrained=config.constrained,
        )
        rounds = -(-config.steps // config.refresh_every) if config.refresh_every else 1
        scenes = training_scenes(self.env_id, self.arguments, config.seed, rounds * config.points, self.reserved)
        branches = Branches(stage, Prompt(loaded.tokenizer), config)
        self._pairs = Pairs(branches, scenes, config, self.folder, self._told)
        return through_trl.dpo(config, self.folder.checkpoints, self.dealt(), loaded, self._pairs)

    def spent(self, steps: int) -> Spent:
        """The conversations that were held to make the pairs, with what was said in them."""
        return self._pairs.spent

"""What all trainers of language models share: where they begin, how they are watched, what is kept."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..envs.errors import BadArgument
from ..policies.local import Loaded, Local
from ..policies.local.load import existing, load, silent
from ..policies.progress import Tick
from . import reference, through_trl
from .base import Config, Trainer
from .best import Best
from .configs import REFERENCE, Dealt, LanguageConfig
from .folder import FILES, Share
from .held_out import HeldOut, validation_scenes
from .telling import Callback, Told, rank
from .tested import Spent, Tested
from .watch import Evaluation, is_patience_over, told_to_all, watch

L = TypeVar("L", bound=LanguageConfig)


class LanguageTrainer(Trainer[L]):
    """A trainer of a causal language model; subclasses give what TRL trains with."""

    config_class: ClassVar[type[Config]] = LanguageConfig
    packages = ("torch", "transformers", "trl", "datasets")
    files = {
        **FILES,
        "best/": "the model that did best on the held-out scenes, where evaluations were made on the way",
        "checkpoints/": "what is needed to resume",
    }
    fixed = ("optimizer", "lora", "width", "layers", "vocabulary")

    def __init__(self, env_id: str, config: L) -> None:
        super().__init__(env_id, config)
        self._loaded: Loaded | None = None

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        super().check()
        config = self.config
        self.dealt(self.together)
        if config.patience and not config.evaluate_every:
            raise BadArgument(
                f"patience={config.patience} counts evaluations, and evaluate_every=0 makes none: give it too."
            )
        if config.model != REFERENCE:
            existing(config.model)
        if (Path(config.model) / "adapter_config.json").is_file():
            raise BadArgument(
                f"model={config.model!r} holds LoRA's matrices alone, and no second ones go on top of them: merge them "
                "into the model first (peft's merge_and_unload), and name the folder of that."
            )

    @property
    def together(self) -> int:
        """How many conversations of an update are never parted."""
        return 1

    @property
    def arguments(self) -> dict[str, Any]:
        """The environment's; a model that was made here is shown no system message, whose words it does not know."""
        return {"prompt": "none" if self._made_here() else "full", **self.config.env}

    def _made_here(self) -> bool:
        file = Path(self.config.model) / "config.json"
        return self.config.model == REFERENCE or (file.is_file() and reference.MARK in json.loads(file.read_bytes()))

    @property
    def reserved(self) -> tuple[str, ...]:
        """The scenes of the train split that the best model is chosen by; they are not trained on."""
        count = self.config.held_out if self.config.evaluate_every else 0
        return validation_scenes(self.env_id, self.arguments, count, "held_out") if count else ()

    def start(self) -> Loaded:
        """The model that is trained."""
        return load(self.config.model, "auto", "float32")

    @abstractmethod
    def adapter(self, loaded: Loaded) -> Any:
        """What TRL trains with, ready to train."""

    @abstractmethod
    def spent(self, steps: int) -> Spent:
        """What so many steps have learnt from."""

    def train(
        self, *, resume: bool = False, callbacks: Sequence[Callback] = (), progress: bool | Tick = False
    ) -> Local:
        """Train, and give the trained policy."""
        last = self.folder.last() if resume else None
        with self.telling(callbacks=callbacks, progress=progress, after=last and last[0]) as told, silent():
            loaded, tested = self.start(), Tested(self.env_id, self.arguments, self.config.tested)
            if last is None:
                self._test(tested, loaded, told, "before")
            trainer = self.adapter(loaded)
            watching = watch(trainer, told, self._evaluation(loaded))
            if last and is_patience_over(last[1], self.config.patience):
                told.stopped, watching.best = "early stop", Best.kept(self.folder.best)
            else:
                with through_trl.silenced():
                    trainer.train(resume_from_checkpoint=last and str(last[1]))
            self._loaded = Loaded(trainer.accelerator.unwrap_model(trainer.model), loaded.tokenizer)
            if watching.best:
                told_to_all(None)  # it is written by now
                self._loaded = load(self.folder.best, "auto", "float32")
            if told.stopped != "interrupted":
                self._test(tested, self._loaded, told, "after")
            best = None if watching.best is None else watching.best.step
            told.finish(tested.summary(told, self.spent(told.step), best))
        return self._policy(self._loaded)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model and its tokenizer as a folder of Hugging Face's: `hf:FOLDER` is a policy."""
        if self._loaded is None:
            raise BadArgument(f"{self.name} has not trained yet, and has nothing to save: call train() first.")
        for part in self._loaded if rank() == 0 else ():
            part.save_pretrained(folder)

    def load(self, folder: str | os.PathLike[str]) -> Local:
        """The model of a folder as it is measured: it samples as it did while it was trained."""
        return self._policy(load(os.fspath(folder), "auto", "float32"), self.config.temperature)

    def _evaluation(self, loaded: Loaded) -> Evaluation | None:
        """What is measured on the way."""
        if not self.reserved:
            return None
        held_out = self._held_out("train", self.reserved)
        return Evaluation(held_out, loaded.tokenizer, self.config.evaluate_every, self.config.patience)

    def _held_out(self, split: str, scenes: Sequence[str]) -> HeldOut:
        config = self.config
        return HeldOut(
            self.env_id,
            {**self.arguments, "split": split},
            scenes,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            constrained=config.constrained,
            batch=256,
        )

    def _test(self, tested: Tested, loaded: Loaded, told: Told, when: str) -> None:
        """Measure on scenes of the test split, and in the end on as many of the train split."""

        def played(split: str, scenes: Sequence[str]) -> tuple[Share, float]:
            held_out = self._held_out(split, scenes)
            found = held_out.measure(loaded, told.doing)
            held_out.close()
            return found.share, found.mean_return

        if not rank():
            tested.measure(told, when, played)

    def _policy(self, loaded: Loaded, temperature: float = 0.0) -> Local:
        config, most = self.config, self.config.max_new_tokens
        return Local(self.kind, loaded, temperature=temperature, max_new_tokens=most, constrained=config.constrained)

    def dealt(self, whole: int = 1) -> Dealt:
        """How the conversations of an update are dealt to processes and passes, `whole` of them never parted."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        own, over = divmod(self.config.batch, processes)
        micro = self.config.micro or own
        if over or own % micro or own % whole:
            raise BadArgument(
                f"batch={self.config.batch} cannot be dealt to {processes} processes in passes of micro={micro}"
                + (f" with groups of {whole} kept together" if whole > 1 else "")
                + ": choose numbers that divide each other."
            )
        return Dealt(micro, own // micro)

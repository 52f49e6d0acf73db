"""What happens around a Hugging Face trainer's steps: what is told, held-out success, the best model, and the end."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch.distributed
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState, PrinterCallback, ProgressCallback

from ..policies.local import Loaded
from .best import Best, Standing, is_over
from .held_out import HeldOut
from .telling import Told

V = TypeVar("V")


@dataclass(frozen=True)
class Evaluation:
    """When a model is measured on held-out scenes, and what follows from it."""

    held_out: HeldOut
    tokenizer: Any
    every: int
    """Steps from one to the next; there is one before the first step and one after the last in any case."""
    patience: int = 0
    """Evaluations in a row without a better success that end the training; 0: never."""

    def due(self, state: TrainerState) -> bool:
        """Whether the step that was made is one to measure after."""
        return state.global_step % self.every == 0 or state.global_step >= state.max_steps


class Watch(TrainerCallback, ExportableState, Standing):
    """Tells what is measured, keeps the best model, and ends a training where it is asked to.

    Processes that train together all end after the same step; the first of them measures and writes. How long success
    has not grown is part of every checkpoint, so that a resumed training ends where it would have ended.
    """

    def __init__(self, trainer: Trainer, told: Told, evaluation: Evaluation | None = None) -> None:
        Standing.__init__(self)
        self._trainer, self._told, self._evaluation = trainer, told, evaluation
        self._found: dict[str, float] = {}
        """What was measured after this step, and is told with the rest."""
        self._own = self._logged = False

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of this."""
        return {"args": {}, "attributes": self.standing()}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go on from a checkpoint; or measure the model as it is at first."""
        if state.global_step:
            saved: Any = state.stateful_callbacks  # by the callback's name, as the checkpoint has it
            kept = saved.get(type(self).__name__, self.state())["attributes"]
            best = Best.kept(self._told.folder.best) if state.is_world_process_zero else None
            self.goes_on(kept, told_to_all(best))
        elif self._evaluation:
            self._told.note(self._measured(self._evaluation, state, control, kwargs["model"]))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A step was made: measure the model where that is due; what is logged of the step is yet to come."""
        if self._evaluation and self._evaluation.due(state):
            self._found = self._measured(self._evaluation, state, control, kwargs["model"])
            if is_over(self.waited, self._evaluation.patience):
                self._told.stopped = self._told.stopped or "early stop"
        if state.global_step >= state.max_steps:
            control.should_save = True
        self._logged = control.should_log
        if not self._logged:
            self._tell(state, control, {})

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell what is logged, but for what is told elsewhere: held-out success, and what the whole run took."""
        metrics = numbers(logs or {})
        if self._logged and not self._own:
            self._logged = False
            self._tell(state, control, metrics)
        elif not self._own and "train_runtime" not in metrics:
            self._told.note(metrics)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Whatever ended it after its last step did not end it early."""
        if state.global_step >= state.max_steps:
            self._told.stopped = ""

    def _tell(self, state: TrainerState, control: TrainerControl, metrics: Mapping[str, float]) -> None:
        """Tell all of a step, and end the training there where any of the processes is asked to."""
        found, self._found = self._found, {}
        if found and not metrics and state.global_step < state.max_steps:
            self._told.note(found)  # this step is not logged
        self._told(state.global_step, {**metrics, **found})
        self._told.stopped = next(filter(None, told_by_all(self._told.stopped)), "")
        if self._told.stopped:
            control.should_save = control.should_training_stop = True

    def _measured(
        self, evaluation: Evaluation, state: TrainerState, control: TrainerControl, model: Any
    ) -> dict[str, float]:
        """Measure the model, keep it where it is the best so far, and let the trainer's reporters know."""
        writes = state.is_world_process_zero
        loaded = Loaded(model, evaluation.tokenizer)
        found = told_to_all(evaluation.held_out.measure(loaded, self._told.doing) if writes else None)
        assert found is not None
        new = Best.of(state.global_step, found.share, found.mean_return)
        if self.takes(new) and writes:
            self._keep(loaded, new)
        metrics = {
            "held_out_success": found.share.mean,
            "held_out_low": found.share.low,
            "held_out_high": found.share.high,
            "held_out_return": found.mean_return,
            "held_out_malformed": found.malformed,
            "held_out_cut": found.cut,
            "held_out_seconds": found.seconds,
        }
        with self._aside(control):
            # Not the trainer's own `log`: TRL's adds what it has gathered for the step, and forgets it.
            Trainer.log(self._trainer, dict(metrics))
        return metrics

    def _keep(self, loaded: Loaded, best: Best) -> None:
        with self._told.folder.whole(self._told.folder.best) as folder:
            loaded.model.save_pretrained(folder)
            loaded.tokenizer.save_pretrained(folder)
            best.write(folder)

    @contextlib.contextmanager
    def _aside(self, control: TrainerControl) -> Iterator[None]:
        """Log something without its passing for what is logged of the step."""
        should_log, self._own = control.should_log, True
        try:
            yield
        finally:
            control.should_log, self._own = should_log, False


def is_patience_over(checkpoint: Path, patience: int) -> bool:
    """Whether the training came to an early stop with this checkpoint, so that nothing is left to train."""
    saved = msgspec.json.decode((checkpoint / "trainer_state.json").read_bytes())["stateful_callbacks"]
    waited: int = saved[Watch.__name__]["attributes"]["waited"]
    return is_over(waited, patience)


def watch(trainer: Trainer, told: Told, evaluation: Evaluation | None = None) -> Watch:
    """Watch over a trainer, in place of what it prints itself."""
    for printer in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printer)
    watching = Watch(trainer, told, evaluation)
    trainer.add_callback(watching)
    return watching


UNTOLD = ("num_tokens",)
"""What TRL counts from the start of the process, and so anew in a resumed run."""


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """What is a number in a trainer's log; what could not be measured is left out."""
    found = {name: float(value) for name, value in logs.items() if isinstance(value, Real) and name not in UNTOLD}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def told_to_all(value: Any) -> Any:
    """What the first of the processes has, in each of them."""
    if not together():
        return value
    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def told_by_all(value: V) -> list[V]:
    """What each of the processes has, in each of them."""
    if not together():
        return [value]
    box: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(box, value)
    return box


def together() -> bool:
    """Whether several processes train together."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()

"""The course of a classical training: what is told, measured and kept between its steps."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from .best import Best, Standing, is_over
from .classical_configs import ClassicalConfig
from .measuring import Act, Measure
from .telling import Told, crossed
from .tested import Spent

STATE = "state.pt"
"""What a checkpoint is kept in."""
KEPT = 2
"""So many of the last checkpoints are kept."""


class Learning(Protocol):
    """What learns: an algorithm at its training, as its course sees it."""

    model: Any

    @property
    def step(self) -> int:
        """How many steps were made."""

    @property
    def spent(self) -> Spent:
        """What was learnt from."""

    def learn(self, steps: int, between: Callable[[], bool]) -> None:
        """Train up to a step; `between` is called after each one, and may end it."""

    def measured(self) -> dict[str, float]:
        """What the last step has measured."""

    def report(self, metrics: Mapping[str, float]) -> None:
        """Send metrics where else they are to go."""

    def greedy(self) -> Act:
        """What always does what the model thinks best."""

    def save(self, folder: Path) -> None:
        """Write the model."""

    def take(self, folder: Path) -> None:
        """Be the model that was saved in a folder."""

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""

    def close(self) -> None:
        """Let go of what is held open."""


class Course(Standing):
    """What happens between two steps; a checkpoint tells how far it is, so that a resumed run goes on as it would."""

    def __init__(self, learner: Learning, told: Told, config: ClassicalConfig, held_out: Measure | None) -> None:
        super().__init__()
        self._learner, self._told, self._config, self._held_out = learner, told, config, held_out

    def begin(self) -> None:
        """Measure the model as it is at first."""
        if self._held_out:
            self._told.note(self._measured(self._held_out, 0))

    def resume(self) -> None:
        """Go on from the last checkpoint. It holds pickled Python: resume only a run that you trust."""
        _, folder = self._told.folder.last()
        state = torch.load(folder / STATE, weights_only=False)
        self.goes_on(state, Best.kept(self._told.folder.best))
        self._learner.restore(state["learner"])
        if self._is_patience_over:
            self._told.stopped = "early stop"

    @property
    def _is_patience_over(self) -> bool:
        return is_over(self.waited, self._config.patience)

    def between(self) -> bool:
        """A step was made; whether the training is to end after it."""
        told, config, learner = self._told, self._config, self._learner
        before, step = told.step, learner.step
        due, last = told.due(step), step >= told.steps
        metrics, found = learner.measured(), dict[str, float]()
        if self._held_out and (last or crossed(before, step, config.evaluate_every)):
            found = self._measured(self._held_out, step)
            if self._is_patience_over:
                told.stopped = told.stopped or "early stop"
        if due or found:
            learner.report({**metrics, **found})
        if found and not due:
            told.step = step
            told.note(found)
        ends = told(step, {**metrics, **found}) or last
        if last:
            told.stopped = ""  # whatever ended it after its last step did not end it early
        if ends or crossed(before, step, config.checkpoint_every):
            self._keep(step)
        return ends

    def _measured(self, held_out: Measure, step: int) -> dict[str, float]:
        """Measure the model, and keep it where it is the best so far."""
        found = held_out.of(self._learner.greedy(), self._told.doing)
        new = Best.of(step, found.share, found.mean_return)
        if self.takes(new):
            with self._told.folder.whole(self._told.folder.best) as folder:
                self._learner.save(folder)
                new.write(folder)
        return {
            "held_out_success": found.share.mean,
            "held_out_low": found.share.low,
            "held_out_high": found.share.high,
            "held_out_return": found.mean_return,
            "held_out_turns": found.turns,
            "held_out_seconds": found.seconds,
        }

    def _keep(self, step: int) -> None:
        """Write all that is needed to go on from here."""
        folder = self._told.folder
        with folder.whole(folder.checkpoint(step)) as part:
            state = {"learner": self._learner.state(), **self.standing()}
            torch.save(state, part / STATE)
        for _, old in folder.saved()[:-KEPT]:
            shutil.rmtree(old)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: small networks are faster so, and sums are always rounded in the same way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

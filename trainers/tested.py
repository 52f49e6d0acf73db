"""Success on the test split before a training and after it, and the summary that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .folder import Share, Summary
from .held_out import test_scenes, validation_scenes
from .telling import Told

Played = Callable[[str, Sequence[str]], tuple[Share, float]]
"""Plays scenes of a split: how many ended well, and the mean return."""


class Spent(NamedTuple):
    """What a training has learnt from."""

    episodes: int
    actions: int
    tokens: int


class Tested:
    """What is measured before a training and after it, on as many scenes each time."""

    def __init__(self, env_id: str, arguments: Mapping[str, Any], count: int) -> None:
        self._env_id, self._arguments, self._count = env_id, arguments, count
        self._noted: dict[str, float] = {}

    def measure(self, told: Told, when: str, played: Played) -> None:
        """Measure on scenes of the test split, and after the training on as many of the train split; write it down."""
        if not self._count:
            return
        scenes = {when: ("test", test_scenes(self._env_id, self._arguments, self._count, "tested"))}
        if when == "after":
            scenes["train"] = ("train", validation_scenes(self._env_id, self._arguments, self._count, "tested"))
        for name, (split, some) in scenes.items():
            share, mean_return = played(split, some)
            noted = {
                f"{name}_successes": share.successes,
                f"{name}_scenes": share.scenes,
                f"{name}_return": mean_return,
            }
            told.note(noted)
            self._noted |= noted

    def summary(self, told: Told, spent: Spent, best_step: int | None) -> Summary:
        """What came of the training."""
        begun = next((line for line in told.folder.metrics() if "before_scenes" in line), {})
        noted = {**begun, **self._noted}  # of what came after, only what was measured now
        shares = {
            when: Share.of(int(noted[f"{when}_successes"]), int(noted[f"{when}_scenes"]))
            for when in ("before", "after", "train")
            if f"{when}_scenes" in noted
        }
        return Summary(
            **shares,
            return_before=noted.get("before_return"),
            return_after=noted.get("after_return"),
            episodes=spent.episodes,
            actions=spent.actions,
            tokens=spent.tokens,
            minutes=told.minutes,
            steps=told.step,
            stopped=told.stopped,
            best_step=best_step,
        )

"""How a classical model does on scenes: many conversations at once, each on a scene that is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt

from ..policies.progress import Tick, quiet
from .folder import Share

Flags = npt.NDArray[np.bool_]
Act = Callable[[npt.NDArray[np.float32], Flags, Flags], npt.NDArray[Any]]
"""What a model does, given the features, which actions are allowed, and where a conversation has just begun."""
LANES = 256
"""So many conversations are held at once."""


class Done(NamedTuple):
    """How a model did on scenes, one conversation each."""

    share: Share
    """Of the scenes, those that ended well."""
    mean_return: float
    turns: float
    """How many a conversation had."""
    seconds: float


class Measure:
    """Scenes, and the conversations to be held on them; made once, used for one model after the other.

    It is the environment itself that is played, whatever a model was trained on.
    """

    def __init__(self, env_id: str, arguments: Mapping[str, Any], scenes: Sequence[str]) -> None:
        self.scenes = tuple(scenes)
        given = {**arguments, "scenes": self.scenes, "kinds": None}
        self._env: Any = gymnasium.make_vec(env_id, num_envs=min(LANES, len(scenes)), view="discrete", **given)

    def of(self, act: Act, tick: Tick = quiet) -> Done:
        """Play every scene; a lane whose conversation has ended takes the next one that is left."""
        started, count, lanes = perf_counter(), len(self.scenes), self._env.num_envs
        ended: dict[str, list[Any]] = {name: [0] * count for name in ("is_success", "return", "turns")}
        playing, begun, done = [*range(lanes)], lanes, 0
        features = self._begin(range(lanes), playing)
        begins = np.ones(lanes, np.bool_)
        while done < count:
            actions = act(features, self._env.action_masks(), begins)
            features, _, terminations, truncations, infos = self._env.step(actions)
            begins = terminations | truncations
            free = [int(lane) for lane in np.flatnonzero(begins) if playing[lane] < count]
            for lane in free:
                for name, values in ended.items():
                    values[playing[lane]] = infos["final_info"][name][lane]
                playing[lane], begun, done = begun, begun + 1, done + 1
            if again := [lane for lane in free if playing[lane] < count]:
                features = self._begin(again, playing)
            tick("held out", done, count)
        returns, turns = float(np.mean(ended["return"])), float(np.mean(ended["turns"]))
        return Done(Share.of(sum(map(bool, ended["is_success"])), count), returns, turns, perf_counter() - started)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _begin(self, lanes: Sequence[int], playing: Sequence[int]) -> npt.NDArray[np.float32]:
        """Let lanes play the scenes that are theirs, not those that the environment has drawn; all lanes' features."""
        where = np.zeros(self._env.num_envs, np.bool_)
        where[list(lanes)] = True
        scenes = [self.scenes[place % len(self.scenes)] for place in playing]  # beyond the last they are not begun
        features: npt.NDArray[np.float32]
        features, _ = self._env.reset(options={"reset_mask": where, "scene": scenes})
        return features

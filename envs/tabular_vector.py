"""Thousands of tabulated conversations at once: a step is a few look-ups in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..rewards.terms import Reward
from .conversation import ConversationEnv
from .discrete import catalogue_of
from .errors import BadArgument, BadScene
from .numbered_vector import NumberedVectorEnv, Options
from .scene_streams import Streams
from .scenes import ScenePool
from .table import DONE, GOAL, Features, Floats, Mask, costs
from .tables import Progress, Tables, quiet
from .tabular import CAP, unheard

Places = npt.NDArray[np.intp]
WORDS = ("prompt", "render_mode", "on_invalid")
"""Arguments that concern words: a table has none."""


class TabularVectorEnv(NumberedVectorEnv):
    """`num_envs` conversations over tabulated scenes; `gym.make_vec(id, num_envs=n, view="tabular", ...)` makes it.

    What comes out equals `DiscreteView` of the same environments, step by step, and infos are those of
    `view="discrete"`. `scenes` is needed: how many of the first ones, a range, or a list. Their tables are read from a
    cache on disk, or made, which takes a second for every few scenes. All arrays that are returned are the caller's.
    """

    snapshot_format = "tabular-2"

    def __init__(
        self,
        env_class: type[ConversationEnv],
        num_envs: int = 1,
        *,
        scenes: int | Iterable[int | str],
        split: Literal["train", "test"] = "train",
        difficulty: Literal["easy", "normal", "hard"] = "easy",
        kinds: Sequence[str] | None = None,
        max_turns: int | None = None,
        reward: Reward | None = None,
        cap: int = CAP,
        cache: str | Path | bool = True,
        jobs: int = 1,
        progress: Progress = quiet,
        **arguments: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise BadArgument(f"num_envs={num_envs!r} must be a whole number from 1 up.")
        _check_arguments(unheard(env_class, arguments), reward)
        chosen: dict[str, Any] = {"split": split, "difficulty": difficulty, "kinds": kinds, "max_turns": max_turns}
        if isinstance(scenes, int):
            scenes = _first(env_class(**chosen, **arguments).pool, scenes)
        pool = env_class(**chosen, scenes=scenes, **arguments).pool
        super().__init__(env_class.parts.name, catalogue_of(env_class), num_envs)
        self.scene_names = [pool[place] for place in range(len(pool))]
        """The scenes that are drawn from."""
        self.tables = Tables.build(
            env_class, self.scene_names, cap=cap, cache=cache, jobs=jobs, progress=progress, arguments=arguments
        )
        _check_whole(self.tables, cap)
        self._lay_out(reward or Reward(), max_turns)

    def _lay_out(self, reward: Reward, max_turns: int | None) -> None:
        """The arrays that steps look things up in, and those that hold where each conversation stands."""
        joined, size = self.tables.joined(), self.num_envs
        self._step, self._bits, self._masks = joined.step, joined.bits, joined.mask
        self._rows, self._row, self._start = joined.rows, joined.row, joined.start
        self._penalty, self._late = -costs(joined.outcomes, reward.prices), reward.prices.late_turn
        self._ends, self._goal = joined.outcomes[:, DONE] > 0, joined.outcomes[:, GOAL].copy()
        self._won, self._cut = self._goal >= 1, joined.cut
        self._par = np.array([table.par for table in self.tables.scenes])
        self._limit = np.array([max_turns or table.limit for table in self.tables.scenes])
        self._names = np.array(self.scene_names, object)
        self._place = {name: place for place, name in enumerate(self.scene_names)}
        self._streams = Streams(size)
        self._scene, self._state, self._turn = (np.zeros(size, np.intp) for _ in range(3))
        self._pars, self._limits = np.zeros(size, np.intp), np.zeros(size, np.intp)
        self._total = np.zeros(size)

    def step(self, actions: Any) -> tuple[Features, Floats, Mask, Mask, dict[str, Any]]:
        """Play one index in each conversation."""
        entry = self._state * len(self.action_names)
        entry += self._checked(actions)
        # Nothing is out of bounds here; told to clip, NumPy does not look.
        step = self._step.take(entry, mode="clip")
        outcome = step & ((1 << self._bits) - 1)
        self._state = state = (step >> self._bits).astype(np.intp)
        self._turn += 1
        rewards = self._penalty.take(outcome, mode="clip")
        rewards -= self._late * (self._turn > self._pars)
        np.maximum(rewards, -1.0 - self._total, out=rewards)
        rewards += self._goal.take(outcome, mode="clip")
        won = self._won.take(outcome, mode="clip")
        terminated = self._ends.take(outcome, mode="clip")
        truncated = self._turn >= self._limits
        truncated &= ~terminated
        if truncated.any():
            goal = self._cut[state[truncated]]
            rewards[truncated] += goal
            won[truncated] = goal >= 1
        self._total += rewards
        infos = self._infos(won)
        over = np.flatnonzero(terminated | truncated)
        if len(over):
            names, last = self._names[self._scene[over]].tolist(), self._features(state[over])
            infos |= self._final(over, names, last, won, self._total, self._turn)
            self._begin(over, self._drawn(over))
        return self._shown(), rewards, terminated, truncated, infos

    def snapshot(self) -> dict[str, Any]:
        """Where all conversations and their streams of scenes stand, as plain data that can be pickled."""
        self._ready()
        return {
            "format": self.snapshot_format,
            "env": self.env_name,
            "scenes": list(self.scene_names),
            "tables": list(self.tables.fingerprints),
            "scene": self._scene.copy(),
            "state": self._state - self._start[self._scene],
            "turn": self._turn.copy(),
            "return": self._total.copy(),
            "streams": self._streams.state(),
        }

    def restore(self, data: Mapping[str, Any]) -> Features:
        """Go on from a snapshot, of this object or of one like it in another process; back come the features."""
        self._check(data)
        where = np.arange(self.num_envs)
        self._begin(where, data["scene"])
        self._state += data["state"]
        self._turn, self._total = data["turn"].copy(), data["return"].copy()
        self._streams.restore(data["streams"])
        self._begun = True
        return self._shown()

    def _shown(self) -> Features:
        return self._features(self._state)

    def _allowed(self) -> Mask:
        return self._masks[self._state]

    def _features(self, states: Places) -> Features:
        return self._rows.take(self._row.take(states, mode="clip"), axis=0, mode="clip")

    def _begin_some(self, where: Sequence[int], seeds: Sequence[int | None], options: list[Options]) -> None:
        named = [self._named(each["scene"]) for place in where if (each := options[place])]
        for place in where:
            if seeds[place] is not None:
                self._streams.seed(place, seeds[place])
        places = np.asarray(where, np.intp)
        self._begin(places, np.array(named, np.intp) if named else self._drawn(places))

    def _begin(self, where: Places, scenes: Places) -> None:
        """Begin these scenes in these conversations."""
        self._scene[where], self._state[where] = scenes, self._start[scenes]
        self._pars[where], self._limits[where] = self._par[scenes], self._limit[scenes]
        self._turn[where], self._total[where] = 0, 0.0

    def _drawn(self, where: Places) -> Places:
        """The next scenes of these conversations' streams; each is what `ScenePool.draw` would draw."""
        return (self._streams.draw(where) * len(self.scene_names)).astype(np.intp)

    def _named(self, name: Any) -> int:
        """The number of the scene with this name."""
        if not isinstance(name, str) or name not in self._place:
            raise BadScene(
                f"Scene {name!r} is none of the {len(self._place)} that are tabulated here: add it to scenes=."
            )
        return self._place[name]

    def _check(self, data: Mapping[str, Any]) -> None:
        """Refuse a snapshot whose numbers mean something else here: one of other conversations, scenes or tables."""
        self._check_snapshot(data, "turn")
        pairs = [*zip_longest(data["scenes"], self.scene_names)]
        place = next((place for place, (there, here) in enumerate(pairs) if there != here), None)
        if place is not None:
            there, here = pairs[place]
            raise BadArgument(
                f"restore() got conversations over {len(data['scenes'])} scenes: here are {len(self.scene_names)}, and "
                f"number {place} is {here!r}, not {there!r}; make an object with the same scenes."
            )
        both = zip(self.scene_names, data["tables"], self.tables.fingerprints, strict=True)
        changed = [name for name, there, here in both if there != here]
        if changed:
            raise BadArgument(
                f"restore() got states of other tables than those here for {len(changed)} of {len(self.scene_names)} "
                f"scenes ({_few(changed)}): go on in the version, and with the arguments, that took the snapshot."
            )
        for turn, limit in zip(data["turn"], self._limit[data["scene"]], strict=True):
            self._check_turn(turn, limit)


def _check_arguments(arguments: Mapping[str, Any], reward: Reward | None) -> None:
    """Refuse what a table knows nothing of."""
    if "max_episode_steps" in arguments:
        limit = arguments["max_episode_steps"]
        raise BadArgument(f"max_episode_steps={limit!r} is not known here: give max_turns={limit!r}.")
    spoken = [name for name in WORDS if name in arguments]
    if spoken:
        raise BadArgument(
            f"{', '.join(spoken)}: tabulated conversations have no words; leave it out, or take another view."
        )
    if reward is not None and reward.extra:
        terms = ", ".join(map(repr, reward.extra))
        raise BadArgument(
            f"The reward has terms of its own ({terms}), which may heed anything, and a table holds the published ones "
            "alone: give Reward(prices), or take view='discrete'."
        )


def _first(pool: ScenePool, count: int) -> list[str]:
    """The first scenes of a pool."""
    if isinstance(count, bool) or not 1 <= count <= len(pool):
        raise BadArgument(f"scenes={count!r} must be from 1 to {len(pool)}, or a range or list of scenes.")
    return [pool[place] for place in range(count)]


def _check_whole(tables: Tables, cap: int) -> None:
    """Nobody may step to where nothing is known."""
    unfinished = tables.unfinished
    if unfinished:
        raise BadArgument(
            f"{len(unfinished)} of {len(tables)} scenes have more than cap={cap} states and were not explored whole "
            f"({_few(unfinished)}): raise cap, or leave them out of scenes."
        )


def _few(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")

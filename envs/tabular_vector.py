"""Thousands of tabulated conversations at once: a step is a few look-ups in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..rewards.terms import Reward
from .conversation import ConversationEnv
from .errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from .scene_streams import Streams
from .scenes import ScenePool
from .table import DONE, GOAL, Features, Floats, Mask, costs
from .tables import Progress, Tables, quiet
from .tabular import CAP, unheard
from .vector import chosen_by, seeds_of

Places = npt.NDArray[np.intp]
FORMAT = 1
"""The version of what `snapshot` gives."""
WORDS = ("prompt", "render_mode", "on_invalid")
"""Arguments that concern words: a table has none."""


class TabularVectorEnv(VectorEnv[Features, Any, Any]):
    """`num_envs` conversations over tabulated scenes; `gym.make_vec(id, num_envs=n, view="tabular", ...)` makes it.

    What comes out equals `DiscreteView` of the same environments, step by step, and infos are those of
    `view="discrete"`. `scenes` is needed: how many of the first ones, a range, or a list. Their tables are read from a
    cache on disk, or made, which takes a second for every few scenes. All arrays that are returned are the caller's.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

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
        self.num_envs = num_envs
        self.env_name = env_class.parts.name
        self.scene_names = [pool[place] for place in range(len(pool))]
        """The scenes that are drawn from."""
        self.tables = Tables.build(
            env_class, self.scene_names, cap=cap, cache=cache, jobs=jobs, progress=progress, arguments=arguments
        )
        _check_whole(self.tables, cap)
        table = self.tables.scenes[0]
        self.action_names, self.feature_names = table.action_names, table.feature_names
        self.single_action_space = spaces.Discrete(len(self.action_names))
        self.single_observation_space = spaces.Box(0, 1, (len(self.feature_names),), np.float32)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
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
        self._begun = False
        self._scene, self._state, self._turn = (np.zeros(size, np.intp) for _ in range(3))
        self._pars, self._limits = np.zeros(size, np.intp), np.zeros(size, np.intp)
        self._total = np.zeros(size)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Features, dict[str, Any]]:
        """Begin anew: `seed` gives conversation i `seed + i`, or lists a seed for each.

        `options["reset_mask"]`, a boolean array, says which conversations begin anew; the others stay as they are.
        `options["scene"]` is the name of a scene for all of them, or a list with one for each conversation.
        """
        seeds = seeds_of(seed, self.num_envs)
        options = dict(options or {})
        where = np.asarray(chosen_by(options.pop("reset_mask", None), self.num_envs, self._begun), np.intp)
        scenes = self._wanted(options)
        for place in where.tolist():
            if seeds[place] is not None:
                self._streams.seed(place, seeds[place])
        self._begin(where, self._drawn(where) if scenes is None else scenes[where])
        self._begun = True
        return self._features(self._state), _infos(np.zeros(self.num_envs, np.bool_))

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
        infos = _infos(won)
        over = np.flatnonzero(terminated | truncated)
        if len(over):
            infos |= self._last(over, won)
            self._begin(over, self._drawn(over))
        return self._features(state), rewards, terminated, truncated, infos

    def action_masks(self) -> Mask:
        """Which templates are allowed now: a row for each conversation."""
        self._ready()
        return self._masks[self._state]

    def snapshot(self) -> dict[str, Any]:
        """Where all conversations and their streams of scenes stand, as plain data that can be pickled."""
        self._ready()
        return {
            "format": FORMAT,
            "env": self.env_name,
            "scenes": list(self.scene_names),
            "scene": self._scene.copy(),
            "state": self._state - self._start[self._scene],
            "turn": self._turn.copy(),
            "return": self._total.copy(),
            "streams": self._streams.state(),
        }

    def restore(self, data: Mapping[str, Any]) -> Features:
        """Go on from a snapshot, of this object or of one like it in another process; back come the features."""
        self._check_snapshot(data)
        where = np.arange(self.num_envs)
        self._begin(where, data["scene"])
        self._state += data["state"]
        self._turn, self._total = data["turn"].copy(), data["return"].copy()
        self._streams.restore(data["streams"])
        self._begun = True
        return self._features(self._state)

    def _features(self, states: Places) -> Features:
        return self._rows.take(self._row.take(states, mode="clip"), axis=0, mode="clip")

    def _begin(self, where: Places, scenes: Places) -> None:
        """Begin these scenes in these conversations."""
        self._scene[where], self._state[where] = scenes, self._start[scenes]
        self._pars[where], self._limits[where] = self._par[scenes], self._limit[scenes]
        self._turn[where], self._total[where] = 0, 0.0

    def _last(self, over: Places, won: Mask) -> dict[str, Any]:
        """What is told of the conversations that have ended, where users look for it."""
        mask = np.zeros(self.num_envs, np.bool_)
        mask[over] = True
        features = np.zeros((self.num_envs, len(self.feature_names)), np.float32)
        features[over] = self._features(self._state[over])
        names = np.full(self.num_envs, None, object)
        names[over] = self._names[self._scene[over]]
        last = {"is_success": won.copy(), "return": self._total * mask, "turns": self._turn * mask, "scene": names}
        last |= {f"_{key}": mask.copy() for key in last}
        return {"final_obs": features, "_final_obs": mask, "final_info": last, "_final_info": mask.copy()}

    def _drawn(self, where: Places) -> Places:
        """The next scenes of these conversations' streams; each is what `ScenePool.draw` would draw."""
        return (self._streams.draw(where) * len(self.scene_names)).astype(np.intp)

    def _ready(self) -> None:
        if not self._begun:
            raise ResetNeeded(f"{self.env_name}: the conversations have not begun; call reset() first.")

    def _checked(self, actions: Any) -> Places:
        """The indices, all of them right: else nothing is played."""
        self._ready()
        index = actions if isinstance(actions, np.ndarray) else np.asarray(actions)
        size, width = self.num_envs, len(self.action_names)
        if index.shape != (size,) or index.dtype.kind not in "iu":
            given = f"an array of shape {index.shape} and type {index.dtype}"
            raise BadArgument(f"step() takes {size} whole numbers, one for each conversation, not {given}.")
        index = index.astype(np.intp, copy=False)
        if index.view(np.uintp).max() >= width:  # a negative one is a large one there
            place = int(((index < 0) | (index >= width)).argmax())
            raise InvalidAction(
                f"Conversation {place}: {index[place]} is no index of the catalogue: give a whole number from 0 to "
                f"{width - 1}."
            )
        return index

    def _wanted(self, options: dict[str, Any]) -> Places | None:
        """The scenes that a reset's options name, one for each conversation; None where they are to be drawn."""
        if not options:
            return None
        if set(options) != {"scene"}:
            raise BadArgument(f"reset(options=...) holds {sorted(options)}: only 'scene' and 'reset_mask' are known.")
        names = options["scene"]
        each = [names] * self.num_envs if isinstance(names, str) else list(names)
        if len(each) != self.num_envs:
            raise BadArgument(
                f"options['scene'] lists {len(each)} scenes for {self.num_envs} conversations: give one each, or a "
                "single one for all."
            )
        strange = next((name for name in each if name not in self._place), None)
        if strange is not None:
            raise BadScene(
                f"Scene {strange!r} is none of the {len(self._place)} that are tabulated here: add it to scenes=."
            )
        return np.array([self._place[name] for name in each], np.intp)

    def _check_snapshot(self, data: Mapping[str, Any]) -> None:
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise BadArgument(f"restore() got {data!r}: give what snapshot() returned in this version.")
        if data["env"] != self.env_name or data["scenes"] != self.scene_names or len(data["turn"]) != self.num_envs:
            given = f"{len(data['turn'])} conversations of {data['env']} over {len(data['scenes'])} scenes"
            here = f"{self.num_envs} of {self.env_name} over {len(self.scene_names)} scenes"
            raise BadArgument(f"restore() got {given}: here are {here}, or other scenes; make an object like it.")
        if (late := data["turn"] >= self._limit[data["scene"]]).any():
            place = int(late.argmax())
            turn, limit = data["turn"][place], self._limit[data["scene"][place]]
            raise BadArgument(f"restore() got turn {turn}: here a conversation ends after {limit} turns.")


def _infos(won: Mask) -> dict[str, Any]:
    return {"is_success": won, "_is_success": np.ones(len(won), np.bool_)}


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
        named = ", ".join(unfinished[:5]) + (", ..." if len(unfinished) > 5 else "")
        raise BadArgument(
            f"{len(unfinished)} of {len(tables)} scenes have more than cap={cap} states and were not explored whole "
            f"({named}): raise cap, or leave them out of scenes."
        )

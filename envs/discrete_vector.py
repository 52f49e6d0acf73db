"""Many conversations at once through the discrete view: arrays of indices in, arrays of features out."""

from __future__ import annotations

import copy
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..rewards.terms import Reward
from .catalogue import Catalogue
from .conversation import ConversationEnv, generator_in
from .discrete import catalogue_of
from .errors import BadArgument, InvalidAction, ResetNeeded
from .spoken import Spoken
from .vector import chosen_by, crew, seeds_of
from .vector_infos import mask_of, spread
from .walk import Flags, Floats, Indices, Rows, Walk
from .wordless import Wordless

FORMAT = 1
"""The version of what `snapshot` gives."""


class DiscreteVectorEnv(VectorEnv[Rows, Any, Any]):
    """`num_envs` conversations; `gym.make_vec(id, num_envs=n, view="discrete")` makes it.

    What comes out equals `DiscreteView` of the same environments, step by step. Actions are an array or a sequence of
    indices. A conversation that ends begins anew within the same step: its last features are in `infos["final_obs"]`,
    and `infos["final_info"]` tells of it. Besides, infos hold nothing but `is_success`: whether a conversation has
    ended in this very step, with its goal reached.

    ```python
    >>> import gymnasium as gym
    >>> import stateset_gym
    >>> envs = gym.make_vec("StateSet/CustomerService-v0", num_envs=3, view="discrete")
    >>> features, infos = envs.reset(seed=1)
    >>> features.shape, envs.action_masks().shape
    ((3, 62), (3, 45))
    >>> close = envs.action_names.index("close")
    >>> features, rewards, terminations, truncations, infos = envs.step([close, close, close])
    >>> terminations.tolist(), infos["final_info"]["turns"].tolist()
    ([True, True, True], [1, 1, 1])

    ```
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
    envs: Sequence[ConversationEnv] = ()  # for a closing after an __init__ that raised

    def __init__(
        self,
        env_class: type[ConversationEnv],
        num_envs: int = 1,
        *,
        catalogue: Catalogue | None = None,
        **arguments: Any,
    ) -> None:
        if arguments.get("render_mode") is not None:
            mode = arguments["render_mode"]
            raise BadArgument(f"render_mode={mode!r}: numbers show nothing; render one DiscreteView(gym.make(...)).")
        self.envs = crew(env_class, num_envs, arguments)
        self.num_envs = num_envs
        self.catalogue = catalogue or catalogue_of(env_class)
        self._strict = arguments.get("on_invalid") == "raise"
        self._answers = arguments.get("customer", "agenda") != "agenda"
        self._walk = self._walk_for(arguments.get("reward"), arguments.get("max_turns"))
        self.single_action_space = gymnasium.spaces.Discrete(len(self.action_names))
        self.single_observation_space = gymnasium.spaces.Box(0, 1, (len(self.feature_names),), np.float32)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._begun = False
        self._own: list[dict[str, Any] | None] = [None] * num_envs
        """The scenes that are a user's own."""

    @property
    def action_names(self) -> tuple[str, ...]:
        """The templates, by index."""
        return self.catalogue.action_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in their order."""
        return self.catalogue.feature_names

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Rows, dict[str, Any]]:
        """Begin anew: `seed` gives conversation i `seed + i`, or lists a seed for each.

        `options["reset_mask"]`, a boolean array, says which conversations begin anew; the others stay as they are.
        `options["scene"]` is a scene for all of them, or a list with one for each conversation.
        """
        seeds = seeds_of(seed, self.num_envs)
        options = dict(options or {})
        where = chosen_by(options.pop("reset_mask", None), self.num_envs, self._begun)
        each = self._options(options)
        found = [(i, *self.envs[i].next_scene(seeds[i], each[i])) for i in where]
        for i, name, build in found:
            self._own[i] = _own_scene(each[i])
            self._walk.begin(i, name, build)
        self._begun = True
        return self._walk.features(), self._infos(np.zeros(self.num_envs, np.bool_))

    def step(self, actions: Any) -> tuple[Rows, Floats, Flags, Flags, dict[str, Any]]:
        """Play one index in each conversation."""
        self._ready()
        index = self._checked(actions)
        # What is made new in a step is kept, or lives as long as its conversation: a search for garbage finds nothing.
        searching = gc.isenabled()
        gc.disable()
        try:
            return self._step(index)
        finally:
            if searching:
                gc.enable()

    def action_masks(self) -> Flags:
        """Which templates are allowed now: a row for each conversation."""
        self._ready()
        return self._walk.masks()

    def snapshot(self) -> dict[str, Any]:
        """Where all conversations and their streams of scenes stand, as plain data that can be pickled."""
        self._ready()
        if self._answers:
            raise BadArgument(
                "snapshot() tells of each conversation what was played, and a customer=... of your own may answer "
                "otherwise when it is played again: go on with this object, or with customer='agenda'."
            )
        walk = self._walk
        talks = [
            {
                "scene": self._own[i] or walk.scenes[i].name,
                "played": walk.played[i, : walk.turns[i]].tolist(),
                "return": float(walk.totals[i]),
                "generator": copy.deepcopy(env.np_random.bit_generator.state),
            }
            for i, env in enumerate(self.envs)
        ]
        return {"format": FORMAT, "env": self.envs[0].parts.name, "talks": talks}

    def restore(self, data: Mapping[str, Any]) -> Rows:
        """Go on from a snapshot, of this object or of one like it in another process; back come the features."""
        talks = self._talks(data)
        found = [self.envs[i].next_scene(None, {"scene": talk["scene"]}) for i, talk in enumerate(talks)]
        self._begun = False  # until all of them stand where they stood
        for i, (talk, (name, build)) in enumerate(zip(talks, found, strict=True)):
            self._walk.begin(i, name, build)
            self._own[i] = _own_scene(talk)
            turns, limit = len(talk["played"]), self._walk.limits[i]
            if turns >= limit:
                raise BadArgument(f"restore() got turn {turns}: here a conversation ends after {limit} turns.")
            self._walk.follow(i, talk["played"], talk["return"])
            self.envs[i].np_random = generator_in(self.envs[i].np_random, talk["generator"])
        self._begun = True
        return self._walk.features()

    def close_extras(self, **kwargs: Any) -> None:
        """Close each conversation."""
        for env in self.envs:
            env.close()

    def _walk_for(self, reward: Reward | None, max_turns: int | None) -> Walk:
        """How the conversations are played: word by word only where somebody heeds the words."""
        if self._answers or (reward is not None and reward.extra):
            return Spoken(self.envs, self.catalogue, max_turns)
        return Wordless(self.num_envs, self.envs[0].parts, self.catalogue, reward or Reward(), max_turns)

    def _step(self, index: Indices) -> tuple[Rows, Floats, Flags, Flags, dict[str, Any]]:
        rewards, terminated, truncated, won = self._walk.advance(index)
        infos = self._infos(won)
        ended = np.flatnonzero(terminated | truncated).tolist()
        if ended:
            infos |= self._begin_next(ended, won)
        return self._walk.features(), rewards, terminated, truncated, infos

    def _begin_next(self, ended: list[int], won: Flags) -> dict[str, Any]:
        """Begin the next conversation where one has ended; what is told of the last one goes to where users look."""
        walk, mask = self._walk, mask_of(ended, self.num_envs)
        names = [walk.scenes[i].name for i in ended]
        last: dict[str, Any] = {
            "is_success": won & mask,
            "return": np.where(mask, walk.totals, 0.0),
            "turns": np.where(mask, walk.turns, 0),
            "scene": spread(names, ended, self.num_envs, object),
        }
        last |= {f"_{key}": mask.copy() for key in last}
        final = {"final_obs": walk.features(), "_final_obs": mask, "final_info": last, "_final_info": mask.copy()}
        for i in ended:
            walk.begin(i, *self.envs[i].next_scene())
            self._own[i] = None
        return final

    def _infos(self, won: Flags) -> dict[str, Any]:
        return {"is_success": won, "_is_success": np.ones(self.num_envs, np.bool_)}

    def _ready(self) -> None:
        if not self._begun:
            raise ResetNeeded(f"{self.envs[0].parts.name}: the conversations have not begun; call reset() first.")

    def _checked(self, actions: Any) -> Indices:
        """The indices, all of them right: else nothing is played."""
        size, width = self.num_envs, len(self.action_names)
        index = _integers(actions)
        if index is None or index.shape != (size,):
            raise self._wrong(actions)
        if index.view(np.uintp).max() >= width:  # a negative one is a large one there
            raise self._wrong(index.tolist())
        if self._strict:
            allowed = self._walk.masks()[np.arange(size), index]
            if not allowed.all():
                i = int(allowed.argmin())
                name = self.action_names[index[i]]
                raise InvalidAction(
                    f"Conversation {i}: template {index[i]} ({name}) is masked, and on_invalid='raise' asks to be told "
                    "so. action_masks() tells which are allowed."
                )
        return index

    def _wrong(self, actions: Any) -> BadArgument | InvalidAction:
        """What is wrong with these actions."""
        size = self.num_envs
        if isinstance(actions, str | bytes | Mapping) or not hasattr(actions, "__len__") or len(actions) != size:
            return BadArgument(f"step() takes one index for each of {size} conversations, not {actions!r}.")
        for i, action in enumerate(actions):
            try:
                self.catalogue.index(action)
            except InvalidAction as error:
                return InvalidAction(f"Conversation {i}: {error}")
        return BadArgument(f"step() takes a one-dimensional array or a list of whole numbers, not {actions!r}.")

    def _options(self, options: dict[str, Any]) -> list[dict[str, Any] | None]:
        """The options of each conversation."""
        scene = options.get("scene")
        if not isinstance(scene, list | tuple):
            return [options or None] * self.num_envs
        if len(scene) != self.num_envs:
            raise BadArgument(
                f"options['scene'] lists {len(scene)} scenes for {self.num_envs} conversations: give one each, or a "
                "single one for all."
            )
        return [{**options, "scene": each} for each in scene]

    def _talks(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The conversations of a snapshot, which must be of as many, of this environment."""
        name = self.envs[0].parts.name
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise BadArgument(f"restore() got {data!r}: give what snapshot() returned in this version.")
        if data["env"] != name or len(data["talks"]) != self.num_envs:
            given = f"{len(data['talks'])} conversations of {data['env']}"
            raise BadArgument(f"restore() got {given}: here are {self.num_envs} of {name}; make an object like it.")
        talks: list[dict[str, Any]] = data["talks"]
        width = len(self.action_names)
        for talk in talks:
            if not all(0 <= index < width for index in talk["played"]):
                raise BadArgument(
                    f"restore(): the snapshot plays {talk['played']}, and the catalogue has {width} templates: restore "
                    "it in the version that took it."
                )
        return talks


def _own_scene(options: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy of the scene that is a user's own, where it is one."""
    scene = (options or {}).get("scene")
    return copy.deepcopy(scene) if isinstance(scene, dict) else None


def _integers(actions: Any) -> Indices | None:
    """The actions as an array of integers, if they are that."""
    try:
        array = np.asarray(actions)
    except ValueError:  # lists of different lengths
        return None
    return array.astype(np.intp, copy=False) if array.dtype.kind in "iu" else None

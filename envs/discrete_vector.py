"""Many conversations at once through the discrete view: arrays of indices in, arrays of features out."""

from __future__ import annotations

import copy
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..rewards.terms import Reward
from .catalogue import Catalogue
from .conversation import ConversationEnv, generator_in
from .discrete import catalogue_of
from .errors import BadArgument, InvalidAction
from .numbered_vector import NumberedVectorEnv, Options
from .spoken import Spoken
from .vector import crew
from .walk import Flags, Floats, Indices, Rows, Walk
from .wordless import Wordless


class DiscreteVectorEnv(NumberedVectorEnv):
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

    snapshot_format = 1
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
        super().__init__(env_class.parts.name, catalogue or catalogue_of(env_class), num_envs)
        self._strict = arguments.get("on_invalid") == "raise"
        self._answers = arguments.get("customer", "agenda") != "agenda"
        self._walk = self._walk_for(arguments.get("reward"), arguments.get("max_turns"))
        self._own: list[dict[str, Any] | None] = [None] * num_envs
        """The scenes that are a user's own."""

    def step(self, actions: Any) -> tuple[Rows, Floats, Flags, Flags, dict[str, Any]]:
        """Play one index in each conversation."""
        index = self._checked(actions)
        # What is made new in a step is kept, or lives as long as its conversation: a search for garbage finds nothing.
        searching = gc.isenabled()
        gc.disable()
        try:
            return self._step(index)
        finally:
            if searching:
                gc.enable()

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
        return {"format": self.snapshot_format, "env": self.env_name, "talks": talks}

    def restore(self, data: Mapping[str, Any]) -> Rows:
        """Go on from a snapshot, of this object or of one like it in another process; back come the features."""
        talks = self._talks(data)
        found = [self.envs[i].next_scene(None, {"scene": talk["scene"]}) for i, talk in enumerate(talks)]
        self._begun = False  # until all of them stand where they stood
        for i, (talk, (name, build)) in enumerate(zip(talks, found, strict=True)):
            self._walk.begin(i, name, build)
            self._own[i] = _own_scene(talk)
            self._check_turn(len(talk["played"]), int(self._walk.limits[i]))
            self._walk.follow(i, talk["played"], talk["return"])
            self.envs[i].np_random = generator_in(self.envs[i].np_random, talk["generator"])
        self._begun = True
        return self._shown()

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
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            infos |= self._begin_next(ended, won)
        return self._shown(), rewards, terminated, truncated, infos

    def _begin_next(self, ended: Indices, won: Flags) -> dict[str, Any]:
        """Begin the next conversation where one has ended; back comes what is told of the last one."""
        walk = self._walk
        names, last = [walk.scenes[i].name for i in ended.tolist()], walk.features()[ended]
        final = self._final(ended, names, last, won, walk.totals, walk.turns)
        for i in ended.tolist():
            walk.begin(i, *self.envs[i].next_scene())
            self._own[i] = None
        return final

    def _begin_some(self, where: Sequence[int], seeds: Sequence[int | None], options: list[Options]) -> None:
        found = [(i, *self.envs[i].next_scene(seeds[i], options[i])) for i in where]
        for i, name, build in found:
            self._own[i] = _own_scene(options[i])
            self._walk.begin(i, name, build)

    def _shown(self) -> Rows:
        return self._walk.features()

    def _allowed(self) -> Flags:
        return self._walk.masks()

    def _checked(self, actions: Any) -> Indices:
        index = super()._checked(actions)
        if self._strict:
            allowed = self._walk.masks()[np.arange(self.num_envs), index]
            if not allowed.all():
                i = int(allowed.argmin())
                name = self.action_names[index[i]]
                raise InvalidAction(
                    f"Conversation {i}: template {index[i]} ({name}) is masked, and on_invalid='raise' asks to be told "
                    "so. action_masks() tells which are allowed."
                )
        return index

    def _talks(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The conversations of a snapshot, which must be of as many, of this environment."""
        self._check_snapshot(data, "talks")
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

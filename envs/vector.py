"""Many conversations at once, in one process: Gymnasium's vector API without its copies and its merging of infos."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .conversation import ConversationEnv, Observation
from .errors import BadArgument, ResetNeeded
from .memory import Fact
from .turns import Turn
from .vector_infos import Mask, batch_infos, mask_of, spread

Observations = tuple[Observation, ...]


class ConversationVectorEnv(VectorEnv[Observations, Sequence[Any], npt.NDArray[Any]]):
    """`num_envs` conversations, played one after the other; `gym.make_vec(id, num_envs=n)` makes it.

    What comes out equals `SyncVectorEnv(..., autoreset_mode=SAME_STEP)` of the same environments. Actions are a
    sequence with one text, dict or Struct for each conversation. A conversation that ends begins anew within the same
    step: its last observation and info are in `infos["final_obs"]` and `infos["final_info"]`.
    """

    metadata: dict[str, Any] = {**ConversationEnv.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
    env_class: ClassVar[type[ConversationEnv]]
    envs: tuple[ConversationEnv, ...] = ()  # for a closing after an __init__ that raised

    def __init__(self, num_envs: int = 1, **env_kwargs: Any) -> None:
        self.envs = crew(self.env_class, num_envs, env_kwargs)
        first = self.envs[0]
        self.num_envs = num_envs
        self.render_mode = first.render_mode
        self.single_action_space = first.action_space
        self.single_observation_space = first.observation_space
        self.action_space = batch_space(first.action_space, num_envs)
        self.observation_space = batch_space(first.observation_space, num_envs)
        self._begun = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin anew: `seed` gives conversation i `seed + i`, or lists a seed for each.

        `options["reset_mask"]`, a boolean array, says which conversations begin anew; the others stay as they are.
        The other options go to each conversation.
        """
        seeds = seeds_of(seed, self.num_envs)
        options = dict(options or {})
        where = chosen_by(options.pop("reset_mask", None), self.num_envs, self._begun)
        turns, facts = [], []
        for i in where:
            turns.append(self.envs[i].begin(seeds[i], options or None))
            facts.append(turns[-1].facts)
        self._begun = True
        return tuple(env.observe() for env in self.envs), batch_infos(turns, facts, where, self.num_envs)

    def step(self, actions: Sequence[Any]) -> tuple[Observations, npt.NDArray[np.float64], Mask, Mask, dict[str, Any]]:
        """Play one action in each conversation."""
        size = self.num_envs
        if isinstance(actions, str | dict) or len(actions) != size:
            raise BadArgument(f"step() takes one action for each of {size} conversations, not {actions!r}.")
        # A step's results are as many objects as the last step's, which go as soon as the caller lets go of them. A
        # search for garbage before that finds nothing and costs as much again; nothing is made from here to there.
        searching = gc.isenabled()
        gc.disable()
        try:
            return self._step(actions)
        finally:
            if searching:
                gc.enable()

    def render(self) -> tuple[Any, ...]:
        """The frame of each conversation."""
        return tuple(env.render() for env in self.envs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the method `name` of each conversation, or get that attribute."""
        found = [env.get_wrapper_attr(name) for env in self.envs]
        return tuple(item(*args, **kwargs) if callable(item) else item for item in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute `name` of each conversation."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set the attribute `name` of each conversation; a list or tuple has a value for each."""
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            count = f"{len(each)} values for {self.num_envs} conversations"
            raise ValueError(f"set_attr({name!r}) got {count}: give one each, or a single value for all.")
        for env, value in zip(self.envs, each, strict=True):
            env.set_wrapper_attr(name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Close each conversation."""
        for env in self.envs:
            env.close()

    def _step(self, actions: Sequence[Any]) -> tuple[Observations, npt.NDArray[np.float64], Mask, Mask, dict[str, Any]]:
        size = self.num_envs
        turns = [env.advance(action) for env, action in zip(self.envs, actions, strict=True)]
        observations = [env.observe() for env in self.envs]
        facts = [turn.facts for turn in turns]
        rewards, terminations, truncations = np.zeros(size), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        ended = []
        for i, turn in enumerate(turns):
            if not turn.plain:
                rewards[i], terminations[i], truncations[i] = turn.reward, turn.terminated, turn.truncated
                if turn.over:
                    ended.append(i)
        final = self._begin_next(ended, observations, turns, facts) if ended else {}
        infos = batch_infos(turns, facts, range(size), size)
        infos.update(final)
        return tuple(observations), rewards, terminations, truncations, infos

    def _begin_next(
        self, ended: list[int], observations: list[Observation], turns: list[Turn], facts: list[list[Fact]]
    ) -> dict[str, Any]:
        """Begin the next conversation where one has ended; the last observations and infos go to where users look."""
        size, mask, last = self.num_envs, mask_of(ended, self.num_envs), [turns[i] for i in ended]
        final_obs = spread([observations[i] for i in ended], ended, size, object)
        final_info = batch_infos(last, [facts[i] for i in ended], ended, size)
        for i in ended:
            turns[i] = self.envs[i].begin()
            observations[i], facts[i] = self.envs[i].observe(), turns[i].facts
        return {"final_obs": final_obs, "_final_obs": mask, "final_info": final_info, "_final_info": mask.copy()}


def crew(env_class: type[ConversationEnv], num_envs: int, arguments: dict[str, Any]) -> tuple[ConversationEnv, ...]:
    """As many environments as are to be played at once, with one pool of scenes for all."""
    if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
        raise BadArgument(f"num_envs={num_envs!r} must be a whole number from 1 up.")
    if "max_episode_steps" in arguments:
        limit = arguments["max_episode_steps"]
        raise BadArgument(f"max_episode_steps={limit!r} is not known here: give max_turns={limit!r}.")
    first = env_class(**arguments)
    # The pool is drawn from and never changed: one serves all, however long the list of scenes.
    others = [env_class(**{**arguments, "scenes": None}) for _ in range(num_envs - 1)]
    for env in others:
        env.pool = first.pool
    return (first, *others)


def seeds_of(seed: int | Sequence[int | None] | None, size: int) -> Sequence[int | None]:
    """The seed of each conversation."""
    if seed is None:
        return [None] * size
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(size)]
    if len(seed) != size:
        count = f"{len(seed)} seeds for {size} conversations"
        raise ValueError(f"reset(seed=...) lists {count}: give one each, or a single seed for all.")
    return seed


def chosen_by(mask: Any, size: int, begun: bool) -> Sequence[int]:
    """The conversations that a reset begins anew."""
    if mask is None:
        return range(size)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (size,) or not mask.any():
        wanted = f"a boolean NumPy array of shape ({size},) with a True in it"
        raise BadArgument(f"options['reset_mask']={mask!r} must be {wanted}.")
    if not begun and not mask.all():
        raise ResetNeeded("options['reset_mask'] leaves out conversations that never began: reset all of them first.")
    found: list[int] = np.flatnonzero(mask).tolist()
    return found

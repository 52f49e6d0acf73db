"""Many conversations at once, in one process: Gymnasium's vector API without the copies and the merging of infos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .conversation import ConversationEnv, Observation
from .errors import BadArgument

Mask = npt.NDArray[np.bool_]
Observations = tuple[Observation, ...]
Infos = Sequence[dict[str, Any]]


class ConversationVectorEnv(VectorEnv[Observations, Sequence[Any], npt.NDArray[Any]]):
    """`num_envs` conversations, played one after the other; `gym.make_vec(id, num_envs=n)` makes it.

    What comes out equals `SyncVectorEnv(..., autoreset_mode=SAME_STEP)` of the same environments. Actions are a sequence
    with one text, dict or Struct for each conversation. A conversation that ends begins anew within the same step: its last
    observation and info are in `infos["final_obs"]` and `infos["final_info"]`.
    """

    metadata: dict[str, Any] = {**ConversationEnv.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
    env_class: ClassVar[type[ConversationEnv]]

    def __init__(self, num_envs: int = 1, **env_kwargs: Any) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise BadArgument(f"num_envs={num_envs!r} must be a whole number from 1 up.")
        if "max_episode_steps" in env_kwargs:
            limit = env_kwargs["max_episode_steps"]
            raise BadArgument(f"max_episode_steps={limit!r} is not known here: the turn limit is max_turns={limit!r}.")
        first = self.env_class(**env_kwargs)
        # The pool is drawn from and never changed: one serves all, however long the list of scenes.
        others = [self.env_class(**{**env_kwargs, "scenes": None}) for _ in range(num_envs - 1)]
        for env in others:
            env.pool = first.pool
        self.envs: tuple[ConversationEnv, ...] = (first, *others)
        self.num_envs = num_envs
        self.render_mode = first.render_mode
        self.single_action_space = first.action_space
        self.single_observation_space = first.observation_space
        self.action_space = batch_space(first.action_space, num_envs)
        self.observation_space = batch_space(first.observation_space, num_envs)
        self._begun = False

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generators of the conversations."""
        return tuple(env.np_random for env in self.envs)

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seeds of the conversations."""
        return tuple(env.np_random_seed for env in self.envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin anew: `seed` gives conversation i `seed + i`, or lists a seed for each.

        `options["reset_mask"]`, a boolean array, says which conversations begin anew; all others stay as they are. The other
        options go to each conversation.
        """
        seeds = self._seeds(seed)
        options = dict(options or {})
        where = self._chosen(options.pop("reset_mask", None))
        infos = [self.envs[i].reset(seed=seeds[i], options=options or None)[1] for i in where]
        self._begun = True
        observations = tuple(env._observe() for env in self.envs)
        return observations, batch_infos(infos, where, self.num_envs)

    def step(self, actions: Sequence[Any]) -> tuple[Observations, npt.NDArray[np.float64], Mask, Mask, dict[str, Any]]:
        """Play one action in each conversation."""
        if isinstance(actions, str | dict) or len(actions) != self.num_envs:
            raise BadArgument(
                f"step() takes one action for each of the {self.num_envs} conversations, not {actions!r}."
            )
        rows = [env.step(action) for env, action in zip(self.envs, actions, strict=True)]
        observations, rewards, terminations, truncations, infos = zip(*rows, strict=True)
        terminated, truncated = np.array(terminations, dtype=np.bool_), np.array(truncations, dtype=np.bool_)
        ended = np.flatnonzero(terminated | truncated).tolist()
        final: dict[str, Any] = {}
        if ended:
            final = final_infos(ended, observations, infos)
            observations, infos = self._begin_next(ended, observations, infos)
        batch = batch_infos(infos, range(self.num_envs), self.num_envs)
        return observations, np.array(rewards, dtype=np.float64), terminated, truncated, batch | final

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
        """Set the attribute `name` of each conversation: a list or tuple has a value for each."""
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(
                f"set_attr({name!r}) got {len(each)} values for {self.num_envs} conversations: give one each."
            )
        for env, value in zip(self.envs, each, strict=True):
            env.set_wrapper_attr(name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Close each conversation."""
        for env in self.envs:
            env.close()

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(
                f"reset(seed=...) lists {len(seed)} seeds for {self.num_envs} conversations: give one each."
            )
        return seed

    def _chosen(self, mask: Any) -> Sequence[int]:
        """The conversations that a reset begins anew."""
        if mask is None:
            return range(self.num_envs)
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != np.bool_
            or mask.shape != (self.num_envs,)
            or not mask.any()
        ):
            raise BadArgument(
                f"options['reset_mask']={mask!r} must be a boolean NumPy array of shape ({self.num_envs},) with a True in it."
            )
        if not self._begun and not mask.all():
            raise ResetNeeded(
                "options['reset_mask'] leaves conversations as they are, but none has begun: reset all first."
            )
        chosen: list[int] = np.flatnonzero(mask).tolist()
        return chosen

    def _begin_next(self, ended: Sequence[int], observations: Observations, infos: Infos) -> tuple[Observations, Infos]:
        """The observations and infos of a step, those of the ended conversations replaced by their next beginnings."""
        shown, told = list(observations), list(infos)
        for i in ended:
            shown[i], told[i] = self.envs[i].reset()
        return tuple(shown), told


def final_infos(ended: Sequence[int], observations: Observations, infos: Infos) -> dict[str, Any]:
    """The last observations and infos of the conversations that ended."""
    size = len(infos)
    last = {"final_obs": _column([observations[i] for i in ended], ended, size), "_final_obs": _mask(ended, size)}
    return last | {
        "final_info": batch_infos([infos[i] for i in ended], ended, size),
        "_final_info": _mask(ended, size),
    }


def batch_infos(infos: Infos, where: Sequence[int], size: int) -> dict[str, Any]:
    """The infos of the conversations `where`, of `size` in all, as Gymnasium batches them.

    Each key has an array, and a mask under the key with an underscore; a dict is batched in the same way. An info has the
    same keys with the same types at every step, and so have the arrays: bool, int and float, and object for all else.
    """
    batch: dict[str, Any] = {}
    mask = _mask(where, size)
    for key in infos[0]:
        values = [info[key] for info in infos]
        nested = values[0].__class__ is dict
        batch[key] = batch_infos(values, where, size) if nested else _column(values, where, size)
        batch[f"_{key}"] = mask.copy()
    return batch


def _column(values: Sequence[Any], where: Sequence[int], size: int) -> npt.NDArray[Any]:
    kind = values[0].__class__
    dtype = np.dtype(kind if kind in (bool, int, float) else object)
    # Not np.array(values): lists of one length would become a table.
    column = np.fromiter(values, dtype, len(values))
    if len(values) == size:
        return column
    spread = np.full(size, None, dtype) if dtype == object else np.zeros(size, dtype)
    spread[where] = column
    return spread


def _mask(where: Sequence[int], size: int) -> Mask:
    if len(where) == size:
        return np.ones(size, dtype=np.bool_)
    mask = np.zeros(size, dtype=np.bool_)
    mask[where] = True
    return mask

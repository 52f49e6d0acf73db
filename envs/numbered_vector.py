"""What the vector environments with numbered actions have in common: what they take, and what they tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .catalogue import Catalogue, Numbered
from .errors import BadArgument, InvalidAction, ResetNeeded
from .vector import chosen_by, seeds_of
from .walk import Flags, Floats, Indices, Rows

Options = dict[str, Any] | None


class NumberedVectorEnv(Numbered, VectorEnv[Rows, Any, Any], ABC):
    """`num_envs` conversations: arrays of indices in, arrays of features out.

    A conversation that ends begins anew within the same step, and is told of as `SyncVectorEnv` does: its last
    features stand in `infos["final_obs"]`, an array of objects that holds None for those that go on.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
    snapshot_format: ClassVar[int | str]
    """The version of what `snapshot` gives."""

    def __init__(self, name: str, catalogue: Catalogue, num_envs: int) -> None:
        self.env_name, self.catalogue, self.num_envs = name, catalogue, num_envs
        self.single_action_space = gymnasium.spaces.Discrete(len(self.action_names))
        self.single_observation_space = gymnasium.spaces.Box(0, 1, (len(self.feature_names),), np.float32)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._begun = False

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
        self._begin_some(where, seeds, self._each(options))
        self._begun = True
        return self._shown(), self._infos(np.zeros(self.num_envs, np.bool_))

    def action_masks(self) -> Flags:
        """Which templates are allowed now: a row for each conversation."""
        self._ready()
        return self._allowed()

    @abstractmethod
    def _begin_some(self, where: Sequence[int], seeds: Sequence[int | None], options: list[Options]) -> None:
        """Begin the conversations `where` anew, each with its seed and its options; or raise."""

    @abstractmethod
    def _shown(self) -> Rows:
        """The features of each conversation, in an array of their own."""

    @abstractmethod
    def _allowed(self) -> Flags:
        """The mask of each conversation, in an array of their own."""

    def _ready(self) -> None:
        if not self._begun:
            raise ResetNeeded(f"{self.env_name}: the conversations have not begun; call reset() first.")

    def _infos(self, won: Flags) -> dict[str, Any]:
        return {"is_success": won, "_is_success": np.ones(self.num_envs, np.bool_)}

    def _final(
        self, ended: Indices, names: Sequence[str], last_seen: Rows, won: Flags, totals: Floats, turns: Indices
    ) -> dict[str, Any]:
        """What is told of the conversations that have ended, where users look for it."""
        mask = np.zeros(self.num_envs, np.bool_)
        mask[ended] = True
        last: dict[str, Any] = {
            "is_success": won & mask,
            "return": np.where(mask, totals, 0.0),
            "turns": np.where(mask, turns, 0),
            "scene": self._objects(names, ended),
        }
        last |= {f"_{key}": mask.copy() for key in last}
        features = self._objects(last_seen, ended)
        return {"final_obs": features, "_final_obs": mask, "final_info": last, "_final_info": mask.copy()}

    def _objects(self, values: Iterable[Any], where: Indices) -> npt.NDArray[Any]:
        """The values, at `where`, among None: placed all at once, since thousands may end in a step."""
        whole = np.full(self.num_envs, None, object)
        whole[where] = np.fromiter(values, object, len(where))
        return whole

    def _checked(self, actions: Any) -> Indices:
        """The indices, all of them right: else nothing is played."""
        self._ready()
        index = _integers(actions)
        if index is None or index.shape != (self.num_envs,):
            raise self._wrong(actions)
        if index.view(np.uintp).max() >= len(self.action_names):  # a negative one is a large one there
            raise self._wrong(index.tolist())
        return index

    def _wrong(self, actions: Any) -> BadArgument | InvalidAction:
        """What is wrong with these actions."""
        size = self.num_envs
        if isinstance(actions, str | bytes | Mapping) or _length(actions) != size:
            return BadArgument(f"step() takes one index for each of {size} conversations, not {actions!r}.")
        for i, action in enumerate(actions):
            try:
                self.catalogue.index(action)
            except InvalidAction as error:
                return InvalidAction(f"Conversation {i}: {error}")
        return BadArgument(f"step() takes a one-dimensional array or a list of whole numbers, not {actions!r}.")

    def _each(self, options: dict[str, Any]) -> list[Options]:
        """The options of each conversation."""
        if options.keys() - {"scene"}:
            raise BadArgument(f"reset(options=...) holds {sorted(options)}: only 'scene' and 'reset_mask' are known.")
        scene = options.get("scene")
        if not isinstance(scene, list | tuple | np.ndarray):
            return [options or None] * self.num_envs
        if len(scene) != self.num_envs:
            raise BadArgument(
                f"options['scene'] lists {len(scene)} scenes for {self.num_envs} conversations: give one each, or a "
                "single one for all."
            )
        return [{"scene": each} for each in scene]

    def _check_snapshot(self, data: Any, each: str) -> None:
        """Refuse what is no snapshot of as many conversations of this environment; `each` has an entry for each."""
        kind = data.get("format") if isinstance(data, Mapping) else None
        if not isinstance(kind, str | int) or kind != self.snapshot_format:
            given = repr(data) if kind is None else f"format {kind!r}, and {self.snapshot_format!r} is wanted"
            raise BadArgument(f"restore() got {given}: give what snapshot() returned in this version.")
        if (data.get("env"), len(data.get(each, ()))) != (self.env_name, self.num_envs):
            given = f"{len(data.get(each, ()))} conversations of {data.get('env')}"
            raise BadArgument(
                f"restore() got {given}: here are {self.num_envs} of {self.env_name}; make an object like it."
            )

    def _check_turn(self, turn: int, limit: int) -> None:
        """Refuse a turn of a snapshot that no conversation here comes to."""
        if turn >= limit:
            raise BadArgument(f"restore() got turn {turn}: here a conversation ends after {limit} turns.")


def _length(actions: Any) -> int:
    """How many actions there are; -1 where it is no list of them."""
    try:
        return len(actions)
    except TypeError:
        return -1


def _integers(actions: Any) -> Indices | None:
    """The actions as an array of integers, if they are that."""
    try:
        array = np.asarray(actions)
    except ValueError:  # lists of different lengths
        return None
    return array.astype(np.intp, copy=False) if array.dtype.kind in "iu" else None

"""Our vector environments as stable-baselines3 wants them: it has a vector API of its own, older than Gymnasium's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from ..envs.errors import BadArgument

Indices = int | Iterable[int] | None
Stepped = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]]
MASKS = "action_masks"
"""What sb3-contrib asks an environment for."""


class Conversations(VecEnv):
    """The conversations of a vector environment on the discrete view, or on tables.

    What comes out equals `DummyVecEnv` of the same conversations, each in a `Monitor`, where it says anything: the info
    of a conversation that goes on is empty, and that of one that ends holds what stable-baselines3 looks for.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env: Any = env
        self.ended = 0
        """How many conversations have ended."""
        self._started = time.monotonic()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> npt.NDArray[np.float32]:
        """Begin all conversations anew, with the seeds and the options that were given."""
        options = self._options[0]
        if any(each != options for each in self._options):
            raise BadArgument(f"set_options({self._options!r}) tells conversations apart: give all of them the same.")
        features, _ = self.env.reset(seed=self._seeds, options=options or None)
        self._reset_seeds()
        self._reset_options()
        found: npt.NDArray[np.float32] = features
        return found

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Take the actions of a step."""
        self._actions = actions

    def step_wait(self) -> Stepped:
        """Play them."""
        features, rewards, terminations, truncations, infos = self.env.step(self._actions)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if "final_info" in infos:
            self._tell(told, terminations, truncations, infos)
        return features, rewards.astype(np.float32), terminations | truncations, told

    def _tell(
        self,
        told: list[dict[str, Any]],
        terminations: npt.NDArray[np.bool_],
        truncations: npt.NDArray[np.bool_],
        infos: dict[str, Any],
    ) -> None:
        """Tell of the conversations that have ended what `Monitor` tells, and how they looked at the end."""
        last, seconds = infos["final_info"], round(time.monotonic() - self._started, 6)
        for i in np.flatnonzero(infos["_final_info"]):
            told[i]["episode"] = {"r": round(float(last["return"][i]), 6), "l": int(last["turns"][i]), "t": seconds}
            told[i]["is_success"] = bool(last["is_success"][i])
            told[i]["terminal_observation"] = infos["final_obs"][i]
            told[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
            self.ended += 1

    def snapshot(self) -> dict[str, Any]:
        """All that is needed to go on from here, as plain data."""
        return {"env": self.env.snapshot(), "ended": self.ended}

    def restore(self, snapshot: dict[str, Any]) -> npt.NDArray[np.float32]:
        """Go on from a snapshot."""
        self.ended = snapshot["ended"]
        features: npt.NDArray[np.float32] = self.env.restore(snapshot["env"])
        return features

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of the vector environment, for each conversation."""
        found = getattr(self.env, attr_name)
        return [found for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of the vector environment: they all share it."""
        if indices is not None and len({*self._get_indices(indices)}) < self.num_envs:
            raise BadArgument(
                f"set_attr({attr_name!r}, indices={indices!r}) is for some conversations, and they all share what is "
                "set: leave indices out."
            )
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """What each conversation answers; they can be asked for their `action_masks`."""
        if method_name != MASKS:
            raise AttributeError(f"Conversations have no method {method_name!r} each: they have {MASKS!r}.")
        masks = self.env.action_masks(*method_args, **method_kwargs)
        return [masks[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Indices = None) -> list[bool]:
        """Whether they count as wrapped: they tell of their episodes what a `Monitor` would."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

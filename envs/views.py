"""The views of an environment: what `gym.make_vec(id, num_envs=n, view=...)` makes."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import VectorEnv

from .errors import one_of
from .vector import ConversationVectorEnv

VIEWS = ("json", "discrete", "tabular")


def viewed(
    vector: type[ConversationVectorEnv], num_envs: int = 1, view: str = "json", **arguments: Any
) -> VectorEnv[Any, Any, Any]:
    """Many conversations: with JSON actions, with numbered ones (docs/discrete.md), or in tables (docs/tabular.md)."""
    one_of("view", view, VIEWS)
    if view == "discrete":
        from .discrete_vector import DiscreteVectorEnv

        return DiscreteVectorEnv(vector.env_class, num_envs, **arguments)
    if view == "tabular":
        from .tabular_vector import TabularVectorEnv

        return TabularVectorEnv(vector.env_class, num_envs, **arguments)
    return vector(num_envs, **arguments)

"""Policies: who plays the agent's part, by name or by class."""

from .base import Policy, Remembering
from .registry import make, names
from .rollout import Episode, rollout

__all__ = ["Episode", "Policy", "Remembering", "make", "names", "rollout"]

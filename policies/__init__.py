"""Policies: who plays the agent's part, by name or by class."""

from .base import Policy, Remembering, Usage
from .evaluation import compare, evaluate
from .registry import make, names
from .rollout import Episode, rollout

__all__ = ["Episode", "Policy", "Remembering", "Usage", "compare", "evaluate", "make", "names", "rollout"]

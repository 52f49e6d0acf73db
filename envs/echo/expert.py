"""The scripted expert of Echo."""

from __future__ import annotations

from ..memory import Memory
from .actions import Say


def act(memory: Memory) -> Say:
    """Say the word that was asked for."""
    return Say(word=memory.person["word"])

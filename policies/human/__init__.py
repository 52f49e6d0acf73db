"""A person plays the agent, in a terminal."""

from .game import Human, Quit
from .play import play

__all__ = ["Human", "Quit", "play"]

"""What a wrong use shows: the test's own line and the message, and not the code that found it out."""

from __future__ import annotations

import traceback
from pathlib import Path

import gymnasium

import stateset_gym
from stateset_gym.envs.errors import BadArgument, BadScene

WRONG = (BadArgument, BadScene, gymnasium.error.Error)
"""What comes of arguments that mean nothing."""
OURS = tuple(Path(str(module)).resolve().parent for module in (__file__, stateset_gym.__file__, gymnasium.__file__))


def shortened(error: Exception) -> Exception:
    """An error about arguments without the frames that led to it; one that a user's code has raised, as it is."""
    frames = (Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__))
    if all(any(file.resolve().is_relative_to(folder) for folder in OURS) for file in frames):
        return error.with_traceback(None)
    return error

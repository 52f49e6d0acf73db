"""Trainers: what makes a policy better at an environment, by name."""

from .base import Config, Trainer, about, find, make, names, resume
from .folder import Folder, Share, Summary
from .settings import read
from .telling import Callback, Event, Told

__all__ = [
    "Callback",
    "Config",
    "Event",
    "Folder",
    "Share",
    "Summary",
    "Told",
    "Trainer",
    "about",
    "find",
    "make",
    "names",
    "read",
    "resume",
]

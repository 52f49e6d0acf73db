"""The environments, the engine they share, and the space of JSON values."""

from .conversation import ConversationEnv, Snapshot
from .errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from .memory import Memory
from .scenes import SceneName, ScenePool
from .spaces import JSON

__all__ = [
    "JSON",
    "BadArgument",
    "BadScene",
    "ConversationEnv",
    "InvalidAction",
    "Memory",
    "ResetNeeded",
    "SceneName",
    "ScenePool",
    "Snapshot",
]

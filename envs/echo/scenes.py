"""Scenes of Echo: the words that are asked for, one a round."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ..chance import block, paired
from ..errors import BadScene
from ..scenes import SceneName

WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron",
    "ivory", "jetty", "kayak", "lilac", "maple", "north", "ocean", "pearl",
)  # fmt: skip
ASKS = ("please say", "now say", "say", "repeat", "kindly say", "let me hear", "tell me", "speak")
ROUNDS = {"easy": 1, "normal": 2, "hard": 3}
CYCLES = dict.fromkeys(ROUNDS, ("echo",))
EASY = 4
"""How many words and ways of asking the easy scenes know."""


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words to be said, and how each is asked for."""

    words: tuple[str, ...]
    asks: tuple[str, ...]
    name: str = "own"
    kind: str = "echo"

    @property
    def par(self) -> int:
        """A flawless conversation takes a turn for each word."""
        return len(self.words)

    @property
    def limit(self) -> int:
        """The turns a scene has unless `max_turns` says otherwise."""
        return len(self.words)


def build(name: str) -> Scene:
    """The scene of a name."""
    parts = SceneName.parse(name)
    easy = parts.difficulty == "easy"
    sizes = (EASY, EASY) if easy else (len(ASKS), len(WORDS))
    draws = block(name, "rounds")
    pairs = [
        paired(draws[2 * turn], draws[2 * turn + 1], sizes, parts.split == "test", easy)
        for turn in range(ROUNDS[parts.difficulty])
    ]
    return Scene(tuple(WORDS[word] for _, word in pairs), tuple(ASKS[ask] for ask, _ in pairs), name)


def load(data: dict[str, Any]) -> Scene:
    """A user's own scene: `{"words": [...], "asks": [...]}`, as many asks as words."""
    try:
        scene = msgspec.convert(data, Scene)
    except msgspec.ValidationError as error:
        raise BadScene(
            f"This is no Echo scene: {error}. It reads like {{'words': ['amber'], 'asks': ['say']}}."
        ) from None
    if not scene.words or len(scene.words) != len(scene.asks):
        raise BadScene(
            f"An Echo scene asks once for each word, not {len(scene.asks)} times for {len(scene.words)} words."
        )
    digest = hashlib.blake2b(msgspec.json.encode([scene.words, scene.asks]), digest_size=8).hexdigest()
    return msgspec.structs.replace(scene, name=f"own/{digest}")

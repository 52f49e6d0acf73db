"""Conversations as digests, so that two processes can be compared. Run as a module, it answers a job on its input."""

from __future__ import annotations

import importlib
import json
import operator
import sys
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from ..base import Kind
from .base import play


def digests(kind: Kind, arguments: Mapping[str, Any], played: list[Any]) -> list[str]:
    """A digest of all that an agent is given, for each scene with its actions."""
    env = kind(**arguments)
    return [_digest(play(env, scene, actions)) for scene, actions in played]


def _digest(episode: Any) -> str:
    # The order of keys counts: bytes are compared, not values.
    text = json.dumps([episode.messages, episode.rewards, episode.infos])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def main() -> None:
    """Read a job, play it, write the digests."""
    job = json.load(sys.stdin)
    module, name = job["kind"]
    kind = operator.attrgetter(name)(importlib.import_module(module))
    json.dump(digests(kind, job["arguments"], job["played"]), sys.stdout)


if __name__ == "__main__":
    main()

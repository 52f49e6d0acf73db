"""A game: one conversation that a person holds, and its score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
from rich.console import Console

from ..rollout import Episode, Job, begun, rollout
from ..scripted import Expert
from .game import Human, Quit


def play(
    env_id: str,
    scene: Any = None,
    seed: int | None = None,
    *,
    console: Console | None = None,
    input: Callable[[str], str] | None = None,
    **arguments: Any,
) -> Episode:
    """Let a person play one conversation: the scene of a name, or else the next that `seed` leads to."""
    env: Any = gymnasium.make(env_id, disable_env_checker=True, **arguments)
    human = Human(type(env.unwrapped), console, input)
    episode = begun(env, Job(scene), seed)
    human.reset(episode.seed)
    try:
        while not episode.over:
            episode.play(env, human.act(episode.observation, episode.infos[-1]["facts"]))
    except Quit:
        human.screen.console.print()
    else:
        human.screen.heard(episode.messages, episode.infos[-1]["facts"])
    human.screen.score(episode, _flawless(env_id, episode, arguments))
    env.close()
    return episode


def _flawless(env_id: str, episode: Episode, arguments: dict[str, Any]) -> Episode:
    """The expert's conversation about the same scene, with the customer who is simulated."""
    own = {name: value for name, value in arguments.items() if name not in ("customer", "render_mode")}
    env: Any = gymnasium.make(env_id, disable_env_checker=True, **own)
    return rollout(Expert(type(env.unwrapped)), env, episode.own or episode.scene)

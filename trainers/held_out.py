"""How often a model succeeds on scenes that it was not trained on, and which scenes those are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..envs.errors import BadArgument
from ..envs.scenes import ScenePool
from ..policies.progress import Tick, quiet
from ..policies.rollout import Episode, Job, rollouts
from ..policies.runs import Setting
from .folder import Share

if TYPE_CHECKING:
    from ..policies.local import Loaded


class Success(NamedTuple):
    """How a model did on scenes, one conversation each."""

    share: Share
    """Of the scenes, those that ended well."""
    mean_return: float
    malformed: int
    """Answers that were no action."""
    cut: int
    """Conversations that outgrew the model's context: they count as failures."""
    seconds: float


class HeldOut:
    """Scenes that are kept from training, and the environments to play them on, made once.

    What a conversation leaves to chance is left to its scene's name: the same model does the same on the same scenes.
    """

    def __init__(
        self,
        env_id: str,
        arguments: Mapping[str, Any],
        scenes: Sequence[str],
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 256,
        constrained: bool = False,
        batch: int = 64,
        seed: int = 0,
    ) -> None:
        """`batch` conversations are held at once; at a temperature of 0 the likeliest token is always taken."""
        if not scenes:
            raise BadArgument(f"scenes={scenes!r} leaves nothing to measure on: name at least one scene.")
        setting = Setting(env_id, "", arguments)
        self.scenes = tuple(scenes)
        self._options: dict[str, Any] = {
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
            "constrained": constrained,
            "batch": batch,
            "seed": seed,
        }
        self._envs = [setting.env() for _ in range(min(batch, len(scenes)))]
        self._slow = arguments.get("customer", "agenda") != "agenda"

    def measure(self, loaded: Loaded, tick: Tick = quiet) -> Success:
        """Let a model play every scene; it is left as it was."""
        from ..policies.local import Local

        started = perf_counter()
        # Made anew each time, which takes milliseconds: the order in which an older one has left its rows would decide
        # how sums are rounded, and with that, once in a great while, a token.
        local = Local(type(self._envs[0]), loaded, **self._options)
        jobs = [Job(scene, 0, number) for number, scene in enumerate(self.scenes)]
        episodes: list[Episode] = []
        try:
            for episode in rollouts(local, self._envs, jobs, self._slow):
                _measured(episode, loaded)
                episodes.append(episode)
                tick("held out", len(episodes), len(jobs))
        finally:
            local.close()
        episodes.sort(key=lambda episode: episode.number)
        return Success(
            Share.of(sum(episode.success for episode in episodes), len(episodes)),
            sum(episode.total for episode in episodes) / len(episodes),
            sum(episode.malformed for episode in episodes),
            sum(episode.error is not None for episode in episodes),
            perf_counter() - started,
        )

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


def _measured(episode: Episode, loaded: Loaded) -> None:
    """Raise what failed beside the model; a conversation that outgrew its context is its own doing."""
    error = episode.error
    if error is not None and (error.fatal or error.where != type(loaded.model).__name__):
        raise error


def validation_scenes(env_id: str, arguments: Mapping[str, Any], count: int, setting: str = "count") -> tuple[str, ...]:
    """The last so many scenes of the train split, to choose a model by: they are not to be trained on.

    `setting` is what the user gave the count as.
    """
    pool = _pool(env_id, arguments, "train", whole=True)
    first = len(pool) - _within(count, pool, f"{setting}={count!r}", "train")
    return tuple(pool[number] for number in range(first, len(pool)))


def test_scenes(
    env_id: str,
    arguments: Mapping[str, Any],
    count: int,
    setting: str = "count",  # noqa: PT028  (no test)
) -> tuple[str, ...]:
    """The first so many scenes of the test split, to report a model's success on."""
    pool = _pool(env_id, arguments, "test", whole=True)
    return tuple(pool[number] for number in range(_within(count, pool, f"{setting}={count!r}", "test")))


def training_scenes(
    env_id: str,
    arguments: Mapping[str, Any],
    seed: int,
    count: int,
    reserved: Collection[str] = (),
    often: Callable[[ScenePool, float], float] | None = None,
) -> tuple[str, ...]:
    """So many scenes of the train split, drawn with replacement and none of them `reserved`.

    A longer draw of the same seed begins with the same ones. Each kind of scene is drawn as often as `often` says of
    the scenes of that kind and their share of the split, which is 1 on average; or else as the split has it.
    """
    pool, kept = _trained_on(env_id, arguments, reserved)
    pools = [pool] if often is None else pool.by_kind()
    weights = [1.0 if often is None else often(each, len(each) / len(pool) * len(pools)) for each in pools]
    shares = np.array(weights) / sum(weights)
    generator = np.random.default_rng(seed)
    names: list[str] = []
    while len(names) < count:
        of = 0 if often is None else int(generator.choice(len(pools), p=shares))
        name = pools[of].draw(generator)
        if name not in kept:
            names.append(name)
    return tuple(names)


def first_scenes(
    env_id: str, arguments: Mapping[str, Any], count: int, reserved: Collection[str] = ()
) -> tuple[str, ...]:
    """Scenes of the train split, so many at most and none of them `reserved`, to be met again and again.

    They are the first of each kind in turn, so that rare kinds are met as often as others.
    """
    pool, kept = _trained_on(env_id, arguments, reserved)
    pools = pool.by_kind()
    in_turn = (each[number] for number in range(len(pool)) for each in pools if number < len(each))
    return tuple(islice((name for name in in_turn if name not in kept), count))


def _trained_on(
    env_id: str, arguments: Mapping[str, Any], reserved: Collection[str]
) -> tuple[ScenePool, frozenset[str]]:
    """The scenes that may be trained on, but for those that are kept from it; there are some."""
    pool, kept = _pool(env_id, arguments, "train", whole=False), frozenset(reserved)
    if all(pool[number] in kept for number in range(len(pool))):  # as a rule, the first one is not
        raise BadArgument(
            f"All {len(pool)} scenes to train on are held out: give more of them in scenes=, or hold out fewer."
        )
    return pool, kept


def _pool(env_id: str, arguments: Mapping[str, Any], split: str, whole: bool) -> ScenePool:
    """The scenes of a split; a list of `scenes` to train on says nothing of those to measure on."""
    given = {name: value for name, value in arguments.items() if not (whole and name == "scenes")}
    env = Setting(env_id, "", given).env(split=split)
    env.close()
    return env.pool


def _within(count: int, pool: ScenePool, given: str, split: str) -> int:
    if not 1 <= count <= len(pool):
        raise BadArgument(f"{given}: give a number of scenes of the {split} split, from 1 to {len(pool)}.")
    return count

"""Policies by name, what they may know, and the rollout."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import gymnasium
import pytest

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import registry

IDS = ("StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0")
DESK = "StateSet/CustomerService-v0"


def scenes(env: gymnasium.Env[Any, Any], count: int) -> list[str]:
    pool: Any = env.unwrapped
    return [pool.pool[number * 97] for number in range(count)]


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
@pytest.mark.parametrize("env_id", IDS)
def test_the_expert_is_flawless(env_id: str, difficulty: str) -> None:
    env = gymnasium.make(env_id, split="test", difficulty=difficulty)
    expert = policies.make("expert", env)
    for scene in scenes(env, 24):
        episode = policies.rollout(expert, env, scene)
        assert (episode.total, episode.success, episode.outcome != "") == (1, True, True), scene
        assert (episode.refused, episode.malformed, episode.violations) == (0, 0, []), scene


@pytest.mark.parametrize("env_id", IDS)
def test_every_policy_plays_every_environment_that_knows_it(env_id: str) -> None:
    env = gymnasium.make(env_id, difficulty="hard")
    for name in {*policies.names(env)} - {"human"}:  # who is asked, and tested in a terminal
        episode = policies.rollout(policies.make(name, env), env, seed=3)
        assert episode.over
        assert -1 <= episode.total <= 1
        assert episode.total == pytest.approx(sum(episode.terms.values()))
        assert len(episode.messages) == 2 + 2 * episode.turns


@pytest.mark.parametrize("env_id", IDS)
def test_every_floor_names_a_policy(env_id: str) -> None:
    assert set(registry.kind_of(env_id).parts.floors) <= set(policies.names(env_id))


def test_a_policy_is_made_for_an_id_a_class_and_an_instance_in_wrappers() -> None:
    env = gymnasium.make(DESK)
    for what in (DESK, type(env.unwrapped), env, gymnasium.wrappers.RecordEpisodeStatistics(env)):
        assert policies.rollout(policies.make("expert", what), env, seed=0).total == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exprt", "'exprt' does not exist for Echo-v0. Did you mean: 'expert'?"),
        ("qqq", "'qqq' does not exist for Echo-v0: choose one of expert, random"),
        ("refuse-all", "'refuse-all' does not exist for Echo-v0"),
    ],
)
def test_an_unknown_name_is_told_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        policies.make(name, "StateSet/Echo-v0")


def test_an_environment_of_others_is_refused() -> None:
    with pytest.raises(BadArgument, match="'CartPole-v1' is no conversation: give an environment of StateSet Gym"):
        policies.make("expert", "CartPole-v1")


def test_random_is_seeded() -> None:
    env = gymnasium.make(DESK)
    first, again, other = (
        policies.rollout(policies.make("random", env, seed=seed), env, seed=0).actions for seed in (1, 1, 2)
    )
    assert first == again != other


class Planned:
    """A policy of a user's own, as another package brings it."""

    def __init__(self, kind: Any, word: str = "amber") -> None:
        self.word = word
        self.begun = 0

    def reset(self) -> None:
        self.begun += 1

    def act(self, observation: dict[str, Any], facts: Sequence[dict[str, Any]]) -> Any:
        return {"type": "say", "word": self.word}

    def close(self) -> None:
        pass


def test_another_package_brings_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("planned", f"{__name__}:Planned", registry.GROUP)
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: Planned)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == registry.GROUP else [])
    env = gymnasium.make("StateSet/Echo-v0")
    assert policies.names(env)[-1] == "planned"
    policy: Any = policies.make("planned", env, word="birch")
    assert policies.rollout(policy, env, {"words": ["birch"], "asks": ["say"]}).total == 1
    assert policy.begun == 1


def test_a_policy_knows_what_it_was_shown_and_no_more() -> None:
    """It remembers as the engine does, from observation and facts alone."""
    env = gymnasium.make(DESK, difficulty="hard")
    expert: Any = policies.make("expert", env)
    unwrapped: Any = env.unwrapped
    for scene in scenes(env, 12):
        expert.reset()
        observation, info = env.reset(options={"scene": scene})
        over = False
        while not over:
            action = expert.act(observation, info["facts"])
            assert expert.memory.key() == unwrapped.memory.key()
            observation, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated


def test_an_episode_says_what_happened() -> None:
    env = gymnasium.make(DESK)
    (scene,) = scenes(env, 1)
    episode = policies.rollout(policies.make("refuse-all", env), env, scene)
    assert episode.scene == scene
    assert not episode.success
    assert set(episode.violations) == {"refuse_by_rule"}
    assert episode.terms["conduct"] == -1
    silent = policies.rollout(policies.make("null", env), env, scene)
    assert silent.malformed == silent.turns == 16
    assert (silent.truncated, silent.outcome) == (True, "out_of_turns")

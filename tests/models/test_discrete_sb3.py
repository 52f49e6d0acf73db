"""stable-baselines3 takes the discrete view of every id as it is, and what it trains plays as a policy."""

from pathlib import Path
from typing import Any

import gymnasium
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.discrete import DiscreteView

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
def test_its_checker_finds_nothing_to_say(name: str, difficulty: str) -> None:
    check_env(DiscreteView(gymnasium.make(name, difficulty=difficulty)))


@pytest.mark.parametrize("name", IDS)
def test_a_model_of_the_view_plays_as_a_policy(name: str, tmp_path: Path) -> None:
    env: Any = gymnasium.make(name)
    view = DiscreteView(env)
    model = PPO("MlpPolicy", view, n_steps=8, batch_size=8, n_epochs=1, device="cpu", seed=0)
    model.save(tmp_path / "ppo")
    policy = policies.make(
        f"sb3:{tmp_path / 'ppo.zip'}", name, view="stateset_gym.envs.discrete:catalogue_of", deterministic=True
    )
    played = policies.rollout(policy, gymnasium.make(name), env.unwrapped.pool[0])
    features, _ = view.reset(options={"scene": env.unwrapped.pool[0]})
    total, over = 0.0, False
    while not over:
        index, _ = model.predict(features, deterministic=True)
        features, reward, terminated, truncated, _ = view.step(index)
        total, over = total + reward, terminated or truncated
    assert played.total == pytest.approx(total)

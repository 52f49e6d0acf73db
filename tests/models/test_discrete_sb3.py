"""stable-baselines3 takes the discrete view of every id as it is, and what it trains plays as a policy."""

from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import trace
from stateset_gym.policies.rollout import Job, rollouts

SHOP = "StateSet/CustomerService-v0"
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
    policy: Any = policies.make(f"sb3:{tmp_path / 'ppo.zip'}", name)
    assert policy.view is view.catalogue
    played = policies.rollout(policy, gymnasium.make(name), env.unwrapped.pool[0])
    features, _ = view.reset(options={"scene": env.unwrapped.pool[0]})
    total, over = 0.0, False
    while not over:
        index, _ = model.predict(features, deterministic=True)
        features, reward, terminated, truncated, _ = view.step(index)
        total, over = total + reward, terminated or truncated
    assert played.total == pytest.approx(total)


MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ppo": (PPO, {"n_steps": 8, "batch_size": 8}),
    "maskable": (MaskablePPO, {"n_steps": 8, "batch_size": 8}),
    "dqn": (DQN, {"buffer_size": 10}),
    "recurrent": (RecurrentPPO, {"n_steps": 8, "policy_kwargs": {"lstm_hidden_size": 8}}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of CustomerService as they were made, each in the folder of a run."""
    torch.set_num_threads(1)
    where = tmp_path_factory.mktemp("runs")
    view = DiscreteView(gymnasium.make(SHOP))
    for name, (algorithm, settings) in MODELS.items():
        kind = "MlpLstmPolicy" if name == "recurrent" else "MlpPolicy"
        (where / name / "final").mkdir(parents=True)
        algorithm(kind, view, **settings, device="cpu", seed=1).save(where / name / "final" / "model")
    return where


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_many_conversations_in_one_go_come_to_the_same(folder: Path, name: str, deterministic: bool) -> None:
    """Played together, as `evaluate` does, or one after the other."""
    policy: Any = policies.make(f"sb3:{folder / name / 'final'}", SHOP, deterministic=deterministic)
    asked: list[int] = []
    predict = policy.model.predict

    def noted(shown: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(len(shown) if shown.ndim == 2 else 1)
        return predict(shown, *arguments, **options)

    policy.model.predict = noted
    scenes = [f"CustomerService-v0/train/{level}/{number:06d}" for number in range(4) for level in ("easy", "normal")]
    envs = [gymnasium.make(SHOP) for _ in range(3)]
    together = list(rollouts(policy, envs, [Job(scene, number=k) for k, scene in enumerate(scenes)]))
    most = max(asked)
    alone = [policies.rollout(policy, envs[0], scene) for scene in scenes]
    played = {episode.scene: (episode.actions, episode.rewards) for episode in together}
    assert played == {episode.scene: (episode.actions, episode.rewards) for episode in alone}
    assert len({len(actions) for actions, _ in played.values()}) > 1, "conversations end at different turns"
    assert most == (3 if deterministic and name != "recurrent" else 1)
    assert policy.parallel == (64 if deterministic and name != "recurrent" else 1)


def test_it_is_measured_as_any_other_policy(folder: Path, tmp_path: Path) -> None:
    """Held together by default, and one by one if that is asked for."""
    played = []
    for parallel in (None, 1):
        file = tmp_path / f"{parallel}.jsonl"
        policies.evaluate(f"sb3:{folder / 'maskable' / 'final'}", SHOP, scenes=20, parallel=parallel, traces=file)
        played.append({each.scene: trace.timeless(each) for each in trace.read(file)})
    assert len(played[0]) == 20
    assert played[0] == played[1]


def test_a_model_of_another_environment_is_told(folder: Path) -> None:
    message = (
        r"shape \(62,\) and actions in Discrete\(45\), and the discrete view of Echo-v0 has 4 features and 4 actions"
    )
    with pytest.raises(BadArgument, match=message):
        policies.make(f"sb3:{folder / 'ppo' / 'final'}", "StateSet/Echo-v0")

"""Models of stable-baselines3 and sb3-contrib, trained for a second, play as policies."""

import dataclasses
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.actions import Action
from stateset_gym.envs.echo.actions import Say
from stateset_gym.envs.echo.env import EchoEnv
from stateset_gym.envs.echo.scenes import EASY, WORDS
from stateset_gym.envs.errors import BadArgument
from stateset_gym.envs.memory import Memory
from stateset_gym.policies.sb3 import SB3, View

ECHO = "StateSet/Echo-v0"
SIZE = len(WORDS)


class EchoView:
    """Shows the word that was asked for, and says the word that is chosen."""

    def features(self, memory: Memory, observation: dict[str, Any]) -> npt.NDArray[np.float32]:
        return (np.array(WORDS) == memory.person["word"]).astype(np.float32)

    def action(self, answer: Any, memory: Memory) -> Any:
        assert type(answer) is int
        return Say(WORDS[answer])

    def masks(self, memory: Memory) -> npt.NDArray[np.bool_] | None:
        """Easy scenes know a few words; the others would be a waste."""
        return np.arange(SIZE) < EASY


class ForKind(EchoView):
    """A view that is made for a kind of environment."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


def made(kind: Any) -> EchoView:
    return ForKind(kind)


VIEW = EchoView()


class Numbers(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Echo in numbers, through the view."""

    def __init__(self, view: View, difficulty: str) -> None:
        super().__init__(gymnasium.make(ECHO, difficulty=difficulty))
        self.view, self.memory = view, Memory()
        self.action_space = gymnasium.spaces.Discrete(SIZE)
        self.observation_space = gymnasium.spaces.Box(0, 1, (SIZE,), np.float32)

    def reset(self, **arguments: Any) -> Any:
        observation, info = self.env.reset(**arguments)
        self.memory = Memory()
        self.memory.fold(None, info["facts"])
        return self.view.features(self.memory, observation), info

    def step(self, action: Any) -> Any:
        done: Action = self.view.action(int(action), self.memory)
        observation, reward, terminated, truncated, info = self.env.step(done)
        self.memory.fold(done, info["facts"])
        return self.view.features(self.memory, observation), reward, terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_] | None:
        return self.view.masks(self.memory)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: two that have learned, and others as they were made."""
    torch.set_num_threads(1)
    where = tmp_path_factory.mktemp("models")
    learning: dict[str, Any] = {"n_steps": 128, "learning_rate": 0.003, "ent_coef": 0.02, "gamma": 0.5, "seed": 0}
    env = Numbers(VIEW, "easy")
    PPO("MlpPolicy", env, **learning, device="cpu").learn(4096).save(where / "ppo")
    MaskablePPO("MlpPolicy", env, **learning | {"n_steps": 256, "ent_coef": 0.05}, device="cpu").learn(4096).save(
        where / "maskable"
    )
    A2C("MlpPolicy", env, seed=0, device="cpu").save(where / "a2c")
    DQN("MlpPolicy", env, seed=0, device="cpu", buffer_size=10).save(where / "dqn")
    small = {"lstm_hidden_size": 8}
    RecurrentPPO("MlpLstmPolicy", env, seed=0, device="cpu", policy_kwargs=small).save(where / "recurrent")
    return where


def totals(policy: Any, difficulty: str = "easy", count: int = 24) -> list[float]:
    env: Any = gymnasium.make(ECHO, difficulty=difficulty)
    return [policies.rollout(policy, env, env.unwrapped.pool[number]).total for number in range(count)]


@pytest.mark.parametrize("name", ["ppo", "maskable"])
def test_a_trained_model_wins(folder: Path, name: str) -> None:
    assert np.mean(totals(policies.make(f"sb3:{folder / name}.zip", ECHO, view=VIEW))) == 1


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("ppo", PPO), ("maskable", MaskablePPO), ("a2c", A2C), ("dqn", DQN), ("recurrent", RecurrentPPO)],
)
def test_the_algorithm_is_found_or_given_and_the_model_plays(folder: Path, name: str, algorithm: Any) -> None:
    for given in ("auto", algorithm.__name__, algorithm):
        policy: Any = policies.make(f"sb3:{folder / name}", ECHO, view=VIEW, algorithm=given)
        assert type(policy.model) is algorithm
        assert len(totals(policy, "hard", 3)) == 3


def test_masks_are_heeded(folder: Path) -> None:
    class OnlyOne(EchoView):
        def masks(self, memory: Memory) -> npt.NDArray[np.bool_] | None:
            return np.arange(SIZE) == 9

    env = gymnasium.make(ECHO, difficulty="hard")
    episode = policies.rollout(policies.make(f"sb3:{folder / 'maskable'}", ECHO, view=OnlyOne()), env, seed=1)
    assert {action.word for action in episode.actions} == {WORDS[9]}


def test_a_view_may_know_no_masks(folder: Path) -> None:
    class Any_(EchoView):
        def masks(self, memory: Memory) -> None:
            return None

    assert len(totals(policies.make(f"sb3:{folder / 'maskable'}", ECHO, view=Any_()), count=3)) == 3


def test_each_conversation_has_its_lstm_state(folder: Path) -> None:
    """Played in turns or one after the other, conversations come to the same."""
    policy: Any = policies.make(f"sb3:{folder / 'recurrent'}", ECHO, view=VIEW)
    env: Any = gymnasium.make(ECHO, difficulty="hard")
    scenes = [env.unwrapped.pool[number] for number in range(3)]
    alone, states = [], []
    for scene in scenes:
        alone.append(policies.rollout(policy, env, scene).actions)
        states.append(policy._state)
    envs: list[Any] = [gymnasium.make(ECHO, difficulty="hard") for _ in scenes]
    shown = []
    for slot, (scene, one) in enumerate(zip(scenes, envs, strict=True)):
        policy.begin(slot, 0)
        observation, info = one.reset(options={"scene": scene})
        shown.append((observation, info["facts"]))
    together: list[list[Any]] = [[] for _ in scenes]
    for _ in range(3):
        actions = policy.act_batch([seen for seen, _ in shown], [facts for _, facts in shown])
        for slot, action in enumerate(actions):
            together[slot].append(action)
            observation, _, _, _, info = envs[slot].step(action)
            shown[slot] = (observation, info["facts"])
    assert together == alone
    for slot, state in enumerate(states):
        assert all(np.array_equal(*pair) for pair in zip(policy.at(slot)._state, state, strict=True))
    assert not np.array_equal(states[0][0], states[1][0])


@pytest.mark.parametrize("name", ["a2c", "dqn", "recurrent"])
def test_what_is_drawn_follows_from_the_seed_alone(folder: Path, name: str) -> None:
    policy: Any = policies.make(f"sb3:{folder / name}", ECHO, view=VIEW, deterministic=False)
    policy.model.exploration_rate = 1.0  # DQN's, so that it draws at all
    env: Any = gymnasium.make(ECHO, difficulty="hard")
    scenes = [env.unwrapped.pool[number] for number in range(6)]
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = [policies.rollout(policy, env, scene).actions for scene in scenes]
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert [policies.rollout(policy, env, scene).actions for scene in reversed(scenes)] == first[::-1]
    trial = [policies.rollout(policy, env, scene, trial=1).actions for scene in scenes]
    assert trial != first
    assert len({action.word for actions in first for action in actions}) > 2


def test_memory_takes_in_actions_that_are_given_as_json(folder: Path) -> None:
    """What a view gives as a dict or a text is remembered as the environment remembers it."""

    class Plain(EchoView):
        def action(self, answer: Any, memory: Memory) -> Any:
            return {"type": "say", "word": "amber"} if memory.person["word"] < "h" else '{"type": "say", "word": "b"}'

    class Broken(EchoView):
        def action(self, answer: Any, memory: Memory) -> Any:
            return "nothing"

    env: Any = gymnasium.make(ECHO, difficulty="hard")
    policy: Any = policies.make(f"sb3:{folder / 'ppo'}", ECHO, view=Plain())
    for scene in (env.unwrapped.pool[number] for number in range(6)):
        observation, info = env.reset(options={"scene": scene})
        policy.reset()
        over = False
        while not over:
            action = policy.act(observation, info["facts"])
            assert isinstance(action, Say)
            assert policy.memory.key() == env.unwrapped.memory.key()
            observation, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
    broken = policies.rollout(policies.make(f"sb3:{folder / 'ppo'}", ECHO, view=Broken()), env)
    assert broken.malformed == 3


@pytest.mark.parametrize("what", ["VIEW", "EchoView", "ForKind", "made"])
def test_a_view_is_named(folder: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("my_views")
    module.__dict__.update(VIEW=VIEW, EchoView=lambda kind: EchoView(), ForKind=ForKind, made=made)
    monkeypatch.setitem(sys.modules, "my_views", module)
    policy = policies.make(f"sb3:{folder / 'ppo'}", ECHO, view=f"my_views:{what}")
    assert totals(policy, count=3) == [1, 1, 1]


def _text(folder: Path) -> Path:
    (folder / "text.zip").write_text("no zip")
    return folder / "text.zip"


def _other(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("readme", "nothing")
    return folder / "other.zip"


def _without(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "without.zip", "w") as archive:
        archive.writestr("data", '{"policy_class": {"__module__": "my_own"}}')
    return folder / "without.zip"


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        (
            lambda folder: folder / "ppo",
            {},
            r"observations of the shape \(16,\) .* view of Echo-v0 has 4 features and 4",
        ),
        (
            lambda folder: folder,
            {"view": VIEW},
            r"there is no model.zip in this folder; a run's model is in its final/",
        ),
        (lambda folder: folder / "ppo", {"view": 3}, "view=3 is no view: it has no features, action, masks"),
        (lambda folder: folder / "ppo", {"view": "nowhere"}, "view='nowhere' is not known: write 'module:name'"),
        (lambda folder: folder / "ppo", {"view": "a b:c"}, "view='a b:c' is not known: write 'module:name'"),
        (lambda folder: folder / "ppo", {"view": "no_such:v"}, "there is no module 'no_such' on the path"),
        (lambda folder: folder / "ppo", {"view": "json:v"}, "view='json:v': json has no 'v'"),
        (lambda folder: folder / "none", {"view": VIEW}, r"there is no file .*none and no none.zip beside it"),
        (_text, {"view": VIEW}, "text.zip is no model of stable-baselines3"),
        (_other, {"view": VIEW}, "other.zip is no model of stable-baselines3"),
        (_without, {"view": VIEW}, r"does not tell which algorithm trained it .*my_own.*: give algorithm="),
        (_without, {"view": VIEW, "algorithm": "PPO"}, "does not load as PPO"),
        (lambda folder: folder / "ppo", {"view": VIEW, "algorithm": "PPOO"}, "algorithm='PPOO' is not known: choose"),
        (lambda folder: folder / "dqn", {"view": VIEW, "algorithm": "PPO"}, "does not load as PPO: .* algorithm="),
    ],
)
def test_what_is_wrong_is_told(
    folder: Path, file: Callable[[Path], Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadArgument, match=message):
        policies.make(f"sb3:{file(folder)}", ECHO, **options)


def test_an_environment_without_a_catalogue_needs_a_view(folder: Path) -> None:
    class Bare(EchoEnv):
        parts = dataclasses.replace(EchoEnv.parts, catalogue=None)

    with pytest.raises(BadArgument, match=r"needs a view, as a model acts on numbers and Echo-v0 on JSON.* give view="):
        SB3(Bare, folder / "ppo.zip")
    assert SB3(Bare, folder / "ppo.zip", view=VIEW).view is VIEW


def test_a_view_of_another_shape_is_told(folder: Path) -> None:
    class Short(EchoView):
        def features(self, memory: Memory, observation: dict[str, Any]) -> npt.NDArray[np.float32]:
            return np.zeros(3, np.float32)

    policy = SB3(type(gymnasium.make(ECHO).unwrapped), folder / "ppo.zip", view=Short())
    with pytest.raises(BadArgument, match=r"Short.features\(\) has the shape \(3,\).*trained on \(16,\)"):
        totals(policy, count=1)


def test_a_missing_package_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(BadArgument, match=r'pip install "stateset-gym\[sb3\]"'):
        policies.make(f"sb3:{folder / 'maskable'}", ECHO, view=VIEW)

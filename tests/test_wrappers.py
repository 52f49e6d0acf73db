"""Gymnasium's checker, vector environments and wrappers, on every registered id.

What comes out lies in the wrapper's own space, and equals the unwrapped episode's.
"""

import importlib
import json

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import unflatten
from gymnasium.utils.env_checker import check_env

import stateset_gym  # noqa: F401
from stateset_gym.envs.vector import ConversationVectorEnv

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
pytestmark = pytest.mark.parametrize("name", IDS)


def test_every_environment_is_here(name):
    assert {"StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0"} <= set(IDS)
    assert gymnasium.make(name).spec.id == name


def expert(env):
    """The expert's next act as text."""
    env = env.unwrapped
    act = importlib.import_module(type(env).__module__.removesuffix(".env") + ".expert").act
    return env.parts.actions.encode(act(env.memory))


def episode(name, seed):
    """An unwrapped episode with a malformed act where there is room: the actions, what came of each, the next reset."""
    env = gymnasium.make(name, difficulty="normal").unwrapped
    actions, steps = [], [env.reset(seed=seed)]
    over = False
    while not over:
        hasty = not actions and steps[0][1]["par"] > 1
        actions.append("this is no JSON" if hasty else expert(env))
        steps.append(env.step(actions[-1]))
        over = steps[-1][2] or steps[-1][3]
    return actions, steps, env.reset()


def make(name):
    return gymnasium.make(name, difficulty="normal")


def play(env, actions, seed):
    """What a wrapped environment gives for the same actions."""
    return [env.reset(seed=seed), *(env.step(action) for action in actions)]


def observations(steps):
    return [step[0] for step in steps]


def rest(steps):
    return [step[1:] for step in steps]


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
def test_gymnasiums_checker_finds_nothing_to_say(name, difficulty, capsys):
    check_env(gymnasium.make(name, difficulty=difficulty).unwrapped)


@pytest.mark.parametrize("render_mode", ["ansi", "human", "rgb_array"])
def test_default_wrappers_and_render_modes_change_nothing(name, render_mode, capsys):
    actions, steps, _ = episode(name, 3)
    env = gymnasium.make(name, difficulty="normal", render_mode=render_mode)
    assert play(env, actions, 3) == steps
    env.render()
    env.close()
    assert all(observation in env.observation_space for observation in observations(steps))


MODES = [
    pytest.param("sync", {}, id="sync"),
    pytest.param("async", {"shared_memory": True}, id="async-shared"),
    pytest.param("async", {"shared_memory": False}, id="async-pipes"),
]


@pytest.mark.parametrize(("mode", "kwargs"), MODES)
def test_gymnasiums_vector_environments(name, mode, kwargs):
    envs = gymnasium.make_vec(name, 2, vectorization_mode=mode, vector_kwargs=kwargs, difficulty="normal")
    episodes = [episode(name, 5 + i) for i in range(2)]
    seen, infos = envs.reset(seed=5)
    assert seen in envs.observation_space
    kept = [seen]
    for i, (_, steps, _) in enumerate(episodes):
        assert seen[i] == steps[0][0]
        assert infos["scene"][i] == steps[0][1]["scene"]
    for turn in range(1, max(len(steps) for _, steps, _ in episodes)):
        acts = [actions[turn - 1] if turn <= len(actions) else "{}" for actions, _, _ in episodes]
        seen, rewards, terminations, truncations, infos = envs.step(acts)
        assert seen in envs.observation_space
        kept.append(seen)
        for i, (actions, steps, after) in enumerate(episodes):
            if turn <= len(actions):
                observation, reward, terminated, truncated, info = steps[turn]
                assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
                assert infos["facts"][i] == info["facts"]
            elif turn == len(actions) + 1:  # the next step begins the next conversation
                observation, _ = after
            else:
                continue
            assert seen[i] == observation
    envs.close()
    assert kept[0][0] == episodes[0][1][0][0], "an observation holds still when the next one comes"
    assert isinstance(json.dumps(kept[-1]), str)


def test_make_vec_makes_our_own(name):
    envs = gymnasium.make_vec(name, 2, difficulty="normal")
    assert isinstance(envs, ConversationVectorEnv)
    actions, steps, after = zip(*(episode(name, 5 + i) for i in range(2)), strict=True)
    seen, _ = envs.reset(seed=5)
    assert seen in envs.observation_space
    for turn in range(1, min(map(len, actions)) + 1):
        seen, rewards, terminations, truncations, infos = envs.step([acts[turn - 1] for acts in actions])
        assert seen in envs.observation_space
        for i in range(2):
            observation, reward, terminated, truncated, _ = steps[i][turn]
            ended = terminated or truncated
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            assert (infos["final_obs"][i] if ended else seen[i]) == observation
            assert not ended or seen[i] == after[i][0]


def test_record_episode_statistics(name):
    actions, steps, _ = episode(name, 3)
    env = wrappers.RecordEpisodeStatistics(make(name))
    played = play(env, actions, 3)
    statistics = played[-1][-1].pop("episode")
    assert played == steps
    assert statistics["l"] == len(actions)
    assert statistics["r"] == pytest.approx(sum(step[1] for step in steps[1:]))


def test_record_video(name, tmp_path):
    actions, steps, _ = episode(name, 3)
    env = gymnasium.make(name, difficulty="normal", render_mode="rgb_array")
    films = tmp_path / "films"
    env = wrappers.RecordVideo(env, str(films), episode_trigger=lambda number: True, disable_logger=True)
    played = play(env, actions, 3)
    assert len(env.recorded_frames) in (0, len(steps))  # none once the film is written
    env.close()
    assert played == steps
    (film,) = films.glob("*.mp4")
    assert film.stat().st_size > 1000


def test_time_limit(name):
    actions, steps, _ = episode(name, 3)
    env = wrappers.TimeLimit(make(name), max_episode_steps=1)
    played = play(env, actions[:1], 3)
    assert observations(played) == observations(steps[:2])
    assert played[1][3], "the wrapper's own limit cuts the episode off"
    roomy = wrappers.TimeLimit(make(name), max_episode_steps=100)
    assert play(roomy, actions, 3) == steps


def test_autoreset(name):
    actions, steps, after = episode(name, 3)
    env = wrappers.Autoreset(make(name))
    assert play(env, actions, 3) == steps
    observation, reward, terminated, truncated, info = env.step("{}")
    assert (observation, info) == after
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert observation in env.observation_space


def test_flatten_observation_and_back(name):
    actions, steps, _ = episode(name, 3)
    inner = make(name)
    env = wrappers.FlattenObservation(inner)
    played = play(env, actions, 3)
    assert all(observation in env.observation_space for observation in observations(played))
    assert all(observation.dtype == np.uint8 for observation in observations(played))
    assert [unflatten(inner.observation_space, each) for each in observations(played)] == observations(steps)
    assert rest(played) == rest(steps)


@pytest.mark.parametrize("padding", ["reset", "zero"])
def test_frame_stack_observation(name, padding):
    actions, steps, _ = episode(name, 3)
    env = wrappers.FrameStackObservation(make(name), stack_size=3, padding_type=padding)
    played = play(env, actions, 3)
    assert all(observation in env.observation_space for observation in observations(played))
    first = observations(steps)[0] if padding == "reset" else nothing(env)
    history = [first, first, *observations(steps)]
    assert [tuple(each) for each in observations(played)] == [tuple(history[i : i + 3]) for i in range(len(steps))]
    assert rest(played) == rest(steps)


def test_delay_observation(name):
    actions, steps, _ = episode(name, 3)
    env = wrappers.DelayObservation(make(name), delay=2)
    played = play(env, actions, 3)
    assert all(observation in env.observation_space for observation in observations(played))
    assert observations(played) == [nothing(env), nothing(env), *observations(steps)][: len(steps)]
    assert rest(played) == rest(steps)


def nothing(env):
    """What stands for an observation before there is one."""
    return env.unwrapped.observation_space.least()


def test_transform_action(name):
    actions, steps, _ = episode(name, 3)
    inner = make(name)
    env = wrappers.TransformAction(inner, lambda action: action["text"], gymnasium.spaces.Dict(text=inner.action_space))
    assert env.action_space["text"] == inner.action_space
    assert play(env, [{"text": action} for action in actions], 3) == steps


def test_actions_from_the_space_are_played(name):
    env = make(name)
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(20):
        action = env.action_space.sample()
        assert action in env.action_space
        observation, _, terminated, truncated, info = env.step(action)
        assert json.loads(observation["messages"][-2]["content"]) == action
        assert info["malformed"] == ""
        if terminated or truncated:
            env.reset()

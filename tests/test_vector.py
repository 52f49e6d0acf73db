"""Many conversations at once equal as many single ones, step by step."""

import gc
import importlib

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import stateset_gym  # noqa: F401
from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.envs.echo.env import EchoEnv
from stateset_gym.envs.errors import BadArgument, ResetNeeded
from stateset_gym.envs.vector import ConversationVectorEnv
from stateset_gym.rewards.terms import Reward

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
STEPS = 40


class EchoVector(ConversationVectorEnv):
    env_class = EchoEnv


def single(name, **kwargs):
    return gymnasium.make(name, **kwargs).unwrapped


def vector(name, count, **kwargs):
    return type("Vector", (ConversationVectorEnv,), {"env_class": type(single(name))})(count, **kwargs)


def expert(env):
    return importlib.import_module(type(env).__module__.removesuffix(".env") + ".expert").act(env.memory)


def player(env, seed):
    """Acts as text, dicts and Structs, random ones and nonsense: a function of an environment."""
    env.action_space.seed(seed)
    draws = np.random.default_rng(seed)

    def act(env):
        kind = draws.integers(10)
        if kind == 0:
            return "no JSON"
        if kind == 1:
            return env.action_space.sample()
        wise = expert(env)
        return wise if kind == 2 else env.parts.actions.encode(wise)

    return act


def same(left, right):
    """Equal values of equal types, through arrays, lists and dicts."""
    return data_equivalence(left, right, exact=True)


def info_of(infos, i):
    """The info of conversation i, as a single environment gives it."""
    return {
        key: info_of(value, i) if isinstance(value, dict) else value[i]
        for key, value in infos.items()
        if not key.startswith("_") and infos[f"_{key}"][i]
    }


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_it_equals_single_environments_through_the_ends_of_episodes(name, difficulty):
    count, ends = 5, 0
    envs = vector(name, count, difficulty=difficulty)
    singles = [single(name, difficulty=difficulty) for _ in range(count)]
    players = [player(env, i) for i, env in enumerate(singles)]
    observations, infos = envs.reset(seed=7)
    for i, env in enumerate(singles):
        observation, info = env.reset(seed=7 + i)
        assert observations[i] == observation
        assert info_of(infos, i) == info
    for _ in range(STEPS):
        actions = [act(env) for act, env in zip(players, singles, strict=True)]
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        assert observations in envs.observation_space
        for i, env in enumerate(singles):
            observation, reward, terminated, truncated, info = env.step(actions[i])
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            told = info_of(infos, i)
            if terminated or truncated:
                ends += 1
                assert told.pop("final_obs") == observation
                assert told.pop("final_info") == info
                observation, info = env.reset()
            assert observations[i] == observation
            assert told == info
    assert ends >= count


@pytest.mark.parametrize("name", IDS)
def test_it_gives_what_gymnasiums_own_vector_environment_gives_in_same_step_mode(name):
    ours = vector(name, 3)
    theirs = SyncVectorEnv([lambda: single(name)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_action_space == theirs.single_action_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert same(ours.reset(seed=3), theirs.reset(seed=3))
    players = [player(env, i) for i, env in enumerate(ours.envs)]
    for _ in range(STEPS):
        actions = tuple(act(env) for act, env in zip(players, ours.envs, strict=True))
        mine, others = ours.step(actions), theirs.step(actions)
        for left, right in zip(mine, others, strict=True):
            assert same(left, right)


def dtypes(infos):
    return {key: dtypes(value) if isinstance(value, dict) else value.dtype for key, value in infos.items()}


@pytest.mark.parametrize("name", IDS)
def test_the_types_of_the_infos_never_change(name):
    envs = vector(name, 3, difficulty="normal")
    seen = [dtypes(envs.reset(seed=0)[1])]
    players = [player(env, i) for i, env in enumerate(envs.envs)]
    for _ in range(STEPS):
        infos = envs.step([act(env) for act, env in zip(players, envs.envs, strict=True)])[-1]
        final = {key: infos.pop(key, None) for key in ("final_obs", "_final_obs", "final_info", "_final_info")}
        if final["final_info"] is not None:
            seen.append(dtypes(final["final_info"]))
        seen.append(dtypes(infos))
    assert all(each == seen[0] for each in seen)
    assert {key: seen[0][key].name for key in ("is_success", "par", "facts", "scene", "violations")} == {
        "is_success": "bool",
        "par": "int64",
        "facts": "object",
        "scene": "object",
        "violations": "object",
    }
    assert seen[0]["reward_terms"]["goal"].name == "float64"


@pytest.mark.parametrize("name", IDS)
def test_make_vec_makes_ours(name):
    envs = gymnasium.make_vec(name, num_envs=3, difficulty="normal", prompt="brief")
    assert isinstance(envs, ConversationVectorEnv)
    assert envs.num_envs == len(envs.envs) == 3
    assert envs.spec.id == name
    assert envs.spec.kwargs["prompt"] == "brief"
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    _, infos = envs.reset(seed=0)
    assert all("/normal/" in scene for scene in infos["scene"])
    assert gymnasium.make_vec(envs.spec).reset(seed=0)[1]["scene"].tolist() == infos["scene"].tolist()


def test_extra_reward_terms_are_batched_too():
    envs = EchoVector(2, reward=Reward(extra={"brevity": lambda facts: -0.1 * len(facts)}))
    _, infos = envs.reset(seed=0)
    assert infos["reward_terms"]["brevity"].tolist() == [0.0, 0.0]
    *_, infos = envs.step(["no", "no"])
    ended = info_of(infos["final_info"], 0)
    assert ended["reward_terms"]["brevity"] != 0
    assert same(info_of(infos, 0)["reward_terms"]["brevity"], np.float64(0))


def test_seeds_may_be_listed():
    envs = EchoVector(3, difficulty="hard")
    assert same(envs.reset(seed=[5, 6, 7]), envs.reset(seed=5))
    assert envs.get_attr("np_random_seed") == (5, 6, 7)
    assert same(envs.reset(seed=np.int64(5))[0], envs.reset(seed=[5, 6, 7])[0])
    with pytest.raises(ValueError, match=r"lists 2 seeds for 3 conversations: give one each"):
        envs.reset(seed=[1, 2])


def test_a_mask_resets_some_and_leaves_the_rest_as_they_are():
    envs = EchoVector(3, difficulty="hard")
    envs.reset(seed=0)
    before, *_, told = envs.step(['{"type":"say","word":"x"}'] * 3)
    options = {"reset_mask": np.array([False, True, False])}
    after, infos = envs.reset(seed=9, options=options)
    assert list(options) == ["reset_mask"], "the caller's options are the caller's"
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] == single("StateSet/Echo-v0", difficulty="hard").reset(seed=10)[0]
    assert infos["_scene"].tolist() == [False, True, False]
    assert infos["scene"].tolist() == [None, after_scene := infos["scene"][1], None]
    assert after_scene != told["scene"][1]
    *_, infos = envs.step(['{"type":"say","word":"x"}'] * 3)
    assert [observation["turn"] for observation in envs.call("observe")] == [2, 1, 2]


def test_options_go_to_each_conversation():
    envs, scene = EchoVector(3), "Echo-v0/test/hard/000003"
    for _ in range(3):  # a scene that is met again brings the very same turns
        _, infos = envs.reset(options={"scene": scene})
        assert infos["scene"].tolist() == [scene] * 3
        *_, infos = envs.step(["no", "no", "no"])
        assert infos["reward_terms"]["format"].tolist() == [-0.05] * 3
        assert len(set(infos["malformed"])) == 1


def test_late_turns_are_charged_to_each_conversation_of_a_scene():
    envs, word = EchoVector(3, max_turns=6), '{"type":"say","word":"x"}'
    for _ in range(3):
        envs.reset(options={"scene": "Echo-v0/test/hard/000005"})
        for act in ("no", "no", word, word):  # par is 3
            _, rewards, *_, infos = envs.step([act] * 3)
        assert infos["reward_terms"]["turns"].tolist() == rewards.tolist() == [-0.02] * 3


def test_infos_may_be_changed_without_harm():
    envs = EchoVector(2, difficulty="hard")
    envs.reset(seed=424242)  # scenes that no other test has met
    *_, infos = envs.step(["no", "no"])
    infos["facts"][0][0]["why"] = "changed"
    env = envs.envs[0]
    assert env.restore(env.snapshot())[1]["facts"][0]["why"] != "changed"


@pytest.mark.parametrize(
    "mask",
    [[True, False], np.array([True]), np.array([1, 0]), np.array([False, False])],
    ids=["list", "short", "integers", "none"],
)
def test_a_bad_mask_is_named(mask):
    envs = EchoVector(2)
    envs.reset(seed=0)
    with pytest.raises(BadArgument, match=r"reset_mask'\]=.* must be a boolean NumPy array of shape \(2,\)"):
        envs.reset(options={"reset_mask": mask})


def test_a_mask_cannot_come_before_the_first_reset():
    with pytest.raises(ResetNeeded, match=r"never began: reset all of them first"):
        EchoVector(2).reset(options={"reset_mask": np.array([True, False])})


def test_a_step_before_reset_says_so():
    with pytest.raises(ResetNeeded, match=r"Echo-v0.*call reset\(\) first"):
        EchoVector(2).step(["a", "b"])
    assert gc.isenabled()


@pytest.mark.parametrize("actions", ["{}", {"type": "say"}, ["{}"], ["{}"] * 3])
def test_the_number_of_actions_must_fit(actions):
    envs = EchoVector(2)
    envs.reset(seed=0)
    with pytest.raises(BadArgument, match=r"one action for each of 2 conversations, not"):
        envs.step(actions)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_the_number_of_conversations_must_be_one(count):
    with pytest.raises(BadArgument, match=r"num_envs=.* must be a whole number from 1 up"):
        EchoVector(count)


def test_the_turn_limit_has_one_name():
    with pytest.raises(BadArgument, match=r"max_episode_steps=5 is not known here: give max_turns=5"):
        EchoVector(2, max_episode_steps=5)
    envs = EchoVector(2, max_turns=1, difficulty="hard")
    envs.reset(seed=0)
    assert envs.step(["no", "no"])[3].all()


def test_a_list_of_scenes_may_be_read_once():
    envs = EchoVector(3, scenes=iter([4, 5]))
    envs.reset(seed=0)
    assert {len(env.pool) for env in envs.envs} == {2}


def test_attributes_methods_frames_and_closing():
    envs = EchoVector(2, render_mode="ansi")
    envs.reset(seed=1)
    assert envs.render() == tuple(env.render() for env in envs.envs)
    assert envs.render_mode == "ansi"
    assert envs.call("render") == envs.render()
    envs.set_attr("note", [1, 2])
    assert envs.get_attr("note") == (1, 2)
    envs.set_attr("note", "both")
    assert envs.get_attr("note") == ("both", "both")
    with pytest.raises(ValueError, match=r"set_attr\('note'\) got 3 values for 2 conversations"):
        envs.set_attr("note", [1, 2, 3])
    assert all(type(env) is EchoEnv for env in envs.envs), "no wrapper slows a conversation"
    envs.close()
    assert envs.closed


def test_gymnasiums_vector_wrappers_take_it():
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(EchoVector(2))
    envs = gymnasium.wrappers.vector.DictInfoToList(envs)
    envs.reset(seed=0)
    _, rewards, _, _, infos = envs.step([expert(env) for env in envs.unwrapped.envs])
    assert rewards.tolist() == [1.0, 1.0]
    assert [info["episode"]["l"] for info in infos] == [1, 1]
    assert all(info["final_info"]["is_success"] for info in infos)


def test_single_and_vector_share_what_they_can():
    assert issubclass(EchoVector.env_class, ConversationEnv)
    envs = EchoVector(3)
    assert len({id(env.pool) for env in envs.envs}) == 1
    assert len({id(env.observation_space.schema) for env in envs.envs}) == 1

"""Our vector environments as stable-baselines3 sees them: what its own `DummyVecEnv` and `Monitor` would tell."""

import gymnasium
import numpy as np
import pytest
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument
from stateset_gym.trainers.vec_env import Conversations

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
SHOP = "StateSet/CustomerService-v0"
MANY = 4
CASES = [
    *((name, {"difficulty": "easy"}) for name in IDS),
    (SHOP, {"difficulty": "hard"}),
    (SHOP, {"difficulty": "easy", "max_turns": 4}),
    (SHOP, {"difficulty": "easy", "split": "test", "scenes": range(7)}),
]


def ours(name=SHOP, count=MANY, **arguments):
    return Conversations(gymnasium.make_vec(name, num_envs=count, view="discrete", **arguments))


def theirs(name, **arguments):
    return DummyVecEnv([lambda: Monitor(DiscreteView(gymnasium.make(name, **arguments))) for _ in range(MANY)])


def drawn(masks, chance):
    """An action for each conversation, allowed as a rule."""
    return np.array([chance.choice(np.flatnonzero(mask) if chance.random() < 0.95 else len(mask)) for mask in masks])


def untimed(episode):
    return {name: value for name, value in episode.items() if name != "t"}


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_it_is_what_their_own_makes_of_the_same_conversations(name, arguments):
    one, two = ours(name, **arguments), theirs(name, **arguments)
    assert (one.observation_space, one.action_space) == (two.observation_space, two.action_space)
    for env in (one, two):
        env.seed(7)
    features = one.reset()
    np.testing.assert_array_equal(features, two.reset())
    chance, ended, cut = np.random.default_rng(0), 0, 0
    for _ in range(60):
        masks = get_action_masks(one)
        np.testing.assert_array_equal(masks, get_action_masks(two))
        actions, before = drawn(masks, chance), features.copy()
        found, wanted = one.step(actions), two.step(actions)
        np.testing.assert_array_equal(features, before, err_msg="what was given out has changed")
        for mine, other in zip(found[:3], wanted[:3], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype
        features = found[0]
        for info, other, done in zip(found[3], wanted[3], found[2], strict=True):
            assert info.get("TimeLimit.truncated", False) == other["TimeLimit.truncated"]
            assert info.get("is_success", False) == (other["is_success"] and bool(done))
            assert ("episode" in info) == ("terminal_observation" in info) == bool(done)
            if done:
                assert untimed(info["episode"]) == untimed(other["episode"])
                np.testing.assert_array_equal(info["terminal_observation"], other["terminal_observation"])
                ended, cut = ended + 1, cut + info["TimeLimit.truncated"]
    assert ended == one.ended > 5
    if "max_turns" in arguments:
        assert cut > 5


def test_what_is_written_into_an_info_stays_there():
    env = ours()
    env.seed(0)
    env.reset()
    for info in env.step(np.zeros(MANY, int))[3]:
        info["mine"] = 1
    assert not any("mine" in info for info in env.step(np.zeros(MANY, int))[3])


def test_a_snapshot_goes_on_in_another_object():
    one, two = ours(difficulty="easy"), ours(difficulty="easy")
    one.seed(3)
    one.reset()
    chance = np.random.default_rng(1)
    for _ in range(20):
        one.step(drawn(get_action_masks(one), chance))
    np.testing.assert_array_equal(two.restore(one.snapshot()), one.restore(one.snapshot()))
    for _ in range(20):
        actions = drawn(get_action_masks(one), chance)
        found, same = one.step(actions), two.step(actions)
        for mine, other in zip(found[:3], same[:3], strict=True):
            np.testing.assert_array_equal(mine, other)
    assert one.ended == two.ended > 0


def test_masks_are_found_and_given_for_some():
    env = ours()
    assert is_masking_supported(env)
    env.reset()
    whole = get_action_masks(env)
    assert whole.shape == (MANY, env.action_space.n)
    np.testing.assert_array_equal(env.env_method("action_masks", indices=[3, 0]), whole[[3, 0]])
    np.testing.assert_array_equal(env.env_method("action_masks", indices=2), whole[[2]])


def test_options_go_to_all_conversations():
    env = ours(difficulty="easy")
    env.set_options({"scene": "CustomerService-v0/test/easy/000005"})
    features = env.reset()
    assert (features == features[0]).all()
    assert not (env.reset() == features).all()  # they are used once, as the seeds are


def test_attributes_are_those_of_the_vector_environment():
    env = ours()
    assert env.get_attr("num_envs") == [MANY] * MANY
    assert env.get_attr("action_names", indices=[1])[0][0] == env.env.action_names[0]
    env.set_attr("noted", 3)
    assert env.get_attr("noted", indices=0) == [3]
    assert not env.has_attr("nothing_of_the_kind")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda env: env.set_attr("noted", 3, indices=[0]),
            BadArgument,
            r"set_attr\('noted', indices=\[0\]\) is for some",
        ),
        (lambda env: env.env_method("render"), AttributeError, "Conversations have no method 'render' each"),
        (
            lambda env: (env.set_options([{"scene": "a"}, *[{}] * (MANY - 1)]), env.reset()),
            BadArgument,
            "tells conversations apart: give all of them the same",
        ),
    ],
)
def test_what_cannot_be_done_for_one_conversation_is_told(call, error, message):
    with pytest.raises(error, match=message):
        call(ours())


@pytest.mark.parametrize("wrapper", [VecNormalize, lambda env: VecFrameStack(env, 2)], ids=["normalize", "frame stack"])
def test_their_wrappers_and_algorithms_take_it(wrapper):
    model = PPO(
        "MlpPolicy", wrapper(ours("StateSet/Echo-v0")), n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu"
    )
    model.learn(160)
    assert len(model.ep_info_buffer) == 100


def test_their_measuring_takes_the_episodes_that_are_told():
    """Without the warning that no `Monitor` is there; and all returns are whole ones."""
    env = ours("StateSet/Echo-v0", difficulty="easy")
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, seed=0, device="cpu")
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=20, return_episode_rewards=True)
    assert {*returns} <= {0.0, 1.0}
    assert {*lengths} == {1}

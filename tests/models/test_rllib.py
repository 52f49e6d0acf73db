"""PPO of RLlib learns on a local Ray, goes on where it ended, and leaves a policy that plays without RLlib."""

import importlib.util
import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from stateset_gym import policies, trainers
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.network import Network
from stateset_gym.trainers import Folder

if importlib.util.find_spec("tree") is None:
    pytest.skip("RLlib is installed into an environment of its own: make test-rllib", allow_module_level=True)

import ray
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from stateset_gym.trainers import rllib
from stateset_gym.trainers.rllib import Masked, Numbered, RLlibConfig, network_of, told_to

# What RLlib itself warns of is not ours to mend; what we do is checked by the tests of the other trainers.
pytestmark = pytest.mark.filterwarnings("default")

ECHO, SHOP = "StateSet/Echo-v0", "StateSet/CustomerService-v0"
EASY = {"difficulty": "easy"}
SMALL = {
    "env": EASY, "envs": 8, "n_steps": 16, "batch": 64, "net": [32], "learning_rate": 3e-3, "schedule": "constant",
    "steps": 2560, "log_every": 1, "evaluate_every": 1280, "scenes": 200, "tested": 100, "held_out": 30,
}  # fmt: skip
ENDS = 768
"""The step that the first training ends at."""


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Ray sends nothing to its makers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a training that was ended on the way, on a Ray of its own, and then went on on one that runs."""
    folder = tmp_path_factory.mktemp("rllib") / "run"
    first = trainers.make("rllib_ppo", ECHO, output=folder, **SMALL)
    first.train(callbacks=[lambda event: event.step >= ENDS])
    assert not ray.is_initialized()
    assert first.summary.stopped == "callback"
    assert first.summary.steps == ENDS
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    restored = []

    def restore(learner, state, own=rllib.Learner.restore):
        own(learner, state)
        runners = learner.model.env_runner_group
        held = [each["rl_module"] for each in runners.foreach_env_runner("get_state", local_env_runner=False)]
        kept = state["learner_group"]["learner"]["rl_module"]["default_policy"]
        restored.append((learner.step, [learner.network, *map(network_of, held)], network_of(kept)))

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rllib.Learner, "restore", restore)
            trainers.resume(folder).train(resume=True)
        assert ray.is_initialized()
        with pytest.raises(BadArgument, match="workers=3: the Ray cluster at 'local' has 2 cores"):
            trainers.make("rllib_ppo", ECHO, output=folder / "other", **SMALL, workers=3).train()
    finally:
        ray.shutdown()
    ((step, held, kept),) = restored
    assert step == ENDS
    assert len(held) == 3  # the learner's, and those of both workers
    assert all(same(each, kept) for each in held)
    return folder


def same(one, other):
    """Whether two networks have the same weights."""
    pairs = zip(one.layers, other.layers, strict=True)
    return all(np.array_equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True))


def test_it_learns_and_goes_on(folder):
    summary, lines = Folder(folder).summary(), Folder(folder).metrics()
    assert summary.before.mean < 0.6
    assert summary.after.mean == summary.train.mean == 1
    assert (summary.steps, summary.stopped) == (2560, "")
    told = [line["step"] for line in lines if "policy_loss" in line]
    assert told == [*range(256, 2561, 256)]
    assert {"success", "reward", "turns", "entropy", "value_loss", "learning_rate", "fps"} <= lines[-4].keys()
    assert lines[-4]["success"] > 0.9
    assert [line["step"] for line in lines if "held_out_success" in line] == [0, 1280, 2560]
    assert Folder(folder).last()[0] == 2560


def test_the_policy_plays_where_neither_ray_nor_torch_is(folder):
    summary = Folder(folder).summary()
    code = (
        "import sys\nfor name in ('ray', 'torch', 'tree'): sys.modules[name] = None\n"
        "from stateset_gym import policies\n"
        f"report = policies.evaluate('net:{folder / 'final'}', {ECHO!r}, scenes=100, difficulty='easy')\n"
        "print(report.measured, report.success.mean)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", str(summary.after.mean)]
    loaded = trainers.make("rllib_ppo", ECHO, env=EASY).load(folder / "final")
    assert same(loaded.network, Network.load(folder / "best"))
    assert policies.rollout(loaded, gymnasium.make(ECHO, **EASY), seed=1).success


def test_the_network_is_what_rllib_trains():
    env = Numbered({"env_id": SHOP, "arguments": EASY})
    spec = RLModuleSpec(
        module_class=Masked,
        observation_space=env.observation_space,
        action_space=env.action_space,
        model_config={"net": [16, 8]},
    )
    torch.manual_seed(0)
    module = spec.build()
    with torch.no_grad():
        for each in module.parameters():
            each.normal_()
    generator, actions = np.random.default_rng(0), int(env.action_space.n)
    masks = generator.random((500, actions)) < 0.3
    masks[:, 0] |= ~masks.any(axis=1)
    features = generator.random((500, env.observation_space.shape[0] - actions), dtype=np.float32)
    batch = {Columns.OBS: torch.as_tensor(np.hstack([features, masks]).astype(np.float32))}
    logits = module.forward_exploration(batch)[Columns.ACTION_DIST_INPUTS]
    network = network_of(module.get_state())
    assert np.array_equal(network.best(features, masks), logits.argmax(dim=1).numpy())
    drawn = module.get_exploration_action_dist_cls().from_logits(logits).sample().numpy()
    assert masks[np.arange(500), drawn].all()
    assert module.compute_values(batch).shape == (500,)


def test_the_environment_is_the_discrete_view():
    env = Numbered({"env_id": SHOP, "arguments": EASY})
    view = DiscreteView(gymnasium.make(SHOP, **EASY))
    generator = np.random.default_rng(0)
    for seed in range(5):
        shown, (features, _), ended = env.reset(seed=seed)[0], view.reset(seed=seed), False
        while not ended:
            assert np.array_equal(shown, np.hstack([features, view.action_masks()]))
            assert shown in env.observation_space
            action = generator.choice(view.action_masks().nonzero()[0])
            shown, *said, told = env.step(action)
            features, *own, info = view.step(action)
            ended = own[1] or own[2]
            assert said == own
            assert told == ({"is_success": info["is_success"]} if ended else {})
    env.close()


OTHER = {
    "workers": (3, "num_env_runners"),
    "envs": (5, "num_envs_per_env_runner"),
    "n_steps": (7, "rollout_fragment_length"),
    "batch": (9, "minibatch_size"),
    "epochs": (11, "num_epochs"),
    "gamma": (0.5, "gamma"),
    "gae_lambda": (0.4, "lambda_"),
    "clip_ratio": (0.3, "clip_param"),
    "entropy": (0.2, "entropy_coeff"),
    "value_weight": (0.7, "vf_loss_coeff"),
    "clip": (0.9, "grad_clip"),
    "seed": (13, "seed"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_setting_reaches_rllib(name):
    value, theirs = OTHER[name]
    config = replace(RLlibConfig(schedule="constant"), **{name: value})
    told = told_to(ECHO, {}, config, 100)
    assert getattr(told, theirs) == value
    assert told.train_batch_size_per_learner == config.rollout == config.workers * config.envs * config.n_steps
    assert told.lr == config.learning_rate
    assert told_to(ECHO, {}, replace(config, schedule="linear"), 100).lr == [[0, config.learning_rate], [100, 0.0]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"batch": 2000}, "batch=2000 is more than a rollout of workers=2 times envs=8 times n_steps=64, 1024 actions"),
        ({"ray": "127.0.0.1:1"}, "There is no Ray cluster at '127.0.0.1:1'"),
        ({"evaluate_every": 0, "patience": 2}, "patience=2 counts evaluations"),
    ],
)
def test_what_is_wrong_is_told_first(wrong, told, tmp_path):
    with pytest.raises(BadArgument, match=told):
        trainers.make("rllib_ppo", ECHO, output=tmp_path / "run", **wrong).train()
    assert not (tmp_path / "run").exists()


def test_nothing_is_saved_before_it_has_trained(tmp_path):
    with pytest.raises(BadArgument, match="has not trained yet"):
        trainers.make("rllib_ppo", ECHO).save(tmp_path)

"""Many conversations through the discrete view equal as many single ones, step by step."""

import dataclasses
import doctest
import gc
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs import discrete_vector, wordless
from stateset_gym.envs.customer_service.catalogue import CATALOGUE
from stateset_gym.envs.customer_service.env import CustomerServiceEnv
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.discrete_vector import DiscreteVectorEnv
from stateset_gym.envs.errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from stateset_gym.envs.vector import ConversationVectorEnv
from stateset_gym.rewards import Prices, Reward

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
SHOP, ECHO = "StateSet/CustomerService-v0", "StateSet/Echo-v0"
STORE = Path(__file__).parents[1] / "examples" / "shop.json"
LEVELS = ["easy", "normal", "hard"]
every_id = pytest.mark.parametrize("name", IDS)


def vector(name: str, count: int, **arguments: Any) -> Any:
    return gymnasium.make_vec(name, num_envs=count, view="discrete", **arguments)


class Singles:
    """As many single views, each begun anew where it has ended; what the vector environment is held to."""

    def __init__(self, name: str, count: int, **arguments: Any) -> None:
        self.views = [DiscreteView(gymnasium.make(name, **arguments)) for _ in range(count)]
        self.ends = self.wins = 0

    def reset(self, seed: int) -> list[Any]:
        self.paid: list[list[float]] = [[] for _ in self.views]
        return [view.reset(seed=seed + i)[0] for i, view in enumerate(self.views)]

    def compare(self, actions: Any, step: Any) -> None:
        """Play the actions, and hold a step of the vector environment to what comes of them."""
        features, rewards, terminations, truncations, infos = step
        over = terminations | truncations
        assert ("final_info" in infos) == over.any()
        for i, view in enumerate(self.views):
            shown, reward, terminated, truncated, info = view.step(int(actions[i]))
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            assert infos["is_success"][i] == info["is_success"]
            self.paid[i].append(reward)
            if over.any():
                assert infos["_final_obs"][i] == infos["_final_info"][i] == over[i]
            if over[i]:
                assert infos["final_obs"][i].tobytes() == shown.tobytes()
                last = {key: value[i] for key, value in infos["final_info"].items()}
                assert last["turns"] == len(self.paid[i])
                assert last["return"] == sum(self.paid[i])
                assert (last["scene"], last["is_success"]) == (info["scene"], info["is_success"])
                assert all(last[f"_{key}"] for key in ("turns", "return", "scene", "is_success"))
                self.ends += 1
                self.wins += info["is_success"]
                self.paid[i] = []
                shown, _ = view.reset()
            assert features[i].tobytes() == shown.tobytes()


def draw(generator: Any, masks: Any, anything: float) -> Any:
    """An index for each conversation: an allowed one, or with the chance of `anything` any."""
    free = generator.random(len(masks)) < anything
    return (generator.random(masks.shape) * (masks | free[:, None])).argmax(axis=1)


def held_to_singles(name: str, steps: int, seed: int, anything: float = 0.3, **arguments: Any) -> Singles:
    """Play the same in one object and in several."""
    envs, singles = vector(name, 3, **arguments), Singles(name, 3, **arguments)
    features, infos = envs.reset(seed=seed)
    assert [row.tobytes() for row in features] == [row.tobytes() for row in singles.reset(seed)]
    assert not infos["is_success"].any()
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        masks = envs.action_masks()
        assert masks.tolist() == [view.action_masks().tolist() for view in singles.views]
        actions = draw(generator, masks, anything)
        step = envs.step(actions)
        assert step[0] in envs.observation_space
        singles.compare(actions, step)
    return singles


@every_id
@settings(max_examples=25)
@given(
    difficulty=st.sampled_from(LEVELS),
    scenes=st.sampled_from([None, range(1), range(5, 8)]),
    max_turns=st.sampled_from([None, None, 1, 2, 5]),
    anything=st.sampled_from([0.0, 0.2, 0.9]),
    prices=st.sampled_from([Prices(), Prices(conduct=0.45, truth=0.3, malformed=0.3, refused=0.4, late_turn=0.07)]),
    kept=st.sampled_from([10, 60, wordless.KEPT]),
    seed=st.integers(0, 2**31),
)
def test_it_equals_single_views(name: str, kept: int, seed: int, anything: float, prices: Prices, **kw: Any) -> None:
    """On new scenes and on those met again, with masked play, cuts, penalties that reach the floor, and forgetting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordless, "KEPT", kept)
        held_to_singles(name, 40, seed, anything, reward=Reward(prices), **kw)


def leaving(brief: Any, transcript: Any, action: Any) -> dict[str, Any]:
    return {"act": "leave" if len(transcript) > 6 else "drift", "message": "Well."}


def wordy(facts: Any) -> float:
    return -0.001 * sum(len(words) for fact in facts for words in fact["words"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"reward": Reward(extra={"wordy": wordy}), "difficulty": "normal"},
        {"customer": leaving},
        {"store": STORE},
        {"split": "test", "kinds": ["several"], "difficulty": "hard"},
    ],
    ids=["reward", "customer", "store", "kinds"],
)
@pytest.mark.parametrize("scenes", [None, range(24)], ids=["new", "met"])
def test_it_equals_single_views_with_what_a_user_brings(arguments: dict[str, Any], scenes: Any) -> None:
    assert held_to_singles(SHOP, 50, 3, scenes=scenes, **arguments).ends > 10


@every_id
@pytest.mark.parametrize("difficulty", LEVELS)
def test_the_expert_wins_on_scenes_met_for_the_first_time_and_again(name: str, difficulty: str) -> None:
    arguments = {"difficulty": difficulty, "scenes": range(4)}
    envs, singles = vector(name, 3, **arguments), Singles(name, 3, **arguments)
    envs.reset(seed=1)
    singles.reset(1)
    while singles.ends < 20:
        actions = [chosen_by_expert(view) for view in singles.views]
        singles.compare(actions, envs.step(actions))
    assert singles.wins == singles.ends


def chosen_by_expert(view: DiscreteView) -> int:
    engine: Any = view.unwrapped
    actions = view.catalogue.look(engine.memory).actions
    return actions.index(engine.parts.expert(engine.memory))


def counting(plays: list[Any]) -> type[CustomerServiceEnv]:
    """The environment, where each act that is really played is noted."""
    parts = CustomerServiceEnv.parts

    def play(state: Any, act: Any, decide: Any) -> Any:
        plays.append(act)
        return parts.play(state, act, decide)

    class Counting(CustomerServiceEnv):
        pass

    Counting.parts = dataclasses.replace(parts, play=play)
    return Counting


def test_what_is_met_again_is_not_played_again() -> None:
    plays: list[Any] = []
    envs = DiscreteVectorEnv(counting(plays), 4, scenes=range(3))
    generator = np.random.default_rng(0)
    envs.reset(seed=0)
    actions = []
    for _ in range(60):
        actions.append(draw(generator, envs.action_masks(), 0.1))
        envs.step(actions[-1])
    for wanted in (60 * 4, 0, 0):  # a scene is kept from its second meeting on
        plays.clear()
        envs.reset(seed=0)
        for each in actions:
            envs.step(each)
        assert len(plays) <= wanted
        assert envs.reset(seed=0)[0].shape == (4, 62)


@pytest.mark.parametrize("scenes", [None, range(40)], ids=["new", "met"])
def test_memory_is_bounded(scenes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordless, "KEPT", 300)
    envs = vector(SHOP, 8, scenes=scenes)
    envs.reset(seed=0)
    generator = np.random.default_rng(0)
    most = 0
    for _ in range(400):
        envs.step(draw(generator, envs.action_masks(), 0.0))
        walk = envs._walk
        most = max(most, len(walk._actions) - 8 + len(walk._roots))
        assert len(walk._features) < 1000
        assert len(walk._outcomes.facts) < 100
    assert 250 < most <= 300 + 2 * 8


@every_id
def test_make_vec_makes_each_view(name: str) -> None:
    envs = vector(name, 3, difficulty="normal")
    single = DiscreteView(gymnasium.make(name))
    assert isinstance(envs, DiscreteVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert (envs.single_action_space, envs.single_observation_space) == (single.action_space, single.observation_space)
    assert (envs.action_names, envs.feature_names) == (single.action_names, single.feature_names)
    assert envs.action_space.shape == (3,)
    assert envs.observation_space.shape == (3, len(envs.feature_names))
    again = gymnasium.make_vec(envs.spec)
    assert isinstance(again, DiscreteVectorEnv)
    assert again.reset(seed=4)[0].tobytes() == envs.reset(seed=4)[0].tobytes()
    assert all("/normal/" in talk["scene"] for talk in again.snapshot()["talks"])
    assert isinstance(gymnasium.make_vec(name, num_envs=2), ConversationVectorEnv)
    assert isinstance(gymnasium.make_vec(name, num_envs=2, view="json"), ConversationVectorEnv)
    with pytest.raises(BadArgument, match="view='numbers' is not known: choose one of 'json', 'discrete', 'tabular'"):
        gymnasium.make_vec(name, num_envs=2, view="numbers")


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([1, 2], BadArgument, "takes one index for each of 3 conversations, not [1, 2]"),
        (1, BadArgument, "takes one index for each of 3 conversations, not 1"),
        (np.array(1), BadArgument, "takes one index for each of 3 conversations, not array(1)"),
        ("123", BadArgument, "takes one index for each of 3 conversations, not '123'"),
        (np.zeros((3, 1), int), InvalidAction, "Conversation 0: array([0]) is no index of the catalogue"),
        ([[0], [1, 2], [3]], InvalidAction, "Conversation 0: [0] is no index of the catalogue"),
        ([1, 0.0, 1], InvalidAction, "Conversation 1: 0.0 is no index of the catalogue: give a whole number from 0"),
        (np.array([0.0, 1.0, 2.0]), InvalidAction, "Conversation 0: np.float64(0.0) is no index of the catalogue"),
        ([1, 2, None], InvalidAction, "Conversation 2: None is no index of the catalogue"),
        (
            [1, 45, 2],
            InvalidAction,
            "Conversation 1: 45 is no index of the catalogue: give a whole number from 0 to 44",
        ),
        (np.array([1, 2, -1]), InvalidAction, "Conversation 2: -1 is no index of the catalogue"),
        ([1, 2**70, 2], InvalidAction, f"Conversation 1: {2**70} is no index of the catalogue"),
        ([True, True, False], BadArgument, "step() takes a one-dimensional array or a list of whole numbers, not"),
    ],
)
def test_wrong_actions_are_told_and_nothing_is_played(actions: Any, error: type[Exception], message: str) -> None:
    envs = vector(SHOP, 3)
    envs.reset(seed=0)
    before = envs.snapshot()
    with pytest.raises(error, match=re.escape(message)):
        envs.step(actions)
    assert envs.snapshot() == before
    assert gc.isenabled()


def test_actions_may_be_any_integers() -> None:
    envs = vector(SHOP, 2)
    seen = []
    for actions in ([3, 44], (np.int64(3), 44), np.array([3, 44], np.uint8), np.array([3, 44], np.int32)):
        envs.reset(seed=0)
        features, rewards, *_ = envs.step(actions)
        seen.append((features.tobytes(), rewards.tobytes()))
    assert len(set(seen)) == 1


def test_masked_templates_can_be_errors() -> None:
    envs = vector(SHOP, 3, on_invalid="raise")
    envs.reset(seed=0)
    masks, before = envs.action_masks(), envs.snapshot()
    wrong = int(np.flatnonzero(~masks[1])[0])
    name = envs.action_names[wrong]
    with pytest.raises(InvalidAction, match=rf"Conversation 1: template {wrong} \({name}\) is masked.*action_masks"):
        envs.step([int(masks[0].argmax()), wrong, wrong])
    assert envs.snapshot() == before
    held_to_singles(SHOP, 30, 1, 0.0, on_invalid="raise")


def go_on(envs: Any, steps: int) -> list[Any]:
    """What comes of play that is a function of what is shown."""
    seen = []
    for number in range(steps):
        masks = envs.action_masks()
        actions = draw(np.random.default_rng(number), masks, 0.2)
        features, rewards, terminations, truncations, infos = envs.step(actions)
        final = infos.get("final_info", {"scene": np.array([]), "return": np.array([])})
        told = (final["scene"].tolist(), final["return"].tolist())
        seen.append((features.tobytes(), rewards.tolist(), terminations.tolist(), truncations.tolist(), told))
    return seen


@every_id
@pytest.mark.parametrize("scenes", [None, range(5)], ids=["new", "met"])
def test_a_snapshot_goes_on_exactly(name: str, scenes: Any) -> None:
    arguments = {"difficulty": "hard", "scenes": scenes}
    envs = vector(name, 4, **arguments)
    envs.reset(seed=3)
    go_on(envs, 25)
    kept, masks = pickle.dumps(envs.snapshot()), envs.action_masks()
    path = go_on(envs, 40)
    other = vector(name, 4, **arguments)
    for each in (other, envs, other):
        features = each.restore(pickle.loads(kept))
        assert features in each.observation_space
        assert each.action_masks().tolist() == masks.tolist()
        assert each.snapshot() == pickle.loads(kept)
        assert go_on(each, 40) == path


def test_a_snapshot_goes_on_in_another_process(tmp_path: Path) -> None:
    envs = vector(SHOP, 3, difficulty="normal", scenes=range(6))
    envs.reset(seed=3)
    go_on(envs, 30)
    (tmp_path / "kept").write_bytes(pickle.dumps(envs.snapshot()))
    script = (
        "import gymnasium, pickle, stateset_gym\n"
        f"data = pickle.loads(open({str(tmp_path / 'kept')!r}, 'rb').read())\n"
        f"envs = gymnasium.make_vec({SHOP!r}, num_envs=3, view='discrete', difficulty='normal', scenes=range(6))\n"
        "envs.restore(data)\n"
        "for _ in range(20):\n"
        "    features, rewards, *_ = envs.step(envs.action_masks().argmax(axis=1))\n"
        "    print(features.tobytes().hex(), rewards.tolist())\n"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    here = []
    for _ in range(20):
        features, rewards, *_ = envs.step(envs.action_masks().argmax(axis=1))
        here.append(f"{features.tobytes().hex()} {rewards.tolist()}")
    assert there.splitlines() == here


def test_a_snapshot_holds_a_users_own_scene_and_reward() -> None:
    own = {"words": ["zebra", "apple"], "asks": ["say", "say"]}
    reward = Reward(extra={"wordy": wordy})
    for arguments in ({}, {"reward": reward}):
        envs = vector(ECHO, 2, **arguments)
        envs.reset(seed=0, options={"scene": [own, "Echo-v0/test/hard/000003"]})
        envs.step([1, 1])
        data = envs.snapshot()
        own["words"] = ["other", "words"]  # the caller's is the caller's
        assert [talk["scene"] for talk in data["talks"]] == [
            {"words": ["zebra", "apple"], "asks": ["say", "say"]},
            "Echo-v0/test/hard/000003",
        ]
        path = go_on(envs, 8)
        other = vector(ECHO, 2, **arguments)
        other.restore(pickle.loads(pickle.dumps(data)))
        assert go_on(other, 8) == path
        own["words"] = ["zebra", "apple"]


def test_what_cannot_be_restored_is_told() -> None:
    envs = vector(SHOP, 2)
    envs.reset(seed=0)
    envs.step([44, 43])
    data = envs.snapshot()
    with pytest.raises(BadArgument, match=r"restore\(\) got 3: give what snapshot\(\) returned"):
        envs.restore(3)
    with pytest.raises(
        BadArgument, match="got 2 conversations of CustomerService-v0: here are 3 of CustomerService-v0"
    ):
        vector(SHOP, 3).restore(data)
    with pytest.raises(BadArgument, match="got 2 conversations of CustomerService-v0: here are 2 of Echo-v0"):
        vector(ECHO, 2).restore(data)
    with pytest.raises(BadArgument, match=r"got turn 1: here a conversation ends after 1 turns"):
        vector(SHOP, 2, max_turns=1).restore(data)
    data["talks"][0]["played"] = [99]
    with pytest.raises(BadArgument, match=r"snapshot plays \[99\], and the catalogue has 45 templates"):
        envs.restore(data)
    talking = vector(SHOP, 2, customer=leaving)
    talking.reset(seed=0)
    with pytest.raises(BadArgument, match=r"a customer=\.\.\. of your own may answer otherwise"):
        talking.snapshot()


def test_some_begin_anew_and_the_rest_stay() -> None:
    envs = vector(SHOP, 3)
    envs.reset(seed=0)
    before, *_ = envs.step(envs.action_masks().argmax(axis=1))
    options = {"reset_mask": np.array([False, True, False])}
    after, _ = envs.reset(seed=9, options=options)
    assert list(options) == ["reset_mask"], "the caller's options are the caller's"
    assert [talk["played"] != [] for talk in envs.snapshot()["talks"]] == [True, False, True]
    assert after[[0, 2]].tobytes() == before[[0, 2]].tobytes()
    assert after[1].tobytes() == DiscreteView(gymnasium.make(SHOP)).reset(seed=10)[0].tobytes()
    with pytest.raises(ResetNeeded, match="never began: reset all of them first"):
        vector(SHOP, 3).reset(options=options)


def test_seeds_and_scenes_may_be_listed() -> None:
    envs = vector(SHOP, 3)
    assert envs.reset(seed=[5, 6, 7])[0].tobytes() == envs.reset(seed=5)[0].tobytes()
    names = [f"CustomerService-v0/test/hard/00000{number}" for number in range(3)]
    envs.reset(options={"scene": names})
    assert [talk["scene"] for talk in envs.snapshot()["talks"]] == names
    envs.reset(options={"scene": names[1]})
    assert {talk["scene"] for talk in envs.snapshot()["talks"]} == {names[1]}
    before = envs.snapshot()
    with pytest.raises(BadArgument, match="lists 2 scenes for 3 conversations: give one each, or a single one"):
        envs.reset(options={"scene": names[:2]})
    with pytest.raises(BadArgument, match=r"holds \['scenes'\]: only 'scene' and 'reset_mask' are known"):
        envs.reset(options={"scenes": names})
    with pytest.raises(BadScene, match="'nothing' is no scene's name"):
        envs.reset(options={"scene": [names[0], names[1], "nothing"]})
    assert envs.snapshot() == before


def test_what_it_gives_is_the_callers() -> None:
    """Arrays may be changed without harm, and do not change by themselves."""
    envs = vector(SHOP, 2, scenes=range(1))
    first, _ = envs.reset(seed=0)
    kept, masks = first.copy(), envs.action_masks()
    for _ in range(3):
        features, *_ = envs.step([44, 44])  # closes, and begins the same scene
        assert features.tobytes() == kept.tobytes()
        features[:] = 0.5
        envs.action_masks()[:] = False
    assert first.tobytes() == kept.tobytes()
    assert envs.action_masks().tolist() == masks.tolist()


def test_gymnasiums_vector_wrappers_take_it() -> None:
    envs: Any = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector(ECHO, 2))
    envs = gymnasium.wrappers.vector.DictInfoToList(envs)
    features, infos = envs.reset(seed=0)
    assert [info["is_success"] for info in infos] == [False, False]
    _, rewards, _, _, infos = envs.step(features.argmax(axis=1))
    assert rewards.tolist() == [1.0, 1.0]
    assert [info["episode"]["l"] for info in infos] == [1, 1]
    assert all(info["final_info"]["is_success"] and info["is_success"] for info in infos)


def test_what_cannot_be_made_is_told() -> None:
    class Bare(CustomerServiceEnv):
        parts = dataclasses.replace(CustomerServiceEnv.parts, catalogue=None)

    with pytest.raises(BadArgument, match=r"CustomerService-v0 has no catalogue, .*give its Parts one"):
        DiscreteVectorEnv(Bare, 2)
    assert DiscreteVectorEnv(Bare, 2, catalogue=CATALOGUE).catalogue is CATALOGUE
    with pytest.raises(BadArgument, match=r"render_mode='ansi': numbers show nothing; render one DiscreteView"):
        vector(SHOP, 2, render_mode="ansi")
    with pytest.raises(BadArgument, match="num_envs=0 must be a whole number from 1 up"):
        DiscreteVectorEnv(CustomerServiceEnv, 0)
    with pytest.raises(BadArgument, match="max_episode_steps=5 is not known here: give max_turns=5"):
        vector(SHOP, 2, max_episode_steps=5)


def test_before_the_first_reset() -> None:
    envs = vector(SHOP, 2)
    for act in (envs.action_masks, envs.snapshot, lambda: envs.step([0, 0])):
        with pytest.raises(ResetNeeded, match=r"CustomerService-v0: the conversations have not begun; call reset\(\)"):
            act()
    envs.close()
    assert envs.closed


def test_the_examples_run() -> None:
    assert doctest.testmod(discrete_vector).failed == 0

"""Tabulated conversations equal those of the environment, step by step."""

import dataclasses
import functools
import pickle
import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from stateset_gym.envs.scene_streams import BLOCK
from stateset_gym.envs.tables import Tables
from stateset_gym.envs.tabular_vector import TabularVectorEnv
from stateset_gym.policies.registry import kind_of
from stateset_gym.rewards import Prices, Reward

IDS = sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))
SHOP, ECHO, TRIAGE = "StateSet/CustomerService-v0", "StateSet/Echo-v0", "StateSet/TicketTriage-v0"
LEVELS = ["easy", "normal", "hard"]
SMALL = {
    "easy": ["train/easy/000010", "train/easy/000014", "test/easy/000019"],
    "normal": ["train/normal/000001", "train/normal/000008"],
    "hard": ["train/hard/000008", "train/hard/000009", "test/hard/000010"],
}
"""Scenes of CustomerService that are explored in no time."""
CASES = [(name, level) for name in IDS for level in LEVELS]
HARSH = Reward(Prices(conduct=0.7, truth=0.6, malformed=0.4, refused=0.3, late_turn=0.15))

build = Tables.build


@pytest.fixture(autouse=True, scope="module")
def explored_once() -> Any:
    """Every scene is explored once for all tests here, and none is kept on disk."""

    @functools.cache
    def one(kind: Any, name: str, cap: int) -> Any:
        return build(kind, [name], cap=cap, cache=False).scenes[0]

    def built(kind: Any, names: Any, *, cap: int, **others: Any) -> Tables:
        return Tables(tuple(one(kind, name, cap) for name in names))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tables, "build", built)
        yield


def scenes_of(name: str, level: str) -> Any:
    return [f"CustomerService-v0/{scene}" for scene in SMALL[level]] if name == SHOP else range(6)


def tabular(name: str, level: str = "easy", count: int = 3, **arguments: Any) -> TabularVectorEnv:
    return TabularVectorEnv(kind_of(name), count, scenes=scenes_of(name, level), difficulty=level, **arguments)


def views(name: str, level: str, count: int, **arguments: Any) -> list[DiscreteView]:
    chosen = {"difficulty": level, "scenes": scenes_of(name, level), **arguments}
    return [DiscreteView(gymnasium.make(name, **chosen)) for _ in range(count)]


def check_step(step: Any, singles: list[DiscreteView], actions: Any, played: list[list[float]]) -> None:
    """Hold a step to what the same actions bring in single views, each begun anew where it has ended."""
    features, rewards, terminations, truncations, infos = step
    assert ("final_info" in infos) == (terminations | truncations).any()
    for i, view in enumerate(singles):
        scene = view.unwrapped._turn.scene.name
        shown, reward, terminated, truncated, info = view.step(int(actions[i]))
        played[i].append(reward)
        assert rewards[i] == pytest.approx(reward, abs=1e-12)
        assert (terminations[i], truncations[i]) == (terminated, truncated)
        assert infos["is_success"][i] == info["is_success"]
        if "final_info" in infos:
            final = infos["final_info"]
            masks = [infos["_final_obs"], infos["_final_info"], *(final[f"_{key}"] for key in final if key[0] != "_")]
            assert all(mask[i] == (terminated or truncated) for mask in masks)
        if terminated or truncated:
            assert infos["final_obs"][i].tobytes() == shown.tobytes()
            assert final["return"][i] == pytest.approx(sum(played[i]), abs=1e-12)
            assert (final["turns"][i], final["scene"][i]) == (len(played[i]), scene)
            assert final["is_success"][i] == info["is_success"]
            played[i] = []
            shown, _ = view.reset()
        assert features[i].tobytes() == shown.tobytes()


@settings(max_examples=60)
@given(
    st.sampled_from(CASES),
    st.sampled_from([None, 1, 3, 50]),
    st.sampled_from([None, HARSH]),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_any_play_equals_that_of_the_views(
    case: tuple[str, str], max_turns: int | None, reward: Reward | None, seed: int, masked: float
) -> None:
    generator, count = np.random.default_rng(seed), 2
    env = tabular(*case, count, max_turns=max_turns, reward=reward)
    singles = views(*case, count, max_turns=max_turns, reward=reward)
    features, infos = env.reset(seed=seed)
    assert sorted(infos) == ["_is_success", "is_success"]
    for i, view in enumerate(singles):
        assert view.reset(seed=seed + i)[0].tobytes() == features[i].tobytes()
    played: list[list[float]] = [[] for _ in singles]
    for _ in range(30):
        masks = env.action_masks()
        assert np.array_equal(masks, [view.action_masks() for view in singles])
        actions = np.array(
            [generator.choice(np.flatnonzero(mask | (generator.random(len(mask)) < masked))) for mask in masks]
        )
        check_step(env.step(actions), singles, actions, played)


@pytest.mark.parametrize(("name", "level"), CASES)
def test_the_expert_wins_every_conversation(name: str, level: str) -> None:
    env, singles = tabular(name, level), views(name, level, 3)
    env.reset(seed=5)
    played: list[list[float]] = [[] for _ in singles]
    for i, view in enumerate(singles):
        view.reset(seed=5 + i)
    ended = 0
    for _ in range(40):
        actions = [expert(view) for view in singles]
        step = env.step(actions)
        over = step[2] | step[3]
        ended += int(over.sum())
        assert (step[4]["is_success"] == over).all()
        if over.any():
            assert step[4]["final_info"]["return"][over] == pytest.approx(1)
        check_step(step, singles, actions, played)
    assert ended >= 4


def expert(view: DiscreteView) -> int:
    env = view.unwrapped
    index: int = view._look.actions.index(env.parts.expert(env.memory))
    return index


def test_the_spaces_and_the_modes_are_told() -> None:
    env = tabular(SHOP)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.single_action_space == gymnasium.spaces.Discrete(45)
    assert env.single_observation_space == gymnasium.spaces.Box(0, 1, (62,), np.float32)
    assert len(env.action_names) == 45
    assert len(env.feature_names) == 62
    features, _ = env.reset(seed=0)
    assert features in env.observation_space
    assert env.action_space.sample().shape == (3,)
    features, rewards, *flags, _ = env.step(env.action_space.sample())
    assert (features.dtype, rewards.dtype) == (np.float32, np.float64)
    assert [flag.dtype for flag in flags] == [np.bool_, np.bool_]


def test_what_is_returned_is_the_callers() -> None:
    env = tabular(SHOP, count=4)
    returned = [env.reset(seed=0)[0]]
    copies = [returned[0].copy()]
    for _ in range(20):
        features, rewards, *flags, infos = env.step(np.full(4, env.action_names.index("hand_over")))
        returned += [features, rewards, *flags, *infos["final_obs"], infos["final_info"]["return"], env.action_masks()]
        copies += [each.copy() for each in returned[len(copies) :]]
    assert all(np.array_equal(one, other) for one, other in zip(returned, copies, strict=True))


def test_scenes_are_those_that_the_pool_draws() -> None:
    """Over more conversations than are drawn at a time."""
    env, (view,) = tabular(ECHO, count=2), views(ECHO, "easy", 1)
    env.reset(seed=3)
    view.reset(seed=4)
    for _ in range(BLOCK * 2 + 5):
        scene = view.unwrapped._turn.scene.name
        view.step(0)
        view.reset()
        assert env.step([0, 0])[4]["final_info"]["scene"][1] == scene


def test_resets_of_some_and_of_named_scenes() -> None:
    env, names = tabular(SHOP, count=3), scenes_of(SHOP, "easy")
    with pytest.raises(
        ResetNeeded, match=r"CustomerService-v0: the conversations have not begun; call reset\(\) first"
    ):
        env.step([0, 0, 0])
    with pytest.raises(ResetNeeded, match="have not begun"):
        env.action_masks()
    with pytest.raises(ResetNeeded, match="have not begun"):
        env.snapshot()
    env.reset(seed=[1, 2, None], options={"scene": [names[2], names[0], names[1]]})
    start = env.snapshot()
    assert [env.scene_names[place] for place in start["scene"]] == [names[2], names[0], names[1]]
    ask = env.action_names.index("ask.name")
    env.step([ask] * 3)
    before = env.snapshot()
    features, _ = env.reset(options={"reset_mask": np.array([False, True, False]), "scene": names[2]})
    after = env.snapshot()
    assert after["turn"].tolist() == [1, 0, 1]
    assert after["scene"].tolist() == [2, 2, 1]
    assert after["state"].tolist() == [before["state"][0], 0, before["state"][2]]
    assert np.array_equal(features, env.restore(after))
    again = tabular(SHOP, count=1)
    assert again.reset(options={"scene": names[2]})[0].tobytes() == features[1].tobytes()
    drawn = {env.reset()[1]["is_success"].tobytes() for _ in range(3)}
    assert drawn == {bytes(3)}


def test_two_runs_of_a_seed_are_one() -> None:
    """And without a seed they are not."""

    def scenes(seed: int | None) -> list[str]:
        env = tabular(TRIAGE, count=2)
        env.reset(seed=seed)
        return [name for _ in range(20) for name in env.step([0, 0])[4]["final_info"]["scene"]]

    assert scenes(11) == scenes(11) != scenes(12)
    assert scenes(None) != scenes(None)


@pytest.mark.parametrize("name", IDS)
def test_a_snapshot_goes_on_as_if_nothing_had_been(name: str) -> None:
    generator, env, other = np.random.default_rng(0), tabular(name, "normal"), tabular(name, "normal")
    env.reset(seed=8)
    for _ in range(7):
        env.step(generator.integers(len(env.action_names), size=3))
    kept = pickle.loads(pickle.dumps(env.snapshot()))
    actions = generator.integers(len(env.action_names), size=(2 * BLOCK, 3))
    first = [env.step(each) for each in actions]
    for again in (env, other):
        again.restore(kept)
        for each, step in zip(actions, first, strict=True):
            assert alike(again.step(each), step)


def test_snapshots_of_something_else_are_refused() -> None:
    env = tabular(SHOP)
    env.reset(seed=0)
    kept = env.snapshot()
    with pytest.raises(BadArgument, match=r"restore\(\) got None: give what snapshot\(\) returned"):
        env.restore(None)  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match=r"got format 1, and 'tabular-2' is wanted: give what snapshot\(\) returned"):
        env.restore({**kept, "format": 1})
    with pytest.raises(BadArgument, match=r"got 3 conversations of CustomerService-v0: here are 2 of CustomerService"):
        tabular(SHOP, count=2).restore(kept)
    other = r"got conversations over 3 scenes: here are 2, and number 0 is 'Cus.*normal/000001', not 'Cus.*easy/000010'"
    with pytest.raises(BadArgument, match=other):
        tabular(SHOP, "normal").restore(kept)
    env.step([env.action_names.index("ask.name")] * 3)
    with pytest.raises(BadArgument, match=r"restore\(\) got turn 1: here a conversation ends after 1 turns"):
        tabular(SHOP, max_turns=1).restore(env.snapshot())


def test_states_of_other_tables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rule was changed since, a state's number is that of another state: which scenes it concerns is told."""
    env, names = tabular(SHOP), scenes_of(SHOP, "easy")
    env.reset(seed=0)
    kept = pickle.loads(pickle.dumps(env.snapshot()))
    tables = env.tables.scenes
    mask = tables[1].mask.copy()
    mask[3] = ~mask[3]
    changed = Tables(
        (tables[0], dataclasses.replace(tables[1], mask=mask, next_state=tables[1].next_state.copy()), tables[2])
    )
    monkeypatch.setattr(Tables, "build", lambda *args, **options: changed)
    other = tabular(SHOP)
    wrong = rf"states of other tables than those here for 1 of 3 scenes \({names[1]}\): go on in the version"
    with pytest.raises(BadArgument, match=wrong):
        other.restore(kept)
    with pytest.raises(ResetNeeded):
        other.action_masks()


@pytest.mark.parametrize("max_turns", [None, 2])
def test_both_vector_environments_tell_the_same_as_gymnasiums_own(max_turns: int | None) -> None:
    """Key by key and type by type: what stands in the rows of conversations that go on, too."""
    chosen: dict[str, Any] = {"scenes": scenes_of(SHOP, "easy"), "max_turns": max_turns}
    table = tabular(SHOP, count=4, max_turns=max_turns)
    numbered = gymnasium.make_vec(SHOP, num_envs=4, view="discrete", **chosen)
    makers = [lambda: DiscreteView(gymnasium.make(SHOP, **chosen))] * 4
    single = gymnasium.vector.SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    for env in (table, numbered, single):
        env.reset(seed=3)
    generator, some, every = np.random.default_rng(0), 0, 0
    for _ in range(60):
        close = generator.random(4) < 0.3
        actions = np.where(close, table.action_names.index("close"), table.action_names.index("apologise"))
        mine, theirs, wanted = (env.step(actions)[4] for env in (table, numbered, single))
        assert alike(mine, theirs)
        if "final_obs" in wanted:
            for key in ("final_obs", "_final_obs"):
                assert alike(mine[key], wanted[key]), key
            some, every = some + (not wanted["_final_obs"].all()), every + wanted["_final_obs"].all()
    assert some > 0
    assert every > 0 or max_turns is None


def alike(one: Any, other: Any) -> bool:
    """Whether two values are of one type and, in all that they hold, equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) or getattr(one, "dtype", None) == np.dtype(object):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tolist()) == (other.dtype, other.shape, other.tolist())
    return type(one) is type(other) and one == other


def test_wrong_actions_are_told_and_not_played() -> None:
    env = tabular(SHOP)
    env.reset(seed=0)
    before = env.snapshot()
    for actions in ([0, 0], "abc", 4, np.array(4)):
        with pytest.raises(BadArgument, match=r"step\(\) takes one index for each of 3 conversations, not "):
            env.step(actions)
    for actions in (np.zeros((3, 1), int), np.zeros(3), ["a", "b", "c"]):
        with pytest.raises(
            InvalidAction, match=r"Conversation 0: .* is no index of the catalogue: give a whole number"
        ):
            env.step(actions)
    with pytest.raises(BadArgument, match=r"step\(\) takes a one-dimensional array or a list of whole numbers, not"):
        env.step(np.array([True, False, True]).tolist())
    for actions in ([0, 45, 0], [0, -1, 0]):
        wrong = rf"Conversation 1: {actions[1]} is no index of the catalogue: give a whole number from 0 to 44"
        with pytest.raises(InvalidAction, match=wrong):
            env.step(actions)
    assert alike(env.snapshot(), before)
    for dtype in (np.uint8, np.int32, np.int64):
        env.restore(before)
        env.step(np.zeros(3, dtype))


def test_wrong_arguments_are_told() -> None:
    kind, names = kind_of(SHOP), scenes_of(SHOP, "easy")
    for count in (0, True, 2.0):
        with pytest.raises(BadArgument, match=rf"num_envs={count!r} must be a whole number from 1 up"):
            TabularVectorEnv(kind, count, scenes=names)  # type: ignore[arg-type]
    for scenes in (0, -3, True, 10**9):
        with pytest.raises(
            BadArgument, match=rf"scenes={scenes!r} must be from 1 to 1000000|scenes={scenes!r} must be"
        ):
            TabularVectorEnv(kind, 1, scenes=scenes)
    for wrong in ({"prompt": "none"}, {"render_mode": "ansi"}, {"on_invalid": "raise"}):
        with pytest.raises(BadArgument, match=rf"{next(iter(wrong))}: tabulated conversations have no words"):
            TabularVectorEnv(kind, 1, scenes=names, **wrong)
    with pytest.raises(BadArgument, match=r"max_episode_steps=5 is not known here: give max_turns=5"):
        TabularVectorEnv(kind, 1, scenes=names, max_episode_steps=5)
    with pytest.raises(
        BadArgument, match=r"terms of its own \('calm'\).*give Reward\(prices\), or take view='discrete'"
    ):
        TabularVectorEnv(kind, 1, scenes=names, reward=Reward(extra={"calm": lambda facts: 0.0}))
    with pytest.raises(BadArgument, match=r"max_turns=0 must be a whole number from 1 up"):
        TabularVectorEnv(kind, 1, scenes=names, max_turns=0)
    with pytest.raises(TypeError, match="colour"):
        TabularVectorEnv(kind, 1, scenes=names, colour="blue")
    unfinished = (
        rf"1 of 1 scenes have more than cap=20 states .*\({re.escape(names[0])}\): raise cap, or leave them out"
    )
    with pytest.raises(BadArgument, match=unfinished):
        TabularVectorEnv(kind, 1, scenes=names[:1], cap=20)
    env = tabular(SHOP)
    with pytest.raises(BadArgument, match=r"options=...\) holds \['colour'\]: only 'scene' and 'reset_mask' are known"):
        env.reset(options={"colour": "blue"})
    with pytest.raises(BadScene, match=r"'CustomerService-v0/train/easy/000099' is none of the 3 that are tabulated"):
        env.reset(options={"scene": "CustomerService-v0/train/easy/000099"})
    with pytest.raises(BadScene, match=r"is none of the 3 that are tabulated"):
        env.reset(options={"scene": {"words": []}})
    with pytest.raises(BadArgument, match=r"lists 1 scenes for 3 conversations: give one each"):
        env.reset(options={"scene": names[:1]})


def test_a_customer_of_ones_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tables, "build", build)
    with pytest.raises(BadArgument, match=r"cannot be tabulated.*Leave customer='agenda'"):
        TabularVectorEnv(kind_of(SHOP), 1, scenes=1, cache=False, customer=lambda brief, heard, act: {})


def test_a_count_takes_the_first_scenes_of_the_kinds() -> None:
    kinds = ["change_profile_address"]
    env = TabularVectorEnv(kind_of(SHOP), 1, scenes=2, kinds=kinds)
    assert env.scene_names == ["CustomerService-v0/train/easy/000010", "CustomerService-v0/train/easy/000034"]
    assert TabularVectorEnv(kind_of(ECHO), 1, scenes=3, split="test").scene_names == [
        f"Echo-v0/test/easy/{number:06d}" for number in range(3)
    ]
    listed = TabularVectorEnv(kind_of(SHOP), 1, scenes=range(8, 12), kinds=kinds)
    assert listed.scene_names == ["CustomerService-v0/train/easy/000010"]


def test_make_vec_makes_it() -> None:
    env = gymnasium.make_vec(ECHO, num_envs=2, view="tabular", scenes=4, difficulty="hard")
    assert isinstance(env.unwrapped, TabularVectorEnv)
    assert len(env.unwrapped.scene_names) == 4
    with pytest.raises(TypeError, match="scenes"):
        gymnasium.make_vec(ECHO, num_envs=2, view="tabular")

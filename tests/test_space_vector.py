"""A JSON space in Gymnasium's vector environments and wrappers: what comes out lies in their spaces, unchanged."""

import copy
import operator
import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)
from gymnasium.wrappers import (
    DelayObservation,
    FlattenObservation,
    FrameStackObservation,
    TimeAwareObservation,
    TransformAction,
)

from stateset_gym.envs.spaces import JSON

SAY = {
    "type": "object",
    "properties": {"type": {"const": "say"}, "words": {"type": "string"}},
    "required": ["type", "words"],
}
LEAVE = {"type": "object", "properties": {"type": {"const": "leave"}}, "required": ["type"]}
ACTIONS = {"anyOf": [SAY, LEAVE]}
TALK = {
    "type": "object",
    "properties": {
        "messages": {"type": "array", "items": {"type": "string"}},
        "turn": {"type": "integer", "minimum": 0},
    },
    "required": ["messages", "turn"],
    "additionalProperties": False,
}
NOTHING = {"messages": [], "turn": 0}


class Talk(gymnasium.Env[Any, Any]):
    """Keeps what is said; greets by a word of the seed; ends when the agent leaves."""

    metadata = {"render_modes": []}

    def __init__(self, max_bytes: int = 1000, nested: bool = False) -> None:
        self.talk, self.nested = JSON(TALK, max_bytes=max_bytes), nested
        self.observation_space = spaces.Dict(talk=self.talk, left=spaces.Discrete(99)) if nested else self.talk
        self.action_space = JSON(ACTIONS)

    def observe(self) -> Any:
        talk = {"messages": list(self.messages), "turn": len(self.messages)}
        return {"talk": talk, "left": np.int64(99 - len(self.messages))} if self.nested else talk

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.messages = [f"hello é {self.np_random.integers(100)}"]
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.messages.append(action.get("words", "bye"))
        return self.observe(), 0.5, action["type"] == "leave", False, {}


def script(seed: int) -> list[dict[str, Any]]:
    """Six actions, the fourth of which leaves."""
    return [{"type": "leave"} if turn == 3 else {"type": "say", "words": f"{seed}/{turn} 東京"} for turn in range(6)]


def episode(env: gymnasium.Env[Any, Any], seed: int, steps: int = 4) -> list[Any]:
    """The observations of the script, each of which lies in the environment's space."""
    observations = [env.reset(seed=seed)[0]]
    observations += [env.step(action)[0] for action in script(seed)[:steps]]
    assert all(observation in env.observation_space for observation in observations)
    return observations


def test_the_environment_checker_is_content(recwarn: pytest.WarningsRecorder) -> None:
    check_env(Talk(), skip_render_check=True)
    assert [str(warning.message) for warning in recwarn] == []


def vector(kind: str, count: int, **kwargs: Any) -> Any:
    makers = [lambda: Talk(**kwargs) for _ in range(count)]
    if kind == "sync":
        return SyncVectorEnv(makers)
    return AsyncVectorEnv(makers, shared_memory=kind == "shared")


def part(batch: Any, index: int, nested: bool) -> Any:
    return {"talk": batch["talk"][index], "left": batch["left"][index]} if nested else batch[index]


@pytest.mark.parametrize("nested", [False, True], ids=["json", "json in a dict"])
@pytest.mark.parametrize("kind", ["sync", "shared", "pipes"])
def test_vector_environments_give_what_single_ones_give(kind: str, nested: bool) -> None:
    envs = vector(kind, 3, nested=nested)
    turns = zip(*(script(10 + index)[:4] for index in range(3)), strict=True)
    batches = [envs.reset(seed=[10, 11, 12])[0], *(envs.step(actions)[0] for actions in turns)]
    assert all(batch in envs.observation_space for batch in batches)
    for index in range(3):
        assert [part(batch, index, nested) for batch in batches] == episode(Talk(nested=nested), 10 + index)
    after_the_end = envs.step(tuple(script(0)[:1]) * 3)[0]
    assert [len(part(after_the_end, index, nested)["talk" if nested else "messages"]) for index in range(3)] == (
        [2] * 3 if nested else [1] * 3
    )
    envs.close()


@pytest.mark.parametrize("kind", ["sync", "shared"])
def test_the_sampled_batch_of_actions_can_be_played(kind: str) -> None:
    envs = vector(kind, 2)
    envs.reset(seed=1)
    envs.action_space.seed(1)
    actions = envs.action_space.sample()
    assert actions in envs.action_space
    assert envs.step(actions)[0] in envs.observation_space
    mask = np.array([1, 0], np.int8)
    assert [action["type"] for action in envs.action_space.sample(mask=(mask, mask))] == ["say", "say"]
    envs.close()


def test_shared_memory_without_copies_shows_what_is_now() -> None:
    envs = AsyncVectorEnv([Talk, Talk], copy=False)
    batch = envs.reset(seed=1)[0]
    first = copy.deepcopy(batch)
    envs.step(tuple(script(0)[:1]) * 2)
    assert [observation["turn"] for observation in batch] == [2, 2]
    assert [observation["turn"] for observation in first] == [1, 1]
    envs.close()


def test_a_value_too_long_for_shared_memory_is_a_clear_error() -> None:
    space = JSON({}, max_bytes=10)
    memory = create_shared_memory(space, n=2)
    write_to_shared_memory(space, 1, "x" * 8, memory)
    with pytest.raises(
        ValueError, match=r"takes 11 bytes .* max_bytes=10: .* larger max_bytes, .* shared_memory=False"
    ):
        write_to_shared_memory(space, 1, "x" * 9, memory)
    with pytest.raises(ValueError, match="must be plain JSON: `a` is not JSON: it is a Python tuple"):
        write_to_shared_memory(space, 0, {"a": ()}, memory)


def test_a_shared_batch_is_a_tuple_of_what_is_written() -> None:
    space = JSON(TALK)
    memory = create_shared_memory(space, n=3)
    batch = read_from_shared_memory(space, memory, n=3)
    assert batch == (NOTHING,) * 3
    long, short = {"messages": ["é" * 99], "turn": 10**30}, {"messages": [], "turn": 2}
    write_to_shared_memory(space, 0, long, memory)
    write_to_shared_memory(space, 2, long, memory)
    write_to_shared_memory(space, 2, short, memory)
    held = (long, NOTHING, short)
    assert batch == held
    assert not operator.ne(batch, held)
    assert isinstance(batch, tuple)
    assert list(batch) == list(held)
    assert tuple(batch) == batch[:] == held
    assert (batch[0], batch[-1]) == (long, short)
    assert [*batch] == [*held]
    assert long in batch
    assert operator.add(batch, (1,)) == (*held, 1)
    assert operator.add((1,), batch) == (1, *held)
    assert (batch.count(long), batch.index(short)) == (1, 2)
    assert repr(batch) == repr(held)
    assert len(batch) == 3
    for still in (copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert type(still) is tuple
        assert still == held


def test_batches_are_tuples_with_generators_of_their_own() -> None:
    single = JSON(ACTIONS, seed=4)
    batch = batch_space(single, 3)
    assert batch == spaces.Tuple([JSON(ACTIONS)] * 3)
    sample = batch.sample()
    assert sample in batch
    assert sample == batch_space(JSON(ACTIONS, seed=4), 3).sample()
    assert single.sample() == JSON(ACTIONS, seed=4).sample()
    assert len({str(space.np_random.bit_generator.state) for space in batch}) == 3
    items = [{"type": "leave"}, {"type": "say", "words": ""}, {"type": "leave"}]
    assert concatenate(single, items, create_empty_array(single, 3)) == tuple(items)
    assert list(iterate(batch, tuple(items))) == items


def test_empty_arrays_are_smallest_values_and_not_shared() -> None:
    empty = create_empty_array(JSON(TALK), 2)
    assert empty == (NOTHING, NOTHING)
    assert empty[0] is not empty[1]
    assert create_empty_array(JSON({"pattern": "a"}), 2) == (None, None)


def test_spaces_of_different_schemas_batch_when_their_buffers_agree() -> None:
    batch = batch_differing_spaces([JSON(SAY), JSON(LEAVE)])
    assert ({"type": "say", "words": ""}, {"type": "leave"}) in batch
    assert ({"type": "leave"}, {"type": "leave"}) not in batch
    assert spaces.utils.is_space_dtype_shape_equiv(JSON(SAY), JSON(LEAVE))
    assert not spaces.utils.is_space_dtype_shape_equiv(JSON(SAY), JSON(SAY, max_bytes=9))
    assert not spaces.utils.is_space_dtype_shape_equiv(JSON(SAY), spaces.Discrete(2))
    envs = AsyncVectorEnv([Talk, lambda: Talk()], observation_mode="different")
    assert envs.reset(seed=[3, 4])[0] == (episode(Talk(), 3)[0], episode(Talk(), 4)[0])
    envs.close()


def test_flattening_is_undone() -> None:
    space = JSON({}, max_bytes=100, seed=2)
    for value in [None, "é😀", {"a": [1, 2.5, True]}, -0.0, 10**40, "x" * 98]:
        flat = spaces.flatten(space, value)
        assert flat in spaces.flatten_space(space)
        assert flat.shape == (spaces.flatdim(space),)
        assert repr(spaces.unflatten(space, flat)) == repr(value)
    both = spaces.Dict(talk=JSON(TALK, max_bytes=100), box=spaces.Box(-1, 1, (2,), np.float64))
    held = {"talk": NOTHING, "box": np.array([0.5, -1.0])}
    assert spaces.flatten(both, held) in spaces.flatten_space(both)
    assert spaces.unflatten(both, spaces.flatten(both, held))["talk"] == NOTHING
    with pytest.raises(ValueError, match="more than the space's max_bytes=100"):
        spaces.flatten(space, "x" * 99)
    with pytest.raises(ValueError, match="not the text of a JSON value"):
        spaces.unflatten(space, np.full(104, 255, np.uint8))


def test_a_json_space_flattens_as_one_of_several() -> None:
    either = spaces.OneOf([JSON(TALK, max_bytes=60), spaces.Discrete(3)])
    flat = spaces.flatten(either, (0, NOTHING))
    assert flat in spaces.flatten_space(either)
    index, value = spaces.unflatten(either, flat)
    assert (index, value) == (0, NOTHING)


@pytest.mark.parametrize("nested", [False, True], ids=["json", "json in a dict"])
def test_flattened_observations_are_the_plain_ones(nested: bool) -> None:
    plain = Talk(nested=nested).observation_space
    flat = episode(FlattenObservation(Talk(nested=nested)), 7)
    assert [spaces.unflatten(plain, observation) for observation in flat] == episode(Talk(nested=nested), 7)


@pytest.mark.parametrize("padding", ["reset", "zero", {"messages": ["pad"], "turn": 0}], ids=str)
def test_stacked_observations_are_the_plain_ones(padding: Any) -> None:
    plain = episode(Talk(), 7)
    first = {"reset": plain[0], "zero": NOTHING}.get(padding, padding) if isinstance(padding, str) else padding
    stacked = episode(FrameStackObservation(Talk(), 3, padding_type=padding), 7)
    history = [first, first, *plain]
    assert stacked == [tuple(history[turn : turn + 3]) for turn in range(len(plain))]


def test_delayed_observations_are_the_plain_ones_later() -> None:
    plain = episode(Talk(), 7)
    assert episode(DelayObservation(Talk(), 2), 7) == [NOTHING, NOTHING, *plain[:-2]]


def test_stacks_flatten_too() -> None:
    env = FlattenObservation(FrameStackObservation(Talk(), 2))
    inner = FrameStackObservation(Talk(), 2).observation_space
    plain = episode(Talk(), 7)
    assert spaces.unflatten(inner, episode(env, 7)[-1]) == tuple(plain[-2:])


def test_time_is_flattened_beside_the_talk() -> None:
    env = TimeAwareObservation(gymnasium.wrappers.TimeLimit(Talk(), 9))
    assert len(episode(env, 7)) == 5


def test_transformed_actions_are_played() -> None:
    env = TransformAction(Talk(), lambda words: {"type": "say", "words": words}, spaces.Text(9))
    env.reset(seed=7)
    assert env.step("hi")[0]["messages"][-1] == "hi"
    assert env.step("ho")[0] in env.observation_space

"""What the engine hands out, and snapshots of where it stands."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from stateset_gym.envs.errors import ResetNeeded
from stateset_gym.envs.memory import Memory
from stateset_gym.policies.registry import make as policy
from stateset_gym.policies.rollout import rollout

from .talks import DESK, DIFFICULTIES, ECHO, IDS, JUNK, conversation, fresh, plain, played, scene, script

# Observations


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_each_transcript_is_a_prefix_of_the_next_and_lies_in_the_space(env_id: str, difficulty: str) -> None:
    env = conversation(env_id, difficulty=difficulty)
    for seed in range(6):
        observation, info = env.reset(seed=seed)
        seen = [observation, *(env.step(text)[0] for text in script(env_id, info["scene"], seed))]
        for before, after in itertools.pairwise(seen):
            assert after["messages"][: len(before["messages"])] == before["messages"]
            assert [m["role"] for m in after["messages"][len(before["messages"]) :]] == ["assistant", "user"]
            assert after["messages"] is not before["messages"]
        assert all(each in env.observation_space for each in seen)


@pytest.mark.parametrize("env_id", IDS)
def test_what_the_expert_does_lies_in_the_action_space(env_id: str) -> None:
    env, agent = conversation(env_id, difficulty="hard"), policy("expert", env_id)
    for seed in range(10):
        episode = rollout(agent, env, seed=seed)
        assert all(json.loads(env.parts.actions.encode(a)) in env.action_space for a in episode.actions)


@pytest.mark.parametrize("env_id", IDS)
def test_sampled_actions_are_never_malformed(env_id: str) -> None:
    env = conversation(env_id, difficulty="hard")
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(40):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        assert info["malformed"] == ""
        if terminated or truncated:
            env.reset()


@pytest.mark.parametrize("env_id", IDS)
def test_lists_that_were_handed_out_may_be_changed(env_id: str) -> None:
    name = scene(env_id, "hard", 5)
    texts = script(env_id, name, 1)
    clean, env = fresh(env_id), fresh(env_id)
    for _ in range(3):  # made, made and kept, met again
        observation, info = env.reset(options={"scene": name})
        assert (observation, info) == clean.reset(options={"scene": name})
        for text in texts:
            observation["messages"].clear()
            for fact in info["facts"]:
                fact.clear()
            info["facts"].clear()
            info["violations"].append("mine")
            info["reward_terms"].clear()
            observation, *others, info = env.step(text)
            assert (observation, *others, info) == clean.step(text)


@pytest.mark.parametrize("env_id", IDS)
def test_memory_is_the_fold_of_what_the_infos_showed(env_id: str) -> None:
    env = conversation(env_id, difficulty="hard")
    for seed in range(5):
        _, info = env.reset(seed=seed)
        memory = Memory()
        memory.fold(None, info["facts"])
        for text in script(env_id, info["scene"], seed):
            *_, info = env.step(text)
            action = None if info["malformed"] else env.parts.actions.decoder.decode(text)
            memory.fold(action, info["facts"])
            assert env.memory.key() == memory.key()


@pytest.mark.parametrize("meetings", [1, 3])
def test_facts_that_were_handed_out_may_be_changed_to_their_depths(meetings: int) -> None:
    name = scene(DESK, "hard", 6)
    texts = script(DESK, name, 1, share=0.0)
    expected = played(fresh(DESK), name, texts)
    env = fresh(DESK)
    for _ in range(meetings):
        outcome: Any = env.reset(options={"scene": name})
        key = env.memory.key()
        spoil(outcome[-1])
        assert env.memory.key() == key
        for place, text in enumerate(texts, 1):
            outcome = env.step(text)
            assert plain(outcome) == expected[place]
            key = env.memory.key()
            spoil(outcome[-1])
            assert env.memory.key() == key


@pytest.mark.parametrize("place", [0, 1])
def test_messages_that_were_handed_out_are_no_other_conversations(place: int) -> None:
    name, env = scene(DESK, "hard", 6), fresh(DESK)
    message = env.reset(options={"scene": name})[0]["messages"][place]
    told = message["content"]
    message["content"] = "spoilt"
    for other in (env, fresh(DESK), conversation(DESK)):
        assert other.reset(options={"scene": name})[0]["messages"][place]["content"] == told


def spoil(value: Any) -> None:
    """Change everything within a value."""
    if isinstance(value, dict):
        for key in value:
            spoil(value[key])
            if isinstance(value[key], str | int):
                value[key] = "spoilt"
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.append("spoilt")


# Snapshots


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("kept", [False, True])
def test_going_back_to_any_turn_is_the_same_as_never_having_left(env_id: str, difficulty: str, kept: bool) -> None:
    name = scene(env_id, difficulty, 11)
    texts = script(env_id, name, 3)
    expected = played(fresh(env_id), name, texts)
    env = fresh(env_id)
    for _ in range(2 * kept):
        env.reset(options={"scene": name})
    env.reset(options={"scene": name})
    snapshots = [env.snapshot()]
    for text in texts:
        env.step(text)
        snapshots.append(env.snapshot())
    for turn in reversed(range(len(snapshots))):
        observation, info = env.restore(snapshots[turn])
        before = json.loads(expected[turn])
        assert plain(observation) == plain(before[0])
        assert plain(info) == plain(before[-1])
        for place, text in enumerate(texts[turn:], turn + 1):
            assert plain(env.step(text)) == expected[place]


def test_a_snapshot_holds_the_stream_of_scenes() -> None:
    env = conversation(DESK)
    env.reset(seed=3)
    snapshot = env.snapshot()
    after = [env.reset()[1]["scene"] for _ in range(3)]
    for _ in range(2):
        env.restore(snapshot)
        assert [env.reset()[1]["scene"] for _ in range(3)] == after
    other = conversation(DESK)
    other.restore(snapshot)
    assert [other.reset()[1]["scene"] for _ in range(3)] == after


@pytest.mark.parametrize("prompt", ["full", "none"])
def test_a_snapshot_is_good_on_another_environment_of_the_same_kind(prompt: str) -> None:
    name = scene(DESK, "hard", 4)
    texts = script(DESK, name, 5)
    env, other = conversation(DESK), conversation(DESK, prompt=prompt, split="test")
    env.reset(options={"scene": name})
    for text in texts[:4]:
        env.step(text)
    observation, info = other.restore(env.snapshot())
    assert info["scene"] == name
    assert observation["turn"] == 4
    system = [m for m in observation["messages"] if m["role"] == "system"]
    assert len(system) == (prompt == "full")
    for text in texts[4:]:
        mine, theirs = env.step(text), other.step(text)
        assert mine[1:] == theirs[1:]
        assert mine[0]["messages"][1:] == theirs[0]["messages"][len(system) :]


def test_branches_do_not_touch_each_other() -> None:
    name = scene(DESK, "hard", 9)
    texts = script(DESK, name, 2, share=0.0)
    branches = [[*texts[:3], text, *texts[3:6]] for text in JUNK]
    expected = [played(fresh(DESK), name, branch) for branch in branches]
    env = conversation(DESK)
    env.reset(options={"scene": name})
    for text in texts[:3]:
        env.step(text)
    snapshot = env.snapshot()
    for branch, outcomes in zip(branches, expected, strict=True):
        env.restore(snapshot)
        assert [plain(env.step(text)) for text in branch[3:]] == outcomes[4:]


def test_a_branch_truncates_where_the_conversation_would() -> None:
    env = conversation(ECHO, max_turns=3)
    env.reset(seed=0)
    env.step("...")
    snapshot = env.snapshot()
    for _ in range(2):
        env.restore(snapshot)
        assert not env.step("...")[3]
        assert env.step("...")[3]


def test_a_group_from_one_snapshot_stands_in_one_place() -> None:
    env = conversation(DESK, difficulty="hard")
    env.reset(seed=9)
    snapshot = env.snapshot()
    group = [conversation(DESK, difficulty="hard") for _ in range(4)]
    starts = {plain(member.restore(snapshot)) for member in group}
    assert len(starts) == 1
    assert len({plain(member.step('{"type": "ask", "field": "request"}')) for member in group}) == 1


def test_the_end_can_be_restored_and_is_the_end() -> None:
    env = conversation(ECHO, max_turns=1)
    env.reset(seed=0)
    ended = env.step("...")
    snapshot = env.snapshot()
    env.reset()
    observation, info = env.restore(snapshot)
    assert (observation, info) == (ended[0], ended[4])
    with pytest.raises(ResetNeeded, match="is over"):
        env.step("...")

"""The engine: reset, step, faults, ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from stateset_gym.envs.errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from stateset_gym.policies.registry import make as policy
from stateset_gym.policies.rollout import rollout

from .talks import DESK, DIFFICULTIES, ECHO, IDS, INFO, TRIAGE, conversation, fresh, scene, script

# The opening and the stream of scenes


@pytest.mark.parametrize("env_id", IDS)
def test_a_reset_opens_a_conversation(env_id: str) -> None:
    env = conversation(env_id)
    observation, info = env.reset(seed=0)
    assert [message["role"] for message in observation["messages"]] == ["system", "user"]
    assert observation["turn"] == 0 < observation["turns_left"]
    assert {key: type(value) for key, value in info.items()} == INFO
    assert info["facts"]
    assert (info["outcome"], info["is_success"], info["malformed"], info["refused"]) == ("", False, "", "")
    assert set(info["reward_terms"].values()) == {0.0}


@pytest.mark.parametrize("env_id", IDS)
def test_a_seed_starts_a_stream_of_scenes(env_id: str) -> None:
    def stream(seed: int) -> list[str]:
        env = conversation(env_id, difficulty="hard", split="test")
        return [env.reset(seed=seed)[1]["scene"], *(env.reset()[1]["scene"] for _ in range(5))]

    first = stream(7)
    assert first == stream(7) != stream(8)
    assert len(set(first)) == 6
    assert all(name.startswith(scene(env_id, "hard", split="test")[:-6]) for name in first)


def test_a_seed_works_after_a_generator_of_ones_own() -> None:
    env, other = conversation(ECHO), conversation(ECHO)
    expected = env.reset(seed=1)
    other.np_random = np.random.Generator(np.random.Philox(7))
    other.reset()
    assert other.reset(seed=1) == expected
    assert other.np_random_seed == 1


@pytest.mark.parametrize("options", [None, {}])
def test_empty_options_ask_for_the_next_scene(options: dict[str, Any] | None) -> None:
    env = conversation(ECHO, scenes=[3])
    assert env.reset(seed=1, options=options)[1]["scene"] == scene(ECHO, index=3)


@pytest.mark.parametrize("env_id", IDS)
def test_a_scene_is_played_by_its_name_whatever_the_pool(env_id: str) -> None:
    env = conversation(env_id, difficulty="easy")
    name = scene(env_id, "hard", 17, "test")
    before = env.reset(seed=5)[1]["scene"]
    assert env.reset(options={"scene": name})[1]["scene"] == name
    other = conversation(env_id, difficulty="easy")
    assert other.reset(seed=5)[1]["scene"] == before
    assert other.reset()[1]["scene"] == env.reset()[1]["scene"], "a named scene draws nothing from the stream"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scenes": "x"}, BadArgument, r"reset\(options=...\) holds \['scenes'\]: only 'scene' is known"),
        ({"scene": scene(ECHO), "b": 1, "a": 2}, BadArgument, r"holds \['a', 'b'\]"),
        ({"scene": "Echo-v0/train/easy/1"}, BadScene, "'Echo-v0/train/easy/1' is no scene's name: it reads like"),
        ({"scene": None}, BadScene, "None is no scene's name"),
        ({"scene": 3}, BadScene, "3 is no scene's name"),
        ({"scene": scene(DESK)}, BadScene, "000000' is not one of Echo-v0: take a scene of this environment and store"),
        ({"scene": f"{scene(ECHO)}@0123abcd"}, BadScene, "is not one of Echo-v0"),
        ({"scene": {"words": ["amber"]}}, BadScene, "This is no Echo scene: .*`asks`.*It reads like"),
        ({"scene": {"words": ["amber"], "asks": []}}, BadScene, "not 0 times for 1 words"),
        ({"scene": {"words": [], "asks": []}}, BadScene, "not 0 times for 0 words"),
    ],
)
def test_what_reset_cannot_play_is_said(options: dict[str, Any], error: type[Exception], message: str) -> None:
    env = conversation(ECHO)
    env.reset(seed=0)
    with pytest.raises(error, match=message):
        env.reset(options=options)
    env.step('{"type": "say", "word": "amber"}')  # the conversation before it stands


def test_a_scene_of_ones_own_has_the_same_name_for_the_same_content() -> None:
    env = conversation(ECHO)
    own = {"words": ["amber", "birch"], "asks": ["say", "say"]}
    names = [env.reset(options={"scene": each})[1]["scene"] for each in (own, own, {**own, "asks": ["say", "tell me"]})]
    assert names[0] == names[1] != names[2]
    observation, info = env.reset(options={"scene": own})
    assert (info["par"], observation["turns_left"]) == (2, 2)
    assert observation["messages"][-1]["content"] == "Say amber."
    assert env.step({"type": "say", "word": "amber"})[1:4] == (0.0, False, False)
    assert env.step({"type": "say", "word": "birch"})[1:4] == (1.0, True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split='dev' is not known: choose one of 'train', 'test'."),
        ({"difficulty": "Easy"}, "difficulty='Easy' is not known: choose one of 'easy', 'normal', 'hard'."),
        ({"prompt": "long"}, "prompt='long' is not known: choose one of 'full', 'brief', 'none'."),
        ({"on_invalid": "skip"}, "on_invalid='skip' is not known: choose one of 'price', 'raise'."),
        ({"max_turns": 0}, "max_turns=0 must be a whole number from 1 up, or None"),
        ({"max_turns": True}, "max_turns=True must be a whole number"),
        ({"max_turns": 2.0}, "max_turns=2.0 must be a whole number"),
        ({"customer": "llm"}, "customer='llm' is not known: give 'agenda', 'openai:MODEL', "),
        ({"reward": 1.0}, "reward=1.0 is no Reward: build one with"),
        ({"kinds": "cancel_order"}, r"kinds='cancel_order' is a string: give a list, \['cancel_order'\]."),
        ({"kinds": ["cancel"]}, r"kinds \(of CustomerService-v0/train/easy/\)='cancel' is not known: .*'cancel_order'"),
        ({"kinds": []}, r"kinds=\[\] leaves no scene: name at least one of .*cancel_order"),
        ({"scenes": []}, r"scenes=\[\] with kinds=None leaves no scene: widen one of them."),
        ({"scenes": [-1]}, "scenes holds -1: give whole numbers from 0 to 999999, or scene names."),
        ({"scenes": [True]}, "scenes holds True: give whole numbers"),
    ],
)
def test_an_argument_without_meaning_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        gym.make(DESK, **arguments)


def test_render_mode_is_one_of_the_known() -> None:
    with pytest.raises(BadArgument, match="render_mode='text' is not known: choose one of None, 'ansi', 'human'"):
        type(conversation(ECHO))(render_mode="text")


@pytest.mark.parametrize("env_id", [ECHO, TRIAGE])
def test_a_customer_who_does_not_answer_cannot_be_played(env_id: str) -> None:
    with pytest.raises(BadArgument, match="has no customer who answers; leave it out"):
        gym.make(env_id, customer=lambda brief, transcript, act: {"act": "leave"})


def test_a_misspelt_argument_does_not_vanish() -> None:
    with pytest.raises(TypeError, match="dificulty"):
        gym.make(DESK, dificulty="easy")


# Step, and before and after


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("call", ["step", "snapshot", "memory"])
def test_there_is_nothing_to_do_before_a_reset(env_id: str, call: str) -> None:
    env = conversation(env_id, render_mode="ansi")
    calls: dict[str, Callable[[], Any]] = {
        "step": lambda: env.step("{}"),
        "snapshot": env.snapshot,
        "memory": lambda: env.memory,
    }
    with pytest.raises(ResetNeeded, match=rf"{env.parts.name}: .*reset\(\)"):
        calls[call]()
    with pytest.raises(gym.error.ResetNeeded):
        calls[call]()


@pytest.mark.parametrize("env_id", IDS)
def test_a_step_after_the_end_needs_a_reset(env_id: str) -> None:
    env = conversation(env_id, max_turns=1)
    env.reset(seed=0)
    assert env.step("nothing")[3]
    for _ in range(2):
        with pytest.raises(ResetNeeded, match=r"the conversation is over or has not begun; call reset\(\) first"):
            env.step("nothing")
    env.reset()
    env.step("nothing")


@pytest.mark.parametrize("form", ["text", "dict", "struct", "fence", "thought"])
def test_an_action_is_text_a_dict_or_a_struct(form: str) -> None:
    env = fresh(DESK)
    env.reset(options={"scene": scene(DESK)})
    action = {"type": "find_customer", "email": "nobody@post.example"}
    text = json.dumps(action)
    struct = env.parts.actions.decoder.decode(text)
    forms: dict[str, Any] = {
        "text": text,
        "dict": action,
        "struct": struct,
        "fence": f"Let me look.\n```json\n{text}\n```",
        "thought": f'<think>{{"type": "close"}}</think>{text}',
    }
    observation, _, _, _, info = env.step(forms[form])
    said = forms[form] if isinstance(forms[form], str) else '{"type":"find_customer","email":"nobody@post.example"}'
    assert observation["messages"][-2] == {"role": "assistant", "content": said}
    assert (
        observation["messages"][-1] == {"role": "user", "content": info["facts"][-1]["words"][0]} or info["violations"]
    )
    assert info["malformed"] == ""
    assert env.memory.done == {struct: 1}


@pytest.mark.parametrize(
    ("action", "key", "told", "term", "price"),
    [
        ("Hello!", "malformed", "[malformed] there is no JSON object", "format", -0.05),
        ({"type": "ask", "field": "age"}, "malformed", "[malformed] ", "format", -0.05),
        ({"type": "get_product", "product_id": "P0"}, "refused", "[get_product refused] There is no", "format", -0.02),
        ({"type": "get_order", "order_id": "O99"}, "violations", "[authenticate_first] ", "conduct", -0.25),
        (
            {"type": "inform", "claims": [{"about": "O99", "field": "total", "value": 1}]},
            "violations",
            "[supported_claims] ",
            "truth",
            -0.25,
        ),
    ],
)
def test_a_fault_takes_a_turn_is_told_and_priced(action: Any, key: str, told: str, term: str, price: float) -> None:
    env = conversation(DESK)
    before, _ = env.reset(options={"scene": scene(DESK)})
    observation, reward, terminated, truncated, info = env.step(action)
    assert observation["turn"] == 1
    assert observation["turns_left"] == before["turns_left"] - 1
    assert told in observation["messages"][-1]["content"]
    assert info[key]
    assert info["reward_terms"][term] == price
    assert reward == sum(info["reward_terms"].values())
    assert (terminated, truncated) == (False, False)


def test_a_refused_or_malformed_act_changes_nothing_but_the_turn() -> None:
    env = fresh(DESK)
    env.reset(options={"scene": scene(DESK)})
    key = env.memory.key()
    env.step("not JSON")
    env.step({"type": "get_product", "product_id": "P0"})
    assert env.memory.key() == key


def test_on_invalid_raise_concerns_malformed_actions_alone() -> None:
    env = fresh(DESK, on_invalid="raise")
    env.reset(options={"scene": scene(DESK)})
    for action in ("Hello!", {"type": "ask"}, 3, None):
        with pytest.raises(InvalidAction, match=r"CustomerService-v0: malformed action: .+"):
            env.step(action)
    with pytest.raises(gym.error.InvalidAction, match="there is no JSON object in the text"):
        env.step("Hello!")
    observation, *_, info = env.step({"type": "get_order", "order_id": "O99"})
    assert observation["turn"] == 1, "what was raised took no turn"
    assert info["refused"]
    assert info["violations"]


@pytest.mark.parametrize("env_id", IDS)
def test_prompt_modes(env_id: str) -> None:
    systems, rests = {}, []
    for prompt in ("full", "brief", "none"):
        env = conversation(env_id, prompt=prompt)
        messages = env.reset(options={"scene": scene(env_id)})[0]["messages"]
        systems[prompt] = [m["content"] for m in messages if m["role"] == "system"]
        rests.append([m for m in messages if m["role"] != "system"])
    assert rests[0] == rests[1] == rests[2]
    assert systems["none"] == []
    (full,), (brief,) = systems["full"], systems["brief"]
    assert len(brief) < len(full)
    for name, kind in env.parts.actions.by_name.items():
        assert f"- {name}(" in full
        assert f"- {name}(" in brief
        for example in kind.examples:
            text = env.parts.actions.encoder.encode(example).decode()
            assert text in full
            assert text not in brief


# Ends


def test_max_turns_truncates_and_pays_the_goal_that_is_reached() -> None:
    name = scene(DESK, "normal", 1)
    episode = rollout(policy("expert", DESK), gym.make(DESK), name)
    assert (episode.total, episode.outcome, episode.truncated) == (1.0, "closed", False)
    env = conversation(DESK, max_turns=episode.turns - 1)
    observation, _ = env.reset(options={"scene": name})
    assert observation["turns_left"] == episode.turns - 1
    rewards = []
    for action in episode.actions[:-1]:
        observation, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
    assert (terminated, truncated, info["outcome"]) == (False, True, "out_of_turns")
    assert info["is_success"]
    assert sum(rewards) == 1.0
    assert observation["turns_left"] == 0
    assert observation["messages"][-1]["content"].endswith("[end] no turns are left")


@pytest.mark.parametrize("env_id", IDS)
def test_a_goal_that_is_missed_pays_nothing(env_id: str) -> None:
    env = conversation(env_id, max_turns=3, difficulty="hard")
    env.reset(seed=1)
    rewards = [env.step("...")[1] for _ in range(2)]
    _, reward, terminated, truncated, info = env.step("...")
    assert (terminated, truncated) == (False, True)
    assert info["reward_terms"]["goal"] == 0.0
    assert not info["is_success"]
    assert sum(rewards) + reward < 0


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_turns_beyond_par_cost(env_id: str, difficulty: str) -> None:
    env = conversation(env_id, difficulty=difficulty, max_turns=100)
    _, info = env.reset(seed=4)
    idle = '{"type": "list_products"}' if env_id == DESK else "..."
    late = [env.step(idle)[4]["reward_terms"]["turns"] for _ in range(info["par"] + 2)]
    assert late == [0.0] * info["par"] + [-0.02, -0.02]


@pytest.mark.parametrize("env_id", IDS)
def test_the_limit_is_the_scenes_own_by_default(env_id: str) -> None:
    env = conversation(env_id, difficulty="hard")
    observation, info = env.reset(seed=2)
    left = observation["turns_left"]
    assert left >= info["par"]
    for turn in range(1, left + 1):
        observation, _, _, truncated, info = env.step("...")
        assert (observation["turn"], observation["turns_left"]) == (turn, left - turn)
        assert truncated == (turn == left)


@pytest.mark.parametrize("env_id", IDS)
def test_every_fact_says_its_words(env_id: str) -> None:
    env = conversation(env_id, difficulty="hard")
    for seed in range(10):
        for text in script(env_id, env.reset(seed=seed)[1]["scene"], seed):
            observation, *_, info = env.step(text)
            for fact in info["facts"]:
                assert all(words in observation["messages"][-1]["content"] for words in fact["words"])

"""The engine: reset, step, faults, ends, snapshots, and turns that are kept and met again."""

from __future__ import annotations

import copy
import gc
import itertools
import json
import pickle
import random
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from stateset_gym.envs import turns
from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.envs.errors import BadArgument, BadScene, InvalidAction, ResetNeeded
from stateset_gym.envs.memory import Memory
from stateset_gym.policies.registry import make as policy
from stateset_gym.policies.rollout import rollout
from stateset_gym.rewards import Prices, Reward

ECHO, DESK, TRIAGE = "StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0"
IDS = (ECHO, DESK, TRIAGE)
DIFFICULTIES = ("easy", "normal", "hard")
INFO = {
    "scene": str,
    "kind": str,
    "par": int,
    "facts": list,
    "reward_terms": dict,
    "malformed": str,
    "refused": str,
    "violations": list,
    "outcome": str,
    "is_success": bool,
}
JUNK = (
    "",
    "I would rather talk.",
    '{"type": "no such act"}',
    '{"type": "close"} {"type": "close"}',
    "[1, 2]",
    '{"type": "get_order", "order_id": "O0"}',
    '{"type": "cancel_order", "order_id": "O0", "reason": "no_longer_needed"}',
    '{"type": "inform", "claims": [{"about": "O0", "field": "status", "value": "lost"}]}',
    '{"type": "ask", "field": "email"}',
    '{"type": "apologise", "message": "This is on us, Yasmin."}',
    '{"type": "say", "word": "nothing"}',
    '{"type": "triage", "queue": "other", "priority": "low", "product": "moon"}',
    '{"type": "triage", "queue": "other", "priority": "low", "amount_cents": 123456789012345678901234567890}',
    '{"type": "inform", "claims": [{"about": "O0", "field": "total", "value": 123456789012345678901234567890}]}',
    '{"type": "apologise", "message": "Oh \u00ef\ud83d\ude00 \ufeff"}',
)


def conversation(env_id: str, **arguments: Any) -> ConversationEnv:
    env = gym.make(env_id, **arguments).unwrapped
    assert isinstance(env, ConversationEnv)
    return env


def fresh(env_id: str, **arguments: Any) -> ConversationEnv:
    """An environment that shares no turn with any other."""
    return conversation(env_id, reward=Reward(), **arguments)


def scene(env_id: str, difficulty: str = "easy", index: int = 0, split: str = "train") -> str:
    return f"{env_id.removeprefix('StateSet/')}/{split}/{difficulty}/{index:06d}"


def plain(outcome: Any) -> str:
    return json.dumps(outcome, sort_keys=False)


def script(env_id: str, name: str, seed: int, share: float = 0.3) -> list[str]:
    """Texts that lead through a scene: the expert's, with others among them."""
    chance, env, agent = random.Random(seed), fresh(env_id), policy("expert", env_id)
    encode = env.parts.actions.encode
    texts: list[str] = []
    observation, info = env.reset(options={"scene": name})
    agent.reset()
    while not info["outcome"]:
        junk = chance.random() < share
        text = chance.choice(JUNK) if junk else encode(agent.act(observation, info["facts"]))
        texts.append(text)
        observation, _, _, _, step = env.step(text)
        info = {**step, "facts": [*info["facts"], *step["facts"]]} if junk else step
    return texts


def played(env: ConversationEnv, name: str, texts: list[str]) -> list[str]:
    """The outcomes of a scene's opening and each text, as JSON."""
    outcomes = [plain(env.reset(options={"scene": name}))]
    return outcomes + [plain(env.step(text)) for text in texts]


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


# Turns that are kept


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_turns_met_again_are_those_of_a_fresh_tree(env_id: str, difficulty: str) -> None:
    shared = conversation(env_id)
    for index in range(4):
        name = scene(env_id, difficulty, 100 + index)
        for seed in (0, 1, 0, 2, 1):
            texts = script(env_id, name, seed)
            assert played(shared, name, texts) == played(fresh(env_id), name, texts)


def test_a_kept_turn_is_followed_by_whatever_is_done_then() -> None:
    name = scene(DESK, "normal", 31)
    shared = conversation(DESK)
    base = script(DESK, name, 0, share=0.0)
    for _ in range(3):
        played(shared, name, base)
    for cut in range(len(base)):  # turns whose state a later turn has taken over are gone on from
        for text in JUNK[5:9]:
            texts = [*base[:cut], text, *base[cut : cut + 2]]
            assert played(shared, name, texts) == played(fresh(DESK), name, texts)


def test_dicts_and_texts_of_one_action_lead_to_one_turn() -> None:
    name = scene(DESK, "easy", 8)
    texts = script(DESK, name, 0, share=0.0)
    env = fresh(DESK)
    for _ in range(2):
        expected = played(env, name, texts)
        env.reset(options={"scene": name})
        assert [plain(env.step(json.loads(text))) for text in texts] == expected[1:]


def test_a_long_text_is_played_like_any_other() -> None:
    env = conversation(ECHO)
    text = "so " * 2000
    name = scene(ECHO, "easy", 2)
    outcomes = {tuple(played(env, name, [text])) for _ in range(4)}
    assert len(outcomes) == 1
    assert json.loads(outcomes.pop()[1])[0]["messages"][-2]["content"] == text


def test_dropped_turns_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [scene(DESK, "normal", index) for index in range(6)]
    scripts = {name: script(DESK, name, 1) for name in names}
    expected = {name: played(fresh(DESK), name, scripts[name]) for name in names}
    monkeypatch.setattr(turns, "KEPT", 5)
    env = fresh(DESK)
    for _ in range(4):
        for name in names:
            assert played(env, name, scripts[name]) == expected[name]


def test_whoever_stands_in_a_dropped_scene_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 3)
    name = scene(DESK, "hard", 1)
    texts = script(DESK, name, 4)
    expected = played(fresh(DESK), name, texts)
    env = fresh(DESK)
    for _ in range(3):
        env.reset(options={"scene": name})
    env.step(texts[0])
    snapshot = env.snapshot()
    for index in range(10, 20):
        env.reset(options={"scene": scene(DESK, "easy", index)})
    env.restore(snapshot)
    assert [plain(env.step(text)) for text in texts[1:]] == expected[2:]


def test_turns_are_kept_however_many_scenes_were_met_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 60)
    env, built = fresh(ECHO), []
    build = env._build
    monkeypatch.setattr(env, "_build", lambda name: built.append(name) or build(name))
    for index in range(300):
        for _ in range(2):
            env.reset(options={"scene": scene(ECHO, "easy", index)})
    built.clear()
    for index in 5 * [*range(1000, 1005)]:
        env.reset(options={"scene": scene(ECHO, "easy", index)})
    assert len(built) <= 2 * 5 + 5


def test_a_search_from_one_snapshot_keeps_a_bounded_number_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT", 100)
    env = fresh(DESK)
    for _ in range(2):
        env.reset(options={"scene": scene(DESK)})
    snapshot = env.snapshot()
    before = alive()
    for number in range(1000):
        env.restore(snapshot)
        env.step(f'{{"type": "apologise", "message": "number {number}"}}')
    assert alive() - before < 500


def alive() -> int:
    """How many turns there are in memory."""
    return sum(type(each) is turns.Turn for each in gc.get_objects())


def test_a_kept_turn_of_a_malformed_action_still_raises_where_that_is_asked_for() -> None:
    name, lenient, strict = scene(ECHO, "easy", 900), conversation(ECHO), conversation(ECHO, on_invalid="raise")
    for _ in range(3):
        played(lenient, name, ["Hello!"])
    strict.reset(options={"scene": name})
    with pytest.raises(InvalidAction, match="there is no JSON object"):
        strict.step("Hello!")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (3, "<3>"),
        (["a"], '<["a"]>'),
        ('{"type":"apologise","message":"\ud83d\ude00"}', '{"type":"apologise","message":"\\ud83d\\ude00"}'),
    ],
)
def test_what_is_no_text_is_never_taken_for_the_text_that_describes_it(first: Any, second: str) -> None:
    name, shared = scene(DESK, "easy", 901), conversation(DESK)
    for _ in range(3):
        shared.reset(options={"scene": name})
        shared.step(first)
    assert played(shared, name, [second]) == played(fresh(DESK), name, [second])


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ({"reward": Reward(Prices(malformed=0.5))}, (-0.5, False, False)),
        ({"max_turns": 1}, (-0.05, False, True)),
        ({}, (-0.05, False, False)),
    ],
    ids=["reward", "max_turns", "same"],
)
def test_a_snapshot_restored_elsewhere_changes_nothing_where_it_came_from(
    arguments: dict[str, Any], outcome: tuple[float, bool, bool]
) -> None:
    name, env, other = scene(DESK, "easy", 902), fresh(DESK), conversation(DESK, **arguments)
    for _ in range(3):
        env.reset(options={"scene": name})
    other.restore(env.snapshot())
    assert other.step("other")[1:4] == outcome
    assert env.step("other")[1:4] == (-0.05, False, False)


# A customer of the user's own


def test_a_callable_plays_the_customer() -> None:
    heard: list[Any] = []

    def customer(brief: dict[str, Any], transcript: list[dict[str, str]], act: dict[str, Any]) -> dict[str, Any]:
        heard.append((brief, transcript, act))
        return {"act": "tell", "field": "email", "message": "It is on the card."}

    env = conversation(DESK, customer=customer)
    opening, _ = env.reset(options={"scene": scene(DESK, "hard", 2)})
    observation, *_, info = env.step({"type": "ask", "field": "email", "message": "Your e-mail?"})
    ((brief, transcript, act),) = heard
    assert {"customer", "requests", "person"} <= set(brief)
    assert transcript == opening["messages"]
    assert act == {"type": "ask", "field": "email", "message": "Your e-mail?"}
    told = info["facts"][-1]
    content = observation["messages"][-1]["content"]
    assert content.startswith("It is on the card. "), "what the fact holds is added where the words leave it out"
    assert told["act"] == "tell"
    assert told["words"] == [told["value"]]
    assert told["value"] in content
    env.step({"type": "find_customer", "email": "nobody@post.example"})
    assert len(heard) == 1, "nobody hears an act on the records"


def test_a_customer_may_leave() -> None:
    env = conversation(DESK, customer=lambda brief, transcript, act: {"act": "leave"})
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step({"type": "apologise"})
    assert (reward, terminated, truncated, info["outcome"]) == (0.0, True, False, "left")
    assert observation["messages"][-1]["content"].endswith("[end] the customer has left")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "The customer answered None: give a dict whose 'act' is one of tell, cannot_tell"),
        ({}, "The customer answered {}: give a dict"),
        ({"act": "shout"}, "The customer answered {'act': 'shout'}: give a dict"),
        ({"act": "tell", "filed": "email"}, r"The customer's act 'tell' has \['filed'\]: only act, no, field, how and"),
        ({"act": "tell", "no": 9}, "The customer's act names request 9: there are requests 0 to 0."),
        ({"act": "tell", "no": "first"}, "names request 'first'"),
        ({"act": "accept", "no": -1}, "The customer's act 'accept' needs an open request: give its number as 'no'."),
    ],
)
def test_a_customers_answer_without_meaning_is_refused(answer: Any, message: str) -> None:
    answers = [answer, {"act": "cannot_tell", "field": "email"}]
    env = conversation(DESK, customer=lambda brief, transcript, act: answers.pop(0))
    env.reset(options={"scene": scene(DESK, "easy", 0)})
    with pytest.raises(BadArgument, match=message):
        env.step({"type": "ask", "field": "email"})
    observation, *_ = env.step({"type": "ask", "field": "email"})
    assert observation["turn"] == 1, "what was raised took no turn"


def test_a_callable_is_asked_each_time_and_none_of_it_is_kept() -> None:
    count = 0

    def customer(brief: Any, transcript: Any, act: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"act": "cannot_tell", "field": "email", "message": f"Time {count}."}

    env = conversation(DESK, customer=customer)
    for turn in range(1, 5):
        env.reset(options={"scene": scene(DESK, "easy", 0)})
        assert env.step('{"type": "ask", "field": "email"}')[0]["messages"][-1]["content"] == f"Time {turn}."


def test_an_environment_with_a_callable_can_be_branched() -> None:
    env = conversation(DESK, customer=lambda brief, transcript, act: {"act": "cannot_tell", "field": act["field"]})
    env.reset(options={"scene": scene(DESK, "hard", 0)})
    env.step({"type": "ask", "field": "email"})
    snapshot = env.snapshot()
    first = plain(env.step({"type": "ask", "field": "name"}))
    env.step({"type": "ask", "field": "postcode"})
    env.restore(snapshot)
    assert plain(env.step({"type": "ask", "field": "name"})) == first


def test_close_can_be_called_at_any_time() -> None:
    env = conversation(ECHO, render_mode="ansi")
    env.close()
    env.reset(seed=0)
    env.close()
    env.close()


def test_dicts_and_structs_find_the_turn_that_their_text_leads_to() -> None:
    env = conversation(DESK, reward=Reward())
    name = scene(DESK, "easy", 7)
    for _ in range(5):
        env.reset(options={"scene": name})
        env.step({"type": "list_products"})
        env.step(env.parts.actions.decoder.decode('{"type":"apologise"}'))
    tree = env._tree
    before = tree._count
    for _ in range(20):
        env.reset(options={"scene": name})
        env.step({"type": "list_products"})
    assert tree._count == before


def test_a_text_without_a_utf8_form_stays_within_the_space() -> None:
    env = conversation(DESK)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    observation, *_, info = env.step('{"type":"apologise"} \ud800')
    assert info["malformed"] == ""
    assert observation in env.observation_space


@pytest.mark.parametrize(
    ("arguments", "snapshot", "message"),
    [
        ({}, "none", r"restore\(\) got 'none': give what snapshot\(\) returned"),
        ({"max_turns": 2}, None, r"restore\(\) got turn 3: here a conversation ends after 2 turns"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused(arguments: dict[str, Any], snapshot: Any, message: str) -> None:
    env, other = conversation(DESK), conversation(DESK, **arguments)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    for _ in range(3):
        env.step('{"type":"list_products"}')
    with pytest.raises(BadArgument, match=message):
        other.restore(snapshot or env.snapshot())


def test_the_envelope_of_structured_outputs_is_opened() -> None:
    env = conversation(DESK)
    env.reset(options={"scene": scene(DESK, "easy", 3)})
    *_, info = env.step('{"action": {"type": "list_products"}}')
    assert [fact["act"] for fact in info["facts"]] == ["list_products"]
    *_, info = env.step('{"action": {"type": "list_products"}, "more": 1}')
    assert info["malformed"]


@pytest.mark.parametrize("carry", [copy.deepcopy, pickle.dumps])
def test_what_cannot_be_carried_elsewhere_says_what_can(carry: Any) -> None:
    env = conversation(DESK)
    env.reset(seed=0)
    for what in (env, env.snapshot()):
        with pytest.raises(TypeError, match=r"branch with snapshot\(\) and restore\(\), and send the scene's name"):
            carry(what)


def test_what_a_reward_term_does_to_its_facts_changes_nothing_else() -> None:
    def wrecking(facts: Any) -> float:
        for fact in facts:
            fact.clear()
        return 0.0

    (name,) = [gym.make(DESK, difficulty="hard").unwrapped.pool[97]]  # type: ignore[attr-defined]
    plain = rollout(policy("expert", DESK), gym.make(DESK), name)
    wrecked = rollout(policy("expert", DESK), gym.make(DESK, reward=Reward(extra={"wrecking": wrecking})), name)
    assert (wrecked.facts, wrecked.messages, wrecked.total) == (plain.facts, plain.messages, plain.total)


def test_what_is_done_to_a_restored_observation_changes_no_other_environment() -> None:
    env = gym.make(DESK).unwrapped
    before, _ = env.reset(seed=0)
    words = before["messages"][0]["content"]
    restored, _ = env.restore(env.snapshot())  # type: ignore[attr-defined]
    restored["messages"][0]["content"] = "wrecked"
    assert gym.make(DESK).reset(seed=0)[0]["messages"][0]["content"] == words

"""Fuzzing: any text, any JSON, valid actions in any order; nothing but an answer may come of them."""

from __future__ import annotations

import json
import random
import string
import traceback
from collections.abc import Iterator
from typing import Any

import msgspec

from ...envs.conversation import ConversationEnv
from ...envs.errors import ResetNeeded
from ...envs.memory import Memory
from ...envs.spaces import JSON
from ..rollout import Episode
from .base import BUGS, Finding, Subject

SAMPLES = 3_000
"""Valid actions that are drawn beforehand; they are played as drawn, mutated, and as text."""
SCENES = 600
"""Different scenes of each split and difficulty."""


class NotJson:
    """A thing that is no JSON, and looks the same each time."""

    def __repr__(self) -> str:
        return "<not JSON>"


TEXTS = (
    "", " ", "null", "[]", "{}", "0", '"close"', '{"type":', '{"type":"close"} {"type":"close"}', "```json\n{}\n```",
    '<think>so</think>{"type":"close"}', "<think>", '{"type":"close","type":"ask"}', '{"type":"\\ud800"}', "\ud800",
    '{"type":"close"} \ud800', "I am \udcff sorry \ud83d", "[" * 10_000,
    '{"a":' * 10_000, '{"type":1e999}', "\x00", "NaN", "{'type': 'close'}", "I cannot help with that.",
)  # fmt: skip
THINGS: tuple[Any, ...] = (
    None, 0, -1, 1.5, float("nan"), float("inf"), 10**400, True, "", "O1", "\ud800", [], {}, [[]], {"": 0}, {1: 2}, (),
    b"x", NotJson(), {"type": "close", "x": set()}, "x" * 1000,
)  # fmt: skip
BRANCHES = 4
"""Conversations that are tried from one opening."""
EDGE = 1e-9


class Fuzzer:
    """Draws the next action: the same for the same seed."""

    def __init__(self, env: ConversationEnv, seed: int, part: int) -> None:
        self.random = random.Random(f"{seed} {part}")
        actions = env.parts.actions
        space = JSON(actions.schema, seed=self.random.getrandbits(32))
        self._dicts = [space.sample() for _ in range(SAMPLES)]
        self._texts = [json.dumps(value) for value in self._dicts]
        self._acts = [msgspec.convert(value, actions.union) for value in self._dicts]
        self._mutants = [self._mutated(value) for value in self._dicts]
        self._broken = [self._cut(text) for text in self._texts]
        self._expert = env.parts.expert
        self._encode = actions.encode

    def draw(self, memory: Memory) -> Any:
        """An action of any kind; about a third are what an expert would do, or nearly so."""
        choice = self.random.random()
        if choice < 0.3:
            return self._expert(memory)
        if choice < 0.45:
            return self._near(self._expert(memory), memory)
        return self.random.choice(self._pools(choice))

    def _pools(self, choice: float) -> Any:
        if choice < 0.75:
            return self._texts if choice < 0.55 else self._dicts if choice < 0.65 else self._acts
        if choice < 0.95:
            return self._mutants if choice < 0.85 else self._broken
        return TEXTS if choice < 0.975 else THINGS

    def _near(self, action: Any, memory: Memory) -> Any:
        """An expert's action with a field that means something else."""
        value = msgspec.to_builtins(action)
        names = [name for name in value if name != "type"]
        if not names:
            return value
        ids = [*memory.seen, *memory.person, "status", ""]
        name = self.random.choice(names)
        old = value[name]
        fresh = self.random.choice(ids)
        value[name] = [fresh] if isinstance(old, list) and old and isinstance(old[0], str) else fresh
        return json.dumps(value) if self.random.random() < 0.5 else value

    def _mutated(self, value: dict[str, Any]) -> Any:
        """A dict that is valid no longer, most likely."""
        twin = dict(value)
        name = self.random.choice([*twin, "extra"])
        twin[name] = self.random.choice(THINGS)
        if self.random.random() < 0.2:
            del twin[self.random.choice([*twin])]
        return twin

    def _cut(self, text: str) -> str:
        """A text with a piece missing, or with noise put into it."""
        place = self.random.randrange(len(text))
        noise = "".join(self.random.choices(string.printable + "é☃", k=self.random.randrange(6)))
        return text[:place] + noise + text[place + self.random.randrange(8) :]


def fuzz(subject: Subject, count: int, seed: int, part: int = 0) -> Iterator[Finding]:
    """No action raises, whatever it is; returns stay within their bounds, and the end is the end."""
    envs = [subject.env(stratum) for stratum in subject.strata]
    scenes = [subject.scenes(env, 0, SCENES) for env in envs]
    fuzzer = Fuzzer(envs[0], seed, part)
    played = 0
    while played < count:
        which = fuzzer.random.randrange(len(envs))
        scene, env = fuzzer.random.choice(scenes[which]), envs[which]
        env.reset(options={"scene": scene})
        start = env.snapshot()
        for _ in range(BRANCHES):
            env.restore(start)
            turns, finding = _conversation(env, scene, fuzzer)
            played += turns
            if finding:
                yield finding._replace(what=f"{finding.what} (--seed {seed}, part {part})")


def _conversation(env: ConversationEnv, scene: Any, fuzzer: Fuzzer) -> tuple[int, Finding | None]:
    """One conversation of fuzzed actions: how many turns it took, and what went wrong."""
    actions: list[Any] = []
    total, over, wrong = 0.0, False, ""
    try:
        while not (over or wrong):
            actions.append(fuzzer.draw(env.memory))
            observation, reward, terminated, truncated, info = env.step(actions[-1])
            total += float(reward)
            over = terminated or truncated
            wrong = _wrong(float(reward), total, over, info)
            # To look at all of it takes longer than to play; what is not ASCII is where a text is most likely no text.
            if (over or not observation["messages"][-2]["content"].isascii()) and not wrong:
                wrong = "" if observation in env.observation_space else "the observation is not in observation_space"
        if over and not wrong:
            env.step(actions[-1])
            wrong = "a step after the end is played"
    except ResetNeeded:
        wrong = "" if over else "an open conversation wants a reset"
    except BUGS:
        wrong = traceback.format_exc(limit=-3)
    return len(actions), _finding(env, scene, actions, wrong) if wrong else None


def _wrong(reward: float, total: float, over: bool, info: dict[str, Any]) -> str:
    if abs(sum(info["reward_terms"].values()) - reward) > EDGE:
        return f"the terms {info['reward_terms']} do not add up to {reward}"
    if not -1 - EDGE <= total <= 1 + EDGE:
        return f"the return {total} is outside [-1, 1]"
    if over and info["reward_terms"]["goal"] <= 0 and total > EDGE:
        return f"the goal failed, and the return is {total}"
    return ""


def _finding(env: ConversationEnv, scene: Any, actions: list[Any], what: str) -> Finding:
    episode = Episode(scene=str(scene))
    shown = ", ".join(repr(action)[:300] for action in actions)
    messages = [*env.snapshot().turn.transcript()]
    return Finding(episode.scene, len(actions), f"{what}; actions: [{shown}]", messages)

"""Conversations for the tests of the engine: environments, scripts with faults among them, outcomes as text."""

from __future__ import annotations

import json
import random
from typing import Any

import gymnasium as gym

from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.policies.registry import make as policy
from stateset_gym.rewards import Reward

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

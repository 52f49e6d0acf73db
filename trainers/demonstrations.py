"""What the expert does, as ids to learn from: only the agent's own tokens count.

In a share of the conversations the expert stumbles on the way. Its mistakes are shown and not learnt; what it does
next, told of them, is learnt: how to go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

from ..envs.conversation import Observation
from ..envs.errors import BadArgument
from ..envs.memory import Fact
from ..envs.parse import Malformed, Parser
from ..policies.base import Kind, Policy
from ..policies.local.prompt import Prompt
from ..policies.rollout import Episode, rollout
from ..policies.runs import Setting
from ..policies.scripted import Expert
from .thoughts import Message, thoughtful

IGNORED = -100
"""The label of a token that is not learnt, as torch's cross-entropy has it."""


class Demonstration(NamedTuple):
    """A conversation as ids, and which of them an agent is to say."""

    ids: list[int]
    counted: list[bool]
    turns: int = 0
    """How many actions it has."""

    @property
    def labels(self) -> list[int]:
        """The ids as labels."""
        return [number if counted else IGNORED for number, counted in zip(self.ids, self.counted, strict=True)]


class Stumbling(Policy):
    """The expert, who at some turns says something else than it meant to, and goes on from what comes of it."""

    def __init__(self, kind: Kind, share: float) -> None:
        """`share` is that of the turns."""
        self._expert, self._share = Expert(kind), share
        self._parser = Parser(kind.parts.actions)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """A conversation begins."""
        self._expert.reset(seed)
        self._chance = Random(seed)
        self.stumbled: set[int] = set()
        self._turn = -1

    def act(self, observation: Observation, facts: Sequence[Fact]) -> Any:
        """What the expert does, or a mistake in its place."""
        action = self._expert.act(observation, facts)
        self._turn += 1
        # Never twice in a row: a mistake is followed by what there is to learn from it.
        if self._turn - 1 in self.stumbled or self._chance.random() >= self._share:
            return action
        self.stumbled.add(self._turn)
        said = mistaken(json.dumps(msgspec.to_builtins(action), separators=(",", ":")), self._chance)
        done, _ = self._parser.read(said)
        self._expert.did(None if isinstance(done, Malformed) else done)
        return said


def mistaken(action: str, chance: Random) -> str:
    """An action with an id or a number in it drawn anew; one that has none, or one time in four, breaks off."""
    digits = [*re.finditer(r"\d+", action)]
    if not digits or chance.random() < 0.25:
        return action[: chance.randrange(1, len(action))]
    found = chance.choice(digits)
    low, meant = 10 ** (len(found[0]) - 1), int(found[0])
    other = low + (meant - low + chance.randrange(1, 9 * low)) % (9 * low)
    return f"{action[: found.start()]}{other}{action[found.end() :]}"


def demonstrations(
    env_id: str,
    arguments: Mapping[str, Any],
    prompt: Prompt,
    scenes: Iterable[str],
    stumbling: float = 0.0,
    thinking: bool = False,
    seed: int = 0,
) -> Iterator[Demonstration]:
    """The expert's conversations on scenes; in a share of them it stumbles, and it may think before it acts.

    A conversation in which a mistake cost the goal or broke a rule is held again without any.
    """
    env = Setting(env_id, "", {**arguments, "split": "train"}).env()
    kind, clean = type(env), Expert(type(env))
    chance = Random(f"{env_id}|{seed}")

    def told(episode: Episode) -> Sequence[Message]:
        return thoughtful(episode.messages, episode.facts) if thinking else episode.messages

    for number, scene in enumerate(scenes):
        agent = Stumbling(kind, STUMBLES)
        if chance.random() < stumbling:
            episode = rollout(agent, env, scene, trial=number)
            if episode.success and not episode.violations:
                yield demonstration(told(episode), prompt, agent.stumbled)
                continue
        yield demonstration(told(rollout(clean, env, scene)), prompt)


STUMBLES = 0.25
"""The share of the turns at which a stumbling expert stumbles."""


def demonstration(messages: Sequence[Message], prompt: Prompt, skipped: Iterable[int] = ()) -> Demonstration:
    """A transcript as a model is shown it turn by turn; the answers of the `skipped` turns are no example."""
    unlearnt = {*skipped}
    spans: list[str] = []
    text = ""
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            before, after = prompt.text(messages[:place]), prompt.text(messages[: place + 1], asked=False)
            if not (before.startswith(text) and after.startswith(before)):
                raise BadArgument(
                    "The tokenizer's chat template rewrites what was said before, as those do that drop thoughts, so "
                    "a conversation is not one text to learn: give the tokenizer a template that only appends, or "
                    "leave the thoughts out with thinking=False where it is these that are dropped."
                )
            spans += before[len(text) :], after[len(before) :]
            text = after
    ids: list[int] = []
    counted: list[bool] = []
    for number, span in enumerate(prompt.all_ids(spans)):
        turn, said = divmod(number, 2)
        # What a template puts behind the token that ends an answer is shown, not said.
        end = next((at + 1 for at, token in enumerate(span) if token in prompt.stops), len(span)) if said else 0
        ids += span
        counted += [place < end and turn not in unlearnt for place in range(len(span))]
    return Demonstration(ids, counted, len(spans) // 2)

"""A conversation in a test's hands: it says what it likes, and lets agents go on."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest

from stateset_gym.envs.conversation import ConversationEnv
from stateset_gym.envs.errors import ResetNeeded
from stateset_gym.envs.memory import Fact, Memory
from stateset_gym.policies import registry
from stateset_gym.policies.adapt import adapt
from stateset_gym.policies.base import Policy, Remembering
from stateset_gym.policies.evaluation.evaluate import CHOICE, listed
from stateset_gym.policies.rollout import Episode, begun
from stateset_gym.policies.runs import Player, Setting
from stateset_gym.policies.trace import Trace

from .matrix import Place
from .wrong import WRONG, shortened

SPEAKER = "by the test"
"""Who speaks, in the traces: the test, and whoever it lets go on."""


class Answer(NamedTuple):
    """What came of an action."""

    action: Any
    """As it was given."""
    content: str
    """The words that came back: the customer's, and the lines of the desk."""
    facts: list[Fact]
    """What became visible."""
    reward: float
    violations: list[str]
    """The house rules that were broken."""
    refused: str
    """Why the world's rules declined it, or ""."""
    malformed: str
    """Why it was no action, or ""."""
    outcome: str
    """How the conversation ended, or ""."""
    success: bool
    """Whether the goal was reached."""

    @property
    def over(self) -> bool:
        """Whether the conversation has ended."""
        return self.outcome != ""


class Conversation:
    """One conversation; the turns so far are in `answers`."""

    def __init__(self, setting: Setting, env: ConversationEnv, episode: Episode, default: Callable[[], str]) -> None:
        self.env = env
        """The environment, for what is not here: its snapshots, its memory."""
        self.answers: list[Answer] = []
        """What came of each action, in order."""
        self._setting, self._episode, self._default = setting, episode, default
        self._forks: list[Conversation] = []
        self._agent: Any = None
        self._options: Mapping[str, Any] = {}
        self._player: Policy | None = None
        self._heard = -1

    def __repr__(self) -> str:
        return f"<Conversation {self.scene}, turn {self.turns}{', ' * self.over}{self.outcome}>"

    @property
    def scene(self) -> str:
        """The scene's name."""
        return self._episode.scene

    @property
    def kind(self) -> str:
        """The scene's kind."""
        return self._episode.kind

    @property
    def messages(self) -> list[dict[str, str]]:
        """The transcript."""
        return self._episode.messages

    @property
    def content(self) -> str:
        """The words that the agent was told last."""
        return self.messages[-1]["content"]

    @property
    def facts(self) -> list[Fact]:
        """All that has become visible, in order."""
        return [fact for facts in self._episode.facts for fact in facts]

    @property
    def memory(self) -> Memory:
        """The same, laid out for look-ups; read only."""
        return self.env.memory

    @property
    def turns(self) -> int:
        """How many actions were played."""
        return self._episode.turns

    @property
    def total(self) -> float:
        """The return so far."""
        return self._episode.total

    @property
    def violations(self) -> list[str]:
        """The house rules that were broken so far."""
        return self._episode.violations

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._episode.over

    @property
    def outcome(self) -> str:
        """How it ended, or ""."""
        return self._episode.outcome

    @property
    def success(self) -> bool:
        """Whether the goal was reached."""
        return self._episode.success

    @property
    def trace(self) -> Trace:
        """The conversation as evaluations keep it."""
        player = Player(self._setting)
        try:
            return msgspec.structs.replace(player.trace(self._episode), policy=SPEAKER)
        finally:
            player.close()

    def say(self, action: Any) -> Answer:
        """Play one action: JSON text, a dict or an action Struct."""
        __tracebackhide__ = True
        if self.over:
            raise ResetNeeded(f"{self.scene} is over ({self.outcome}): open another conversation, or fork it earlier.")
        episode = self._episode
        episode.play(self.env, action)
        episode.waits.append(0.0)
        info = episode.infos[-1]
        answer = Answer(
            action,
            self.content,
            info["facts"],
            episode.rewards[-1],
            info["violations"],
            info["refused"],
            info["malformed"],
            info["outcome"],
            info["is_success"],
        )
        self.answers.append(answer)
        return answer

    def play(self, agent: Any = None, turns: int | None = None, **options: Any) -> list[Answer]:
        """Let an agent go on, to the end or for so many turns; back comes what came of each.

        Args:
            agent: a name (see `policies.make`), a policy, any object with `act`, or a function; by default the policy
                of the command line. One that comes in the midst reads the transcript and is given all facts so far; a
                `policies.Remembering` remembers them. The one that spoke last goes on where it was.
            turns: how many turns it is given at most.
            options: what the policy is made with, where `agent` is a name.
        """
        __tracebackhide__ = True
        first = len(self.answers)
        facts = self._take_over(agent if agent is not None else self._default(), options)
        assert self._player is not None
        while not self.over and (turns is None or len(self.answers) - first < turns):
            self.say(self._asked(self._player, facts))
            facts = self.answers[-1].facts
            self._heard = self.turns
        return self.answers[first:]

    def fork(self) -> Conversation:
        """Another conversation that has come to this point; each goes on by itself."""
        episode = copy.copy(self._episode)
        for name in ("actions", "rewards", "infos", "violations", "waits", "terms"):
            setattr(episode, name, copy.copy(getattr(episode, name)))
        env = self._setting.env()
        env.restore(self.env.snapshot())
        fork = Conversation(self._setting, env, episode, self._default)
        fork.answers, fork._forks = [*self.answers], self._forks
        fork._forks.append(fork)
        return fork

    def close(self) -> None:
        """Let go of what is held open."""
        self._let_go()
        self.env.close()

    def _take_over(self, agent: Any, options: Mapping[str, Any]) -> list[Fact]:
        """An agent begins, or goes on where it was; back come the facts that it has not been given."""
        __tracebackhide__ = True
        if agent is self._agent and options == self._options and self._heard == self.turns:
            return self._episode.facts[-1]
        if options and not isinstance(agent, str):
            raise pytest.UsageError(f"play() was given {options!r} for {agent!r}: make a policy with its options.")
        self._let_go()
        self._agent, self._options = agent, options
        try:
            made = registry.make(agent, self.env, **options) if isinstance(agent, str) else agent
        except WRONG as error:
            raise shortened(error) from error.__cause__
        self._player = player = adapt(made)
        player.reset(self._episode.seed)
        if not isinstance(player, Remembering):
            return self.facts
        path = self.env.snapshot().turn.path()
        for turn in path[:-1]:
            player.memory.fold(turn.act, turn.facts)
        player._last = path[-1].act
        return path[-1].facts

    def _asked(self, player: Policy, facts: list[Fact]) -> Any:
        """What an agent does."""
        __tracebackhide__ = True
        observation = self._episode.observation
        if player.manner == "async":
            return asyncio.run(player.act_async(observation, facts))
        return player.act(observation, facts)

    def _let_go(self) -> None:
        """Close a policy that was made here."""
        if isinstance(self._agent, str) and self._player is not None:
            self._player.close()
        self._agent = self._player = None


def opened(
    place: Place | None,
    env_id: str | None,
    scene: Any,
    arguments: dict[str, Any],
    talks: list[Conversation],
    default: Callable[[], str],
) -> Conversation:
    """A conversation at its opening: at the scene given, or at the place that a test is run for."""
    __tracebackhide__ = True
    if place is not None and env_id in (None, place.env_id):
        env_id, scene = place.env_id, place.scene if scene is None else scene
        arguments = {**place.arguments, **arguments}
    if env_id is None:
        raise pytest.UsageError(
            "conversation() needs an environment: conversation('StateSet/CustomerService-v0'), or a test that is "
            "marked: @pytest.mark.stateset(env='StateSet/CustomerService-v0')."
        )
    choice = {"split": "test"} | {name: arguments.pop(name) for name in CHOICE if name in arguments}
    setting = Setting(env_id, _nobody, arguments)
    try:
        job, *_ = listed(setting, choice, 1 if scene is None else [scene], 1).values()
        env = setting.env()
    except WRONG as error:
        raise shortened(error) from error.__cause__
    talk = Conversation(setting, env, begun(env, job), default)
    talk._forks = talks
    talks.append(talk)
    return talk


def _nobody(observation: Any, facts: Any) -> str:
    """Stands for whoever speaks here."""
    return ""

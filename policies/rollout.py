"""Conversations between a policy and environments: one, many in step, or many each at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium

from ..envs.conversation import Observation
from ..envs.memory import Fact
from ..rewards.errors import InfrastructureError
from .adapt import Waited, adapt
from .base import Policy, Usage

Env = gymnasium.Env[Any, Any]


class Job(NamedTuple):
    """A conversation to be held."""

    scene: Any = None
    """A name, a user's own scene, or `None`: the next of the stream."""
    trial: int = 0
    """Which attempt at the scene this is."""
    number: int = 0
    """Its place among the jobs."""


@dataclass
class Episode:
    """A conversation, turn by turn; `facts` and `infos` begin with the reset's."""

    scene: str = ""
    kind: str = ""
    par: int = 0
    trial: int = 0
    number: int = 0
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    observation: Observation = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    refused: int = 0
    malformed: int = 0
    outcome: str = ""
    success: bool = False
    truncated: bool = False
    own: dict[str, Any] | None = None
    """The scene itself, where it is a user's own."""
    usage: Usage = field(default_factory=Usage)
    waits: list[float] = field(default_factory=list)
    """The seconds that the policy took for each action."""
    seconds: float = 0.0
    """The seconds that the whole conversation took."""
    error: InfrastructureError | None = None
    """What failed beside the agent: the episode is not measured."""

    @property
    def over(self) -> bool:
        """Whether the conversation has ended."""
        return self.outcome != ""

    @property
    def turns(self) -> int:
        """How many actions were played."""
        return len(self.actions)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The transcript."""
        messages: list[dict[str, str]] = self.observation.get("messages", [])
        return messages

    @property
    def facts(self) -> list[list[Fact]]:
        """What became visible: at the start, and by each action."""
        return [info["facts"] for info in self.infos]

    @property
    def total(self) -> float:
        """The return."""
        return sum(self.rewards)

    @property
    def seed(self) -> int:
        """What a policy leaves its chance to: the same for a scene and a trial, wherever they are played."""
        return int.from_bytes(blake2b(f"{self.scene}|{self.trial}".encode(), digest_size=4).digest()) >> 1

    def begin(self, observation: Observation, info: dict[str, Any]) -> None:
        """Take in a reset."""
        self.scene, self.kind, self.par = info["scene"], info["kind"], info["par"]
        self.observation, self.infos = observation, [info]

    def add(self, action: Any, observation: Observation, reward: float, cut: bool, info: dict[str, Any]) -> None:
        """Take in a step."""
        self.actions.append(action)
        self.rewards.append(reward)
        self.infos.append(info)
        self.observation = observation
        terms = info["reward_terms"]
        if not self.terms:
            self.terms = terms.copy()
        elif any(terms.values()):
            for name, value in terms.items():
                self.terms[name] += value
        self.violations += info["violations"]
        self.refused += info["refused"] != ""
        self.malformed += info["malformed"] != ""
        self.outcome, self.success, self.truncated = info["outcome"], info["is_success"], cut

    def play(self, env: Env, action: Any) -> None:
        """Take a step."""
        observation, reward, _, truncated, info = env.step(action)
        self.add(action, observation, float(reward), truncated, info)


def begun(env: Env, job: Job, seed: int | None = None) -> Episode:
    """A conversation at its opening."""
    own = job.scene if isinstance(job.scene, dict) else None
    episode = Episode(trial=job.trial, number=job.number, own=own)
    episode.begin(*env.reset(seed=seed, options=None if job.scene is None else {"scene": job.scene}))
    return episode


def rollout(policy: Any, env: Env, scene: Any = None, seed: int | None = None, trial: int = 0) -> Episode:
    """Hold one conversation: the scene of a name or of a user's own, or else the next of the stream."""
    started = perf_counter()
    agent = adapt(policy)
    episode = begun(env, Job(scene, trial), seed)
    _hold(agent, env, episode)
    episode.usage, episode.seconds = agent.usage(), perf_counter() - started
    return episode


def rollouts(policy: Any, envs: Sequence[Env], jobs: Iterable[Job], slow: bool = False) -> Iterator[Episode]:
    """Hold many conversations, as many at once as there are environments; each is given when it has ended.

    Where an endpoint fails, the episode says so in `error`, and no more are begun where that is for good. `slow` says
    that the environments' steps wait for something too; else a policy that neither waits nor answers many in one go
    gains nothing from a second environment, and plays on the first.
    """
    agent = adapt(policy)
    alone = len(envs) == 1 or (agent.manner == "single" and not slow)
    if alone and not isinstance(agent, Waited):
        return _one_by_one(agent, envs[0], jobs)
    if agent.manner == "batch" and not slow:
        return _in_step(agent, envs, jobs)
    return _at_own_pace(agent, envs, jobs, slow)


def _one_by_one(policy: Policy, env: Env, jobs: Iterable[Job]) -> Iterator[Episode]:
    for job in jobs:
        started = perf_counter()
        episode = begun(env, job)
        with _marked(episode):
            _hold(policy, env, episode)
        episode.usage, episode.seconds = policy.usage(), perf_counter() - started
        yield episode
        if _hopeless(episode):
            return


def _hold(policy: Policy, env: Env, episode: Episode) -> None:
    policy.reset(episode.seed)
    while not episode.over:
        asked = perf_counter()
        action = policy.act(episode.observation, episode.infos[-1]["facts"])
        episode.waits.append(perf_counter() - asked)
        episode.play(env, action)


def _in_step(policy: Policy, envs: Sequence[Env], jobs: Iterable[Job]) -> Iterator[Episode]:
    """All slots act together; one whose conversation ends begins the next."""
    waiting = iter(jobs)
    episodes: list[Episode | None] = [None] * len(envs)
    starts = [0.0] * len(envs)
    while True:
        for slot, env in enumerate(envs):
            if episodes[slot] is None and (job := next(waiting, None)) is not None:
                starts[slot] = perf_counter()
                episodes[slot] = opened = begun(env, job)
                policy.begin(slot, opened.seed)
        if not any(episodes):
            return
        asked = perf_counter()
        shown = [None if episode is None else episode.observation for episode in episodes]
        facts = [None if episode is None else episode.infos[-1]["facts"] for episode in episodes]
        actions: Sequence[Any]
        try:
            actions = policy.act_batch(shown, facts)
        except InfrastructureError as error:
            actions = [error] * len(envs)
        took = perf_counter() - asked
        hopeless = False
        for slot, action in enumerate(actions):
            if (episode := episodes[slot]) is None:
                continue
            with _marked(episode):
                if isinstance(action, InfrastructureError):
                    raise action
                episode.waits.append(took)
                episode.play(envs[slot], action)
            if episode.over or episode.error:
                episode.usage, episode.seconds = policy.usage(slot), perf_counter() - starts[slot]
                episodes[slot] = None
                yield episode
                hopeless = hopeless or _hopeless(episode)
        if hopeless:
            return


def _at_own_pace(policy: Policy, envs: Sequence[Env], jobs: Iterable[Job], slow: bool) -> Iterator[Episode]:
    """Slots act when their answers come; the event loop has a thread to itself, so that one may be running here."""
    waiting = iter(jobs)
    hopeless = False
    done: SimpleQueue[Episode | BaseException | None] = SimpleQueue()
    loop = asyncio.new_event_loop()

    async def slot(number: int, env: Env) -> None:
        nonlocal hopeless
        while not hopeless and (job := next(waiting, None)) is not None:
            started = perf_counter()
            episode = begun(env, job)
            with _marked(episode):
                policy.begin(number, episode.seed)
                while not episode.over:
                    asked = perf_counter()
                    facts = episode.infos[-1]["facts"]
                    action = await policy.act_async(episode.observation, facts, number)
                    episode.waits.append(perf_counter() - asked)
                    if slow:
                        await asyncio.to_thread(episode.play, env, action)
                    else:
                        episode.play(env, action)
            episode.usage, episode.seconds = policy.usage(number), perf_counter() - started
            hopeless = hopeless or _hopeless(episode)
            done.put(episode)

    async def all_slots() -> None:
        async with asyncio.TaskGroup() as group:
            for number, env in enumerate(envs):
                group.create_task(slot(number, env))

    task = loop.create_task(all_slots())

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_until_done(task, done))

    thread = threading.Thread(target=run, name="stateset-gym-rollouts")
    thread.start()
    try:
        while (ended := done.get()) is not None:
            if isinstance(ended, BaseException):
                raise ended
            yield ended
    finally:
        with contextlib.suppress(RuntimeError):  # the loop may have ended by itself
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


async def _until_done(task: asyncio.Task[None], done: SimpleQueue[Episode | BaseException | None]) -> None:
    """Wait for a task, and tell how it ended: the first thing that went wrong, or `None`."""
    await asyncio.wait([task])
    wrong = None if task.cancelled() else task.exception()
    while isinstance(wrong, BaseExceptionGroup):
        wrong = wrong.exceptions[0]
    done.put(wrong)


@contextlib.contextmanager
def _marked(episode: Episode) -> Iterator[None]:
    """Keep what failed beside the agent with its episode; whatever else is raised says where."""
    try:
        yield
    except InfrastructureError as error:
        episode.error = error
    except BaseException as error:
        error.add_note(f"(in {episode.scene}, trial {episode.trial}, turn {episode.turns + 1})")
        raise


def _hopeless(episode: Episode) -> bool:
    return episode.error is not None and episode.error.fatal

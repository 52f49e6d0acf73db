"""Many conversations at once: in step, each at its own pace, one by one; and what fails beside the agent."""

import asyncio
from collections.abc import Sequence
from typing import Any

import gymnasium
import pytest

import stateset_gym  # noqa: F401
from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.rollout import Episode, Job, rollouts
from stateset_gym.rewards.errors import InfrastructureError

DESK = "StateSet/CustomerService-v0"
IDS = ("StateSet/Echo-v0", DESK, "StateSet/TicketTriage-v0")


def envs(count: int, env_id: str = DESK) -> list[Any]:
    return [gymnasium.make(env_id, difficulty="hard").unwrapped for _ in range(count)]


def jobs(count: int, trials: int = 1, env_id: str = DESK) -> list[Job]:
    (env,) = envs(1, env_id)
    return [
        Job(env.pool[number * 97], trial, number * trials + trial) for number in range(count) for trial in range(trials)
    ]


def lines(episodes: Sequence[Episode]) -> list[Any]:
    """What happened, in the order of the jobs."""
    ordered = sorted(episodes, key=lambda episode: episode.number)
    return [(e.scene, e.trial, e.messages, e.rewards, e.facts, e.outcome, e.usage) for e in ordered]


class InStep(policies.Remembering):
    """The expert, as one who answers many in one go."""

    manner = "batch"
    asked: list[list[bool]] = []

    def __init__(self, env_id: str = DESK) -> None:
        super().__init__()
        self._expert: Any = policies.make("expert", env_id)

    def choose(self, observation: Any) -> Any:
        return self._expert._act(self.memory)

    def act_batch(self, observations: Any, facts: Any) -> list[Any]:
        self.asked.append([seen is not None for seen in observations])
        return super().act_batch(observations, facts)


class AtOwnPace(InStep):
    """The expert, who waits for some time before each answer."""

    manner = "async"
    here = most = 0

    async def act_async(self, observation: Any, facts: Any, slot: int = 0) -> Any:
        type(self).here += 1
        type(self).most = max(self.most, self.here)
        for _ in range(len(observation["messages"][-1]["content"]) % 7):
            await asyncio.sleep(0)
        type(self).here -= 1
        return await super().act_async(observation, facts, slot)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("name", ["expert", "random"])
def test_it_does_not_matter_how_many_conversations_are_held_at_once(env_id: str, name: str) -> None:
    wanted = jobs(20, 2, env_id)

    def played(count: int) -> list[Any]:
        return lines([*rollouts(policies.make(name, env_id), envs(count, env_id), wanted, slow=count > 1)])

    assert played(1) == played(7)
    if name == "random":
        trials = played(1)
        assert trials[0][:1] == trials[1][:1]
        assert trials[0][2] != trials[1][2]


@pytest.mark.parametrize("kind", [InStep, AtOwnPace])
@pytest.mark.parametrize("count", [1, 3, 32])
def test_each_manner_plays_alike(kind: type[InStep], count: int) -> None:
    wanted = jobs(24)
    kind.asked = []
    episodes = [*rollouts(kind(), envs(count), wanted)]
    assert lines(episodes) == lines([*rollouts(policies.make("expert", DESK), envs(1), wanted)])
    assert {episode.total for episode in episodes} == {1}
    if kind is InStep and count > 1:
        assert all(len(slots) == count for slots in kind.asked)
        assert kind.asked[0] == [True] * 24 + [False] * 8 if count == 32 else [True] * 3


def test_waiting_conversations_overlap() -> None:
    AtOwnPace.most = 0
    assert len([*rollouts(AtOwnPace(), envs(6), jobs(12))]) == 12
    assert 1 < AtOwnPace.most <= 6


def test_it_works_beside_a_running_event_loop() -> None:
    async def notebook() -> int:
        return len([*rollouts(AtOwnPace(), envs(2), jobs(3))])

    assert asyncio.run(notebook()) == 3


class Flaky(AtOwnPace):
    """Its endpoint fails at some scenes, at the second turn."""

    fatal = False

    async def act_async(self, observation: Any, facts: Any, slot: int = 0) -> Any:
        if observation["turn"] == 1 and len(observation["messages"][1]["content"]) % 3 == 0:
            raise InfrastructureError("no answer", "http://127.0.0.1:9", "start the server", self.fatal)
        return await super().act_async(observation, facts, slot)


def test_what_fails_beside_the_agent_is_told_and_the_rest_goes_on() -> None:
    episodes = [*rollouts(Flaky(), envs(4), jobs(24))]
    assert len(episodes) == 24
    failed = [episode for episode in episodes if episode.error]
    assert 0 < len(failed) < 24
    assert {(str(e.error), e.turns, e.outcome) for e in failed} == {
        ("no answer (http://127.0.0.1:9): start the server", 1, "")
    }
    assert {episode.total for episode in episodes if not episode.error} == {1}


def test_a_run_stops_where_a_failure_is_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flaky, "fatal", True)
    episodes = [*rollouts(Flaky(), envs(4), jobs(64))]
    (first, *_) = [place for place, episode in enumerate(episodes) if episode.error]
    # What was under way is brought to its end and counted; nothing is begun any more.
    assert len(episodes) <= first + 4 < 64
    assert sorted(episode.number for episode in episodes) == [*range(len(episodes))]


@pytest.mark.parametrize("fatal", [False, True])
def test_a_batch_that_fails_is_not_measured_and_the_rest_goes_on(fatal: bool) -> None:
    class Failing(InStep):
        asked: list[list[bool]] = []

        def act_batch(self, observations: Any, facts: Any) -> list[Any]:
            if len(self.asked) == 3:
                self.asked.append([])
                raise InfrastructureError("no memory", "cuda:0", "hold fewer at once", fatal)
            return super().act_batch(observations, facts)

    episodes = [*rollouts(Failing(), envs(4), jobs(12))]
    assert sum(episode.error is not None for episode in episodes) == 4
    assert len(episodes) == (4 if fatal else 12)
    assert {episode.total for episode in episodes if not episode.error} <= {1}


def test_what_waits_is_told_from_what_does_not() -> None:
    class Called:
        async def __call__(self, observation: Any, facts: Any) -> Any:
            return {"type": "close"}

    async def later(observation: Any, facts: Any) -> Any:
        return {"type": "close"}

    assert {e.outcome for e in rollouts(Called(), envs(1), jobs(3))} == {"closed"}
    for wrong, what in ((lambda o, f: None, "None"), (lambda o, f: later(o, f), "coroutine")):
        with pytest.raises(BadArgument, match=f"acts with .*{what}.*which is no action: return one, or make act async"):
            [*rollouts(wrong, envs(1), jobs(1))]


@pytest.mark.parametrize("count", [1, 3])
def test_a_policy_that_breaks_says_where(count: int) -> None:
    class Broken(AtOwnPace):
        def act(self, observation: Any, facts: Any) -> Any:
            return {}["nothing"]

    with pytest.raises(KeyError, match="nothing") as caught:
        [*rollouts(Broken(), envs(count), jobs(3))]
    (note,) = caught.value.__notes__
    assert note.startswith("(in CustomerService-v0/train/hard/")
    assert note.endswith("turn 1)")


def test_leaving_a_run_ends_it() -> None:
    run = rollouts(AtOwnPace(), envs(4), jobs(64))
    next(run)
    run.close()


def test_a_function_is_a_policy() -> None:
    async def later(observation: Any, facts: Any) -> Any:
        return {"type": "close"}

    def now(observation: Any, facts: Any) -> Any:
        return {"type": "close"}

    for agent in (now, later):
        for count in (1, 3):
            assert {e.outcome for e in rollouts(agent, envs(count), jobs(5))} == {"closed"}
    with pytest.raises(BadArgument, match="acts asynchronously: play it with rollouts"):
        policies.rollout(later, envs(1)[0])


def test_what_is_no_policy_is_told() -> None:
    class Agent:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def reset(self) -> None:
            self.heard.clear()

        def act(self, observation: Any, facts: Any) -> Any:
            return {"type": "close"}

    with pytest.raises(BadArgument, match="3 is no policy: it has no act"):
        rollouts(3, envs(1), jobs(1))
    with pytest.raises(BadArgument, match=r"Agent is a class: give an instance of it, Agent\(...\)"):
        rollouts(Agent, envs(1), jobs(1))
    assert len([*rollouts(Agent(), envs(1), jobs(3))]) == 3
    with pytest.raises(BadArgument, match=r"Agent may keep a conversation.* leave parallel at 1"):
        [*rollouts(Agent(), envs(2), jobs(3), slow=True)]

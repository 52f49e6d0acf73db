"""Model checking: no state of a sound scene is wrong, hidden faults are found, and it is told how much was seen."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

import stateset_gym  # noqa: F401  (registers the environments)
from stateset_gym.__main__ import app
from stateset_gym.envs.customer_service import desk
from stateset_gym.envs.customer_service.actions import Ask, ListProducts
from stateset_gym.envs.discrete import DiscreteView, catalogue_of
from stateset_gym.envs.optimum import Optimum
from stateset_gym.envs.table import Table
from stateset_gym.envs.tabular import tabulate
from stateset_gym.policies import registry
from stateset_gym.policies.audit import QUICK, Outcome, audit, faults, judges, planted
from stateset_gym.policies.audit.base import Coverage, Subject
from stateset_gym.policies.audit.paths import Edges, Returns, stuck, traps
from stateset_gym.policies.audit.reachable import reachable
from stateset_gym.policies.audit.show import covered
from stateset_gym.policies.audit.show import table as shown
from stateset_gym.policies.audit.walks import Shown, Walker
from stateset_gym.rewards import PRICES, Prices, Reward

from .small_tables import small_tables

DESK, ECHO, TICKET = "StateSet/CustomerService-v0", "StateSet/Echo-v0", "StateSet/TicketTriage-v0"
SOUND = planted.SOUND
CANCEL = {"kinds": ["cancel_order"]}
DEEP = [fault for fault, check in faults.FAULTS.items() if check == "reachable"]


def outcome(kind: Any, difficulty: str = "easy", cap: int = 500, arguments: dict[str, Any] | None = None) -> Outcome:
    """What the check finds in a scene of each kind."""
    size = QUICK._replace(cap=cap)
    report = audit(kind, size, ("reachable",), arguments, jobs=1, difficulties=(difficulty,))
    return report.outcomes["reachable"]


def wrong(kind: Any, **more: Any) -> list[str]:
    """What is wrong with scenes of one kind."""
    return [finding.what for finding in outcome(kind, **{"arguments": CANCEL, **more}).findings]


@pytest.mark.parametrize("difficulty", ["easy", "normal", "hard"])
@pytest.mark.parametrize("env_id", [ECHO, TICKET, DESK])
def test_sound_scenes_have_nothing_wrong_in_any_state(env_id: str, difficulty: str) -> None:
    kind = registry.kind_of(env_id)
    found = outcome(kind, difficulty, cap=150)
    kinds = set(kind.parts.cycles[difficulty])
    assert (found.wrong, found.findings) == (0, [])
    assert found.examined == len(kinds)
    assert set(found.covered) == {f"{difficulty}/{each}" for each in kinds}


@pytest.mark.parametrize("scene", ["CustomerService-v0/test/easy/000019", "CustomerService-v0/test/hard/000008"])
def test_whole_scenes_have_nothing_wrong_in_any_state(scene: str) -> None:
    kind = registry.kind_of(DESK)
    checked = reachable(Subject(kind), kind(), scene, 5_000, {})
    assert checked.findings == []
    assert checked.coverage.whole == checked.coverage.scenes == 1
    assert checked.coverage.explored == checked.coverage.found > 200


SAYS = {
    "HasteIsPaid": "a path with a breach returns 1.25, and flawless play 1.00 at best",
    "OrdersAlone": "pays a goal of 1.00, and by what was said and done 0.00 is earned",
    "HasNoSolution": "the scene has no solution: flawless play returns 0.00 at best",
    "LocksSilently": "success is out of reach from here on, and no fault has marked it",
    "PeeksAtThePlot": "order.own: what was shown gives other features than the state",
    "CrashesRarely": "LookupError: no words are left",
    "BindsByTheOrderOfReading": "the same was shown elsewhere, and its templates stood for other actions",
}
"""Planted fault -> what the check says of it."""


@pytest.mark.parametrize("fault", DEEP, ids=lambda fault: fault.__name__)
def test_a_fault_that_is_hidden_deeply_is_found(fault: Any) -> None:
    arguments = {"kinds": ["change_address"]} if fault is faults.OrdersAlone else CANCEL
    found = outcome(fault, arguments=arguments, cap=700)
    assert any(SAYS[fault.__name__] in finding.what for finding in found.findings), found.findings
    assert all(re.search(r"\[[\d,]+ of [\d,]+ states explored, (not )?the whole scene\]$", each.what)
               for each in found.findings)  # fmt: skip


def test_actions_that_differ_by_the_path_are_found_by_themselves_and_not_by_luck() -> None:
    """Features, masks and returns tell nothing of it; states are come to on two paths without a random walk."""
    findings = outcome(faults.BindsByTheOrderOfReading, arguments=CANCEL, cap=700).findings
    assert all(SAYS["BindsByTheOrderOfReading"] in finding.what for finding in findings)
    env = faults.BindsByTheOrderOfReading()
    scene = "CustomerService-v0/train/easy/000000"
    walker = Walker(env, catalogue_of(env), scene, tabulate(type(env), scene), {})
    walker.everywhere()
    assert set(walker.wrong) == {"bound"}


def test_each_planted_fault_is_described() -> None:
    assert {fault.__name__ for fault in DEEP} == set(SAYS)


def test_the_faults_are_caught_where_the_command_line_looks_for_them() -> None:
    found = faults.caught(faults.CrashesRarely)
    assert (found.caught, found.check) == (True, "reachable")
    assert "no words are left" in found.what


def test_a_finding_is_a_conversation_that_can_be_held() -> None:
    (finding, *_) = outcome(faults.LocksSilently, arguments=CANCEL).findings
    env = faults.LocksSilently()
    env.reset(options={"scene": finding.scene})
    messages = [message for message in finding.messages if message["role"] != "reward"]
    for message in messages:
        if message["role"] == "assistant":
            observation, *_ = env.step(message["content"])
    assert observation["messages"] == messages
    assert finding.turn == observation["turn"]
    paid = [message["content"] for message in finding.messages if message["role"] == "reward"]
    assert paid == ["paid +0.00; the return is +0.00"] * finding.turn


def test_what_a_step_of_a_finding_pays_is_told() -> None:
    found = outcome(faults.HasteIsPaid, arguments=CANCEL, cap=700).findings
    (messages,) = [each.messages for each in found if "a path with a breach" in each.what]
    paid = [message["content"] for message in messages if message["role"] == "reward"]
    assert "paid -0.25 (conduct -0.25); the return is -0.25" in paid
    assert paid[-1] == "paid +1.50 (goal +1.50); the return is +1.25"


class BreachesAreFree(planted.Planted):
    """What breaks a house rule is named and costs nothing."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, reward=Reward(Prices(conduct=0.0)))


def unnamed(state: Any, act: Any, decide: Any) -> list[dict[str, Any]]:
    return [fact for fact in SOUND.play(state, act, decide) if fact.get("rule") != "confirm_writes"]


class UnaskedWritesAreFine(planted.Planted):
    """A change that nobody agreed to is no breach."""

    parts = replace(SOUND, play=unnamed)


class Careless(desk.State):
    """It takes customers for one another whose patience differs."""

    __slots__ = ()

    def copy(self) -> desk.State:
        twin = super().copy()
        twin.__class__ = Careless
        return twin

    def key(self) -> tuple[Any, ...]:
        store, mind, memory, ended = super().key()
        return store, mind[:4] + mind[5:], memory, ended


class ImpatienceIsForgotten(planted.Planted):
    """States that differ are taken for one."""

    parts = replace(SOUND, start=Careless)


def eager(state: Any, act: Any, decide: Any) -> list[dict[str, Any]]:
    facts = SOUND.play(state, act, decide)
    state.memory.settled |= state.mind.settled
    return facts


class SettledUnheard(planted.Planted):
    """The engine's memory knows of what is settled before the customer says so."""

    parts = replace(SOUND, play=eager)


def speechless(scene: Any, fact: Any) -> str:
    if fact["act"] == "cancel_order":
        raise KeyError("no words for this")
    return SOUND.show(scene, fact)


class NoWords(planted.Planted):
    """Words are missing for a result, which states have nothing to do with."""

    parts = replace(SOUND, show=speechless)


def unheard(state: Any) -> list[dict[str, Any]]:
    raise IndexError("nobody calls")


class NobodyCalls(planted.Planted):
    """There is no opening."""

    parts = replace(SOUND, opening=unheard)


def rich(state: Any) -> float:
    return 3 * SOUND.goal(state)


class TooGenerous(planted.Planted):
    """Success pays thrice."""

    parts = replace(SOUND, goal=rich)


def grudging(state: Any) -> float:
    return SOUND.goal(state) * (ListProducts() not in state.memory.done) * (not state.writes)


class NothingIsEnough(planted.Planted):
    """What was earned is not paid."""

    parts = replace(SOUND, goal=grudging)


class GivesUp(planted.Planted):
    """Its expert does nothing but ask."""

    parts = replace(SOUND, expert=lambda memory: Ask("request"))


class BreaksDown(planted.Planted):
    """Its expert does not know what to do."""

    parts = replace(SOUND, expert=lambda memory: {}["next"])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (BreachesAreFree, "the step pays +0.00 (nothing), and by the published prices -0.25"),
        (UnaskedWritesAreFine, "a change that the customer has not agreed to is no breach"),
        (ImpatienceIsForgotten, "step gives terminated=True, and the facts alone False"),
        (SettledUnheard, "what was shown gives other features than the state"),
        (NoWords, "KeyError: 'no words for this'"),
        (NobodyCalls, "IndexError: nobody calls"),
        (TooGenerous, "a return of 3.00 can be had, and 1 is the most there is"),
        (NothingIsEnough, "pays a goal of 0.00, and by what was said and done 1.00 is earned"),
        (GivesUp, "the expert returns 0.00, and 1.00 can be had"),
        (BreaksDown, "the expert cannot play: "),
        (faults.GoalWithoutTheWrite, "pays a goal of 1.00, and by what was said and done 0.00 is earned"),
        (faults.HiddenPenalty, "the step pays -0.01 (nothing), and by the published prices +0.00"),
    ],
)
def test_other_faults_are_found(kind: Any, says: str) -> None:
    found = wrong(kind, cap=700)
    assert any(says in what for what in found), found


def test_an_exception_ends_the_conversation_that_leads_to_it() -> None:
    (finding, *_) = outcome(faults.CrashesRarely, arguments=CANCEL).findings
    *_, action, error = finding.messages
    assert (action["role"], json.loads(action["content"])) == ("assistant", {"type": "apologise"})
    assert error == {"role": "error", "content": "LookupError: no words are left"}
    assert finding.turn == sum(message["role"] == "assistant" for message in finding.messages)


def test_an_exception_at_the_opening_leaves_nothing_explored() -> None:
    found = outcome(NobodyCalls, arguments=CANCEL)
    assert found.extent == "0 of 0 states explored, not the whole scene"
    assert found.findings[0].messages == [{"role": "error", "content": "IndexError: nobody calls"}]


def test_what_is_left_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unseen(planted.Planted):
        """No discrete view."""

        parts = replace(SOUND, catalogue=None)

    class Unjudged(planted.Planted):
        """An environment of a user's own, as it were."""

        parts = replace(SOUND, goal=faults.GoalWithoutTheWrite.parts.goal)

    assert "no discrete view" in outcome(Unseen).note
    assert outcome(Unseen).examined == 0
    assert "dead ends are declared" in outcome(registry.kind_of(ECHO)).note
    monkeypatch.setattr(judges, "JUDGES", {})
    monkeypatch.setattr("stateset_gym.policies.audit.reachable.JUDGES", {})
    found = outcome(Unjudged, arguments=CANCEL)
    assert not any("is earned" in finding.what for finding in found.findings)
    assert "what its ends pay is not verified" in found.note


def test_dead_ends_of_echo_are_there_and_declared() -> None:
    table = tabulate(registry.kind_of(ECHO), "Echo-v0/train/hard/000000")
    found = traps(Edges(table))
    assert found is not None
    assert len(found.path) == 1


def test_the_extent_is_printed_with_what_was_found_and_with_nothing() -> None:
    report = audit(registry.kind_of(DESK), QUICK._replace(cap=60), ("reachable",), CANCEL, jobs=1)
    found = report.outcomes["reachable"]
    assert (found.wrong, found.examined) == (0, 3)
    assert re.fullmatch(r"\d+ of \d+ states explored, 0 of 3 scenes whole", found.extent)
    cells = [str(cell) for column in covered(found).columns for cell in column.cells]
    assert cells[0] == "cancel_order"
    assert all(re.fullmatch(r"0/1, \d+/\d+", cell) for cell in cells[1:])
    about = [str(cell) for cell in shown(report, 0.0).columns[-1].cells]
    assert about[0].endswith(found.extent)


def test_several_processes_find_the_same() -> None:
    size = QUICK._replace(cap=60, reachable=2)
    alone, together = (
        audit(faults.PeeksAtThePlot, size, ("reachable",), CANCEL, jobs=jobs, difficulties=("hard",)).outcomes[
            "reachable"
        ]
        for jobs in (1, 2)
    )
    assert (alone.examined, alone.wrong, alone.covered) == (together.examined, together.wrong, together.covered)
    assert sorted(alone.findings) == sorted(together.findings)
    assert alone.covered["hard/cancel_order"].scenes == 2
    assert {finding.scene.split("/")[1] for finding in alone.findings} == {"train", "test"}


def test_the_command_line_explores_as_many_scenes_as_it_is_told() -> None:
    arguments = ("--check", "reachable", "--scenes", "3", "--difficulty", "hard", "--cap", "9", "--jobs", "1", "--json")
    result = CliRunner().invoke(app, ["audit", TICKET, *arguments])
    found = json.loads(result.output)["checks"]["reachable"]
    assert result.exit_code == 0
    assert found["examined"] == 3 * len(found["covered"]) == 24
    assert all(name.startswith("hard/") for name in found["covered"])
    assert found["covered"]["hard/billing"] == {"scenes": 3, "whole": 3, "explored": 6, "found": 6}
    result = CliRunner().invoke(app, ["audit", TICKET, "--difficulty", "simple"])
    assert result.exit_code == 2
    assert "'simple' is not known" in result.output.replace("\n", " ")


def test_a_scene_of_ones_own_is_explored() -> None:
    said = [{"field": "issue", "value": "charged_twice", "words": "charged twice"}]
    answer = {"queue": "billing", "priority": "normal"}
    own = {"subject": "Charge", "body": "I was charged twice!", "answer": answer, "said": said}
    found = audit(registry.kind_of(TICKET), QUICK, ("reachable",), own=own, jobs=1).outcomes["reachable"]
    assert (found.examined, found.wrong) == (1, 0)
    assert found.covered == {"easy/billing": Coverage(1, 1, 2, 2)}


def played(table: Table, state: int = 0, turn: int = 0, total: float = 0.0, broken: bool = False) -> Iterator[Any]:
    """All there is to play: the return and whether a rule was broken, just as the environment pays."""
    if turn == table.limit or not table.explored[state]:
        yield from [(total + table.cut[state], broken)] if turn == table.limit else []
        return
    for action in range(len(table.action_names)):
        late = PRICES.late_turn * (turn >= table.par)
        after = total + table.penalty()[state, action] - late
        now = broken or bool(table.breach[state, action])
        if table.done[state, action]:
            yield after + table.goal[state, action], now
        else:
            yield from played(table, int(table.next_state[state, action]), turn + 1, after, now)


@settings(max_examples=60, deadline=None)
@given(small_tables())
def test_the_best_returns_are_those_of_trying_everything(table: Table) -> None:
    ways = [*played(table)]
    best = Returns(Edges(table)).best()
    for value, kind in ((best.flawless, False), (best.breaching, True)):
        assert value == pytest.approx(max((total for total, broken in ways if broken == kind), default=-np.inf))
        if np.isfinite(value):
            total, broken = returned(table, Returns(Edges(table)).path(breach=kind))
            assert (total, broken) == (pytest.approx(value), kind)


def returned(table: Table, path: tuple[int, ...]) -> tuple[float, bool]:
    """What a path returns, and whether it breaks a rule."""
    state, total, broken = 0, 0.0, False
    for turn, action in enumerate(path):
        total += float(table.penalty()[state, action]) - PRICES.late_turn * (turn >= table.par)
        broken |= bool(table.breach[state, action])
        if table.done[state, action]:
            assert turn == len(path) - 1
            return total + float(table.goal[state, action]), broken
        state = int(table.next_state[state, action])
    assert len(path) == table.limit
    return total + float(table.cut[state]), broken


@settings(max_examples=100, deadline=None)
@given(small_tables())
def test_traps_are_the_states_that_clean_paths_lead_to_and_success_does_not_lie_behind(table: Table) -> None:
    def after(state: int, clean: bool) -> set[int]:
        faultless = table.penalty() == 0
        return {
            int(table.next_state[state, action])
            for action in range(len(table.action_names))
            if table.mask[state, action] and not table.done[state, action] and (faultless[state, action] or not clean)
        }

    def reached(state: int, clean: bool) -> set[int]:
        found, new = set(), {state}
        while new:
            found |= new
            new = {each for known in new for each in after(known, clean)} - found
        return found

    def wins(state: int) -> bool:
        ends = (table.done & (table.goal >= 1)).any(axis=1)
        return any(ends[each] or table.cut[each] >= 1 or not table.explored[each] for each in reached(state, False))

    lost = {state for state in reached(0, True) if not wins(state)}
    found = traps(Edges(table))
    if not wins(0) or not lost:
        assert found is None
        return
    assert found is not None
    assert found.states == len(lost)
    state = 0
    for action in found.path:
        assert table.penalty()[state, action] == 0
        state = int(table.next_state[state, action])
    assert state in lost


def test_a_state_that_offers_nothing_is_found() -> None:
    table = tabulate(registry.kind_of(ECHO), "Echo-v0/train/hard/000000")
    assert stuck(table).size == 0
    mask = table.mask.copy()
    mask[1] = False
    assert stuck(replace(table, mask=mask)).tolist() == [1]


TINY = [(ECHO, "Echo-v0/train/hard/000000", 3), (DESK, "CustomerService-v0/train/easy/000014", 4)]


@pytest.mark.parametrize(("env_id", "scene", "turns"), TINY)
def test_the_best_returns_of_a_scene_are_those_of_all_its_conversations(env_id: str, scene: str, turns: int) -> None:
    kind = registry.kind_of(env_id)
    view = DiscreteView(kind(max_turns=turns, prompt="none"))  # type: ignore[call-arg]
    best = {True: -1.0, False: -1.0}

    def hold(total: float, broken: bool) -> None:
        before = view.snapshot()
        for index in np.flatnonzero(view.action_masks()).tolist():
            _, reward, terminated, truncated, info = view.step(index)
            now = broken or bool(info["violations"])
            if terminated or truncated:
                best[now] = max(best[now], total + reward)
            else:
                hold(total + reward, now)
            view.restore(before)

    view.reset(options={"scene": scene})
    hold(0.0, False)
    table = tabulate(kind, scene)
    found = Returns(Edges(table), turns).best()
    assert found.flawless == pytest.approx(best[False]) == 1
    assert max(found.breaching, -1.0) == pytest.approx(best[True])
    assert found.any == pytest.approx(Optimum.of(table, turns).value)


def test_the_second_judge_sees_what_the_expert_earns_and_what_is_missing() -> None:
    for env_id, difficulty in itertools.product((ECHO, TICKET, DESK), ("easy", "hard")):
        kind = registry.kind_of(env_id)
        env, expert = kind(difficulty=difficulty), kind.parts.expert  # type: ignore[arg-type]
        for number in range(24):
            _, info = env.reset(options={"scene": env.pool[number]})
            judge = judges.judge_of(kind.parts.name, env.snapshot().turn.scene)
            assert judge is not None
            judge.hear(None, info["facts"])
            while not info["outcome"]:
                assert judge.copy().earned() == env.parts.goal(env.snapshot().turn.state)
                action = expert(env.memory)
                assert not judge.needs_yes(action)
                *_, info = env.step(action)
                judge.hear(action, info["facts"])
            assert judge.earned() == 1


def test_what_was_shown_alike_must_have_the_same_features_and_actions() -> None:
    kind = registry.kind_of(ECHO)
    shown: Shown = {}
    scene = "Echo-v0/train/hard/000000"
    for _ in range(2):
        assert reachable(Subject(kind), kind(), scene, 100, shown).findings == []
    features, mask, bound = shown[known := next(iter(shown))]
    for other, says in (
        ((features, mask[::-1] + b"x", bound), "the same was shown elsewhere, and gave other features or masks"),
        ((features, mask, bound[::-1]), "the same was shown elsewhere, and its templates stood for other actions"),
    ):
        shown[known] = other
        (finding,) = reachable(Subject(kind), kind(), scene, 100, shown).findings
        assert says in finding.what


def test_walks_hold_the_table_against_the_environment() -> None:
    """A table that is wrong in one number is found out."""
    kind = registry.kind_of(DESK)
    scene = "CustomerService-v0/train/easy/000019"
    table = tabulate(kind, scene)

    def met(**changed: Any) -> set[str]:
        walker = Walker(kind(), catalogue_of(kind), scene, replace(table, **changed), {})
        walker.everywhere()
        walker.at_random(4)
        return set(walker.wrong)

    assert met() == set()
    mask, rows, cut = table.mask.copy(), table.rows.copy(), table.cut.copy()
    mask[7, np.argmin(mask[7])] = True
    rows[3] = 1 - rows[3]
    cut[5] = 1 - cut[5]
    assert met(mask=mask) == met(rows=rows) == {"features"}
    assert met(cut=cut) == {"goal"}
    outcomes = table.outcomes.copy()
    outcomes[:, 0] += 1
    assert met(outcomes=outcomes) == {"rewards"}

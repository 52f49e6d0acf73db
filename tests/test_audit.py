"""The audit: it passes what is sound, and catches the planted faults, and some more."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import stateset_gym  # noqa: F401
from stateset_gym.envs.customer_service import actions, desk
from stateset_gym.envs.customer_service import conduct as rules
from stateset_gym.envs.customer_service.store import Store
from stateset_gym.envs.errors import ResetNeeded
from stateset_gym.policies import registry
from stateset_gym.policies.audit import CHECKS, QUICK, Size, audit, breaches, conduct, faults
from stateset_gym.policies.audit.words import documented

IDS = ("StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0")
SMALL = QUICK._replace(scenes=24, deep=24, floors=24, openings=500, fuzz=3_000, reachable=0)
SHALLOW = [fault for fault, check in faults.FAULTS.items() if check != "reachable"]
DESK = registry.kind_of("StateSet/CustomerService-v0")


def wrong(kind: Any, *checks: str, size: Size = SMALL, **more: Any) -> dict[str, list[str]]:
    """Check -> what it finds wrong."""
    outcomes = audit(kind, size, checks or None, jobs=1, **more).outcomes
    assert all(outcome.examined for name, outcome in outcomes.items() if name in checks)
    return {name: [found.what for found in outcome.findings] for name, outcome in outcomes.items() if outcome.wrong}


@pytest.mark.parametrize("env_id", IDS)
def test_our_environments_are_sound(env_id: str) -> None:
    assert wrong(registry.kind_of(env_id)) == {}


def test_there_are_twelve_planted_faults_each_for_a_check_of_its_own_and_seven_that_are_hidden_deeply() -> None:
    assert len(SHALLOW) == len({faults.FAULTS[fault] for fault in SHALLOW}) == 12
    assert len(faults.FAULTS) == 12 + 7
    assert set(faults.FAULTS.values()) < set(CHECKS)


@pytest.mark.parametrize("fault", SHALLOW, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(fault: Any) -> None:
    assert list(wrong(fault, faults.FAULTS[fault])) == [faults.FAULTS[fault]]


def test_an_agent_that_the_fault_favours_is_named() -> None:
    found = wrong(faults.RefuseAllPays, "floors")["floors"]
    assert any(what.startswith("refuse-all reaches") for what in found)


def unconfirmed(state: Any, act: Any, decide: Any) -> list[dict[str, Any]]:
    facts = faults.SOUND.play(state, act, decide)
    return [fact for fact in facts if fact.get("rule") != "confirm_writes"]


class FreeUnaskedWrites(faults.Planted):
    """A change that nobody agreed to costs nothing."""

    parts = replace(faults.SOUND, play=unconfirmed)


def impossible(state: Any, act: Any, decide: Any) -> list[dict[str, Any]]:
    if type(act).__name__ == "CancelOrder":
        return [{"kind": "refused", "act": "cancel_order", "why": "Not today."}]
    return faults.SOUND.play(state, act, decide)


class ImpossibleGoal(faults.Planted):
    """What the customer wants is refused."""

    parts = replace(faults.SOUND, play=impossible)


class ForgetfulSnapshot(faults.Planted):
    """A snapshot that goes back to the beginning."""

    def restore(self, snapshot: Any) -> Any:
        return super().reset(options={"scene": snapshot.turn.scene.name})


class Fragile(faults.Planted):
    """It cannot read what is no action."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"on_invalid": "raise", **arguments})


@pytest.mark.parametrize(
    ("kind", "check", "what"),
    [
        (FreeUnaskedWrites, "floors", "never-asks reaches"),
        (ImpossibleGoal, "expert", "an action of the expert's is at fault: Not today."),
        (ForgetfulSnapshot, "snapshots", "restore"),
        (faults.StepAfterTheEnd, "fuzz", "a step after the end is played"),
        (faults.HiddenPenalty, "fuzz", "do not add up"),
        (faults.HiddenPenalty, "expert", "the expert's return is 0.9"),
    ],
)
def test_other_faults_are_caught(kind: Any, check: str, what: str) -> None:
    found = wrong(kind, check)[check]
    assert any(what in text for text in found), found


def test_fuzzing_reports_what_leads_to_an_exception() -> None:
    (text, *_) = wrong(Fragile, "fuzz")["fuzz"]
    assert "InvalidAction" in text

    def broken(state: Any, act: Any, decide: Any) -> Any:
        return {}[act]

    class Broken(faults.Planted):
        parts = replace(faults.SOUND, play=broken)

    (text, *_) = wrong(Broken, "fuzz")["fuzz"]
    assert "KeyError" in text
    assert "actions: [" in text
    assert "--seed 0" in text


def test_the_same_seed_fuzzes_the_same() -> None:
    class Broken(faults.Planted):
        parts = replace(faults.SOUND, goal=lambda state: {}["nothing"])

    first, again = (wrong(Broken, "fuzz", seed=7) for _ in range(2))
    assert first == again != wrong(Broken, "fuzz", seed=8)


def test_a_finding_shows_the_scene_the_turn_and_the_conversation() -> None:
    outcome = audit(ImpossibleGoal, SMALL, ("expert",), jobs=1).outcomes["expert"]
    finding = outcome.findings[0]
    assert finding.scene.startswith("CustomerService-v0/train/easy/")
    assert "Not today." in finding.messages[2 * finding.turn + 1]["content"]
    assert outcome.wrong > len(outcome.findings) == 5


def test_more_processes_find_the_same() -> None:
    size = SMALL._replace(floors=6, fuzz=1_000, openings=50)
    alone, together = (audit(faults.HiddenPenalty, size, jobs=jobs) for jobs in (1, 2))
    for name, outcome in alone.outcomes.items():
        other = together.outcomes[name]
        assert (outcome.examined, outcome.wrong) == (other.examined, other.wrong), name
    assert [score[:4] for score in alone.scores] == [score[:4] for score in together.scores]


def nothing(*given: Any) -> list[Any]:
    return []


def untold(memory: Any, act: Any) -> list[Any]:
    return [found for found in rules._find(memory, act) if not act.email]


def only_seen(memory: Any, act: Any) -> list[Any]:
    """Whatever is said of something seen is taken for shown."""
    found = rules._inform(memory, act)
    seen = all(claim.about in memory.seen for claim in act.claims)
    return [each for each in found if each["rule"] != "supported_claims" or not seen]


def any_owner(memory: Any, act: Any) -> list[Any]:
    return [each for each in rules._inform(memory, act) if each["rule"] != "no_disclosure"]


def any_write_of_a_type(memory: Any, act: Any) -> list[Any]:
    return [] if any(type(each) is type(act) for each in memory.agreed) else rules._write(memory, act)


LAX: list[tuple[str, Any, Callable[..., Any]]] = [
    ("supported_claims", None, nothing),
    ("authenticate_first", actions.GetOrder, nothing),
    ("authenticate_first", actions.GetCustomer, nothing),
    ("authenticate_first", actions.FindCustomer, untold),
    ("one_customer", actions.FindCustomer, nothing),
    ("one_customer", actions.GetCustomer, nothing),
    ("supported_claims", actions.Inform, only_seen),
    ("no_disclosure", actions.Inform, any_owner),
    ("serve_the_request", actions.Propose, nothing),
    ("refuse_by_rule", actions.Refuse, nothing),
    ("hand_over_out_of_scope", actions.HandOver, nothing),
    *(("confirm_writes", write, any_write_of_a_type) for write in actions.WRITES),
]
"""House rule -> the type whose check is made lax (None: what messages name), and the lax check."""


@pytest.mark.parametrize(("rule", "kind", "lax"), LAX)
def test_a_lax_house_rule_is_caught(rule: str, kind: Any, lax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind is None:
        monkeypatch.setattr(desk, "slips", lax)
    else:
        monkeypatch.setitem(rules.CHECKS, kind, lax)
    found = conduct.conduct(conduct.Subject(faults.Planted), ("train", "normal"), 24)
    assert rule in {finding.what.split(":")[0] for finding in found if finding}


class Misfiled(faults.Planted):
    """What was said without support is priced as conduct."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        terms = info["reward_terms"]
        moved = {**terms, "conduct": terms["conduct"] + terms["truth"], "truth": 0.0}
        return observation, reward, terminated, truncated, {**info, "reward_terms": moved}


def test_a_breach_that_costs_nothing_is_caught() -> None:
    found = wrong(Misfiled, "conduct")["conduct"]
    assert all("supported_claims: " in what and "costs 0.0 and not 0.25" in what for what in found), found


def test_a_house_rule_that_nothing_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    house = conduct.House({**rules.PROSE, "be_kind": "Be kind."}, breaches.DESK)
    monkeypatch.setitem(conduct.HOUSES, "CustomerService-v0", house)
    found = wrong(DESK, "conduct")["conduct"]
    assert found[0] == "be_kind: no breach of it could be made on train/easy"


def test_each_house_rule_has_ways_to_break_it_and_each_way_is_met() -> None:
    assert breaches.DESK.keys() == rules.PROSE.keys()
    met: set[str] = set()

    def noted(way: Any) -> Any:
        def noting(look: Any) -> Any:
            for breach in way(look):
                met.add(way.__name__)
                yield breach

        return noting

    ways = {rule: tuple(map(noted, each)) for rule, each in breaches.DESK.items()}
    # Few questions are about the orders of others.
    for kinds, count in ((None, 24), (["not_your_order"], 8)):
        env = DESK(difficulty="normal", kinds=kinds)
        for number in range(count):
            list(conduct._scene(env, env.pool[number], conduct.House(rules.PROSE, ways)))
    assert met == {way.__name__ for each in breaches.DESK.values() for way in each}


class NotBegun(faults.Planted):
    """It wants a reset where there was one."""

    def snapshot(self) -> Any:
        raise ResetNeeded("There is nothing to keep.")


class Unmakeable(faults.Planted):
    """It cannot be made."""

    def __init__(self, **arguments: Any) -> None:
        raise KeyError("no such thing")


class Deadly(faults.Planted):
    """It ends the process that it is played in."""

    def step(self, action: Any) -> Any:
        os._exit(3)


def test_what_stops_a_check_is_a_finding() -> None:
    found = wrong(NotBegun, "snapshots", "ends", "conduct", "fuzz")
    assert found.keys() == {"snapshots", "ends", "conduct", "fuzz"}
    assert all("There is nothing to keep." in what for each in found.values() for what in each)
    found = wrong(Unmakeable, "expert", "floors", "conduct", "openings", "splits", "fuzz")
    assert found.keys() == {"expert", "floors", "conduct", "openings", "splits", "fuzz"}
    assert all("no such thing" in what for each in found.values() for what in each)


def test_with_no_other_check_process_says_what_stops_it() -> None:
    assert "no such thing" in wrong(Unmakeable, "process")["process"][0]


def test_a_process_that_dies_is_a_finding() -> None:
    outcomes = audit(Deadly, SMALL, ("openings", "floors"), jobs=2).outcomes
    assert "its process failed: BrokenProcessPool" in outcomes["floors"].findings[0].what
    assert outcomes["floors"].findings[0].what.startswith("floors/")


class Unreadable(faults.Planted):
    """Texts come back as they are not: an observation outside of its space."""

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        messages = [{**message, "content": message["content"] + "\ud800"} for message in observation["messages"]]
        return {**observation, "messages": messages}, *rest


class SharedState(desk.State):
    """Copies that share what was done."""

    def copy(self) -> Any:
        twin = type(self)(self.scene)
        for name in desk.State.__slots__:
            setattr(twin, name, getattr(desk.State.copy(self), name))
        twin.memory.done = self.memory.done
        return twin


class SharedMemory(faults.Planted):
    """Branches remember what was done in other branches."""

    parts = replace(faults.SOUND, start=SharedState)


def test_a_branch_that_is_remembered_is_found() -> None:
    assert "a branch is remembered where it was left" in wrong(SharedMemory, "snapshots")["snapshots"][0]


def test_an_observation_outside_its_space_is_found() -> None:
    assert "not in observation_space" in wrong(Unreadable, "fuzz")["fuzz"][0]


def a_shop() -> dict[str, dict[str, Any]]:
    """A store with room for scenes of all kinds: that of many scenes together."""
    env = DESK(difficulty="hard", split="train")
    shop: dict[str, dict[str, Any]] = {"products": {}, "customers": {}, "orders": {}}
    for number in range(60):
        env.reset(options={"scene": env.pool[number]})
        store = Store(env.snapshot().turn.scene.base).to_dict()
        if not marks(store) & marks(shop):
            for part in shop:
                shop[part].update(store[part])
    return shop


def marks(store: dict[str, Any]) -> set[str]:
    """All that must differ within a store: ids and e-mail addresses."""
    items = {item for product in store["products"].values() for item in product["variants"]}
    people = store["customers"].values()
    methods = {method for person in people for method in person["payment_methods"]}
    return items | methods | {person["email"] for person in people} | {key for part in store.values() for key in part}


def test_a_store_of_ones_own_is_audited() -> None:
    checks = ("expert", "writes", "ends", "lacks", "leaks", "prefixes", "snapshots", "returns")
    assert wrong(DESK, *checks, size=SMALL._replace(deep=12), arguments={"store": a_shop()}) == {}


def test_a_scene_of_ones_own_is_audited() -> None:
    env = DESK(difficulty="hard")
    scene = env.pool[19]
    env.reset(options={"scene": scene})
    data = env.snapshot().turn.scene
    own = {**msgspec.to_builtins(data.plot), "store": Store(data.base).to_dict()}
    outcomes = audit(DESK, SMALL, own=own, jobs=1).outcomes
    assert {name for name, outcome in outcomes.items() if outcome.wrong} == set()
    assert {"expert", "ends", "process", "fuzz"} <= {name for name, outcome in outcomes.items() if outcome.examined}
    assert "floors" not in outcomes


def test_documented_keys_are_those_of_the_first_table() -> None:
    class Listed:
        """
        ## Info keys

        | Key | Content |
        |-----|---------|
        | `one` | first |
        | `two` | see `three` |

        | `kind` | another table |
        """

    class Plain(Listed):
        """Says nothing of infos, and inherits what its base says."""

    assert documented(Listed) == documented(Plain) == {"one", "two"}
    assert documented(int) == set()

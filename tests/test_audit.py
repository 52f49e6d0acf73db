"""The audit: it passes what is sound, and catches a dozen planted faults, and some more."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

import stateset_gym  # noqa: F401
from stateset_gym.envs.customer_service.store import Store
from stateset_gym.envs.errors import InvalidAction
from stateset_gym.policies import registry
from stateset_gym.policies.audit import CHECKS, QUICK, Size, audit, faults
from stateset_gym.policies.audit.words import documented

IDS = ("StateSet/Echo-v0", "StateSet/CustomerService-v0", "StateSet/TicketTriage-v0")
SMALL = QUICK._replace(scenes=24, deep=24, floors=24, openings=500, fuzz=3_000)
DESK = registry.kind_of("StateSet/CustomerService-v0")


def wrong(kind: Any, *checks: str, size: Size = SMALL, **more: Any) -> dict[str, list[str]]:
    """Check -> what it finds wrong."""
    outcomes = audit(kind, size, checks or None, jobs=1, **more).outcomes
    assert all(outcome.examined for name, outcome in outcomes.items() if name in checks)
    return {name: [found.what for found in outcome.findings] for name, outcome in outcomes.items() if outcome.wrong}


@pytest.mark.parametrize("env_id", IDS)
def test_our_environments_are_sound(env_id: str) -> None:
    assert wrong(registry.kind_of(env_id)) == {}


def test_there_are_twelve_planted_faults_each_for_a_check_of_its_own() -> None:
    assert len(faults.FAULTS) == len(set(faults.FAULTS.values())) == 12
    assert set(faults.FAULTS.values()) < set(CHECKS)


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
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
    with pytest.raises(InvalidAction, match="malformed action"):
        wrong(Fragile, "fuzz")

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

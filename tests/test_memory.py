"""Memory: the fold over actions and facts, its copies and its key."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stateset_gym.envs.actions import Action
from stateset_gym.envs.customer_service import reading
from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.memory import PERSON, Memory

Fact = dict[str, Any]
CANCEL = {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}
PROPOSAL = {"type": "propose", "action": CANCEL}


def act(action: dict[str, Any] | None) -> Action | None:
    return None if action is None else ACTIONS.decoder.decode(ACTIONS.encoder.encode(action))


def said(kind: str, no: int, field: str | None = None, value: Any = None) -> Fact:
    fact = {"kind": "said", "act": kind, "no": no, "how": "reply"}
    return fact if field is None else {**fact, "field": field, "value": value}


def result(**shows: dict[str, Any]) -> Fact:
    return {"kind": "result", "act": "any", "shows": shows}


def folded(*steps: tuple[dict[str, Any] | None, list[Fact]]) -> Memory:
    memory = Memory()
    for action, facts in steps:
        memory.fold(act(action), facts)
    return memory


OPENING = (None, [said("tell", 0, "request", "cancel_order"), said("tell", 0, "order_id", "O1")])
AGREED = (PROPOSAL, [said("accept", 0)])
DONE = (CANCEL, [result(O1={"status": "cancelled"})])


def test_what_is_said_is_laid_out_by_request_and_person() -> None:
    memory = folded(
        (
            None,
            [
                said("tell", PERSON, "announce", 2),
                said("tell", 0, "request", "return_items"),
                said("tell", 0, "product", "oak desk"),
                said("tell", PERSON, "email", "ada@post.example"),
            ],
        ),
        (
            {"type": "ask", "field": "request"},
            [said("tell", 1, "request", "cancel_order"), said("tell", 1, "order_id", "O2")],
        ),
    )
    assert memory.person == {"announce": 2, "email": "ada@post.example"}
    assert memory.requests == [
        {"request": "return_items", "product": "oak desk"},
        {"request": "cancel_order", "order_id": "O2"},
    ]
    assert not memory.settled


def test_a_request_said_again_is_no_further_one() -> None:
    memory = folded(OPENING, ({"type": "ask", "field": "request"}, [said("tell", 0, "request", "cancel_order")]))
    assert memory.requests == [{"request": "cancel_order", "order_id": "O1"}]


def test_nothing_more_is_no_request() -> None:
    assert (
        len(folded(OPENING, ({"type": "ask", "field": "request"}, [said("tell", 1, "request", "nothing")])).requests)
        == 2
    )


def test_a_correction_and_a_change_replace_what_was_said() -> None:
    memory = folded(
        OPENING,
        ({"type": "ask", "field": "order_id"}, [said("tell", 0, "order_id", "O2")]),
        (PROPOSAL, [said("change", 0), said("change", 0, "reason", "ordered_by_mistake")]),
    )
    assert memory.requests[0] == {"request": "cancel_order", "order_id": "O2", "reason": "ordered_by_mistake"}


def test_what_cannot_be_told_is_kept_apart() -> None:
    memory = folded(
        OPENING,
        ({"type": "ask", "field": "email"}, [said("cannot_tell", PERSON, "email")]),
        ({"type": "ask", "field": "reason"}, [said("cannot_tell", 0, "reason")]),
    )
    assert memory.cannot == {(PERSON, "email"), (0, "reason")}
    assert memory.person == {}


def test_results_add_up_by_id() -> None:
    memory = folded(
        ({"type": "list_products"}, [result(P1={"name": "oak desk"})]),
        ({"type": "get_product", "product_id": "P1"}, [result(P1={"variants": ["I1"]}, I1={"price": 100})]),
        ({"type": "get_product", "product_id": "P1"}, [result(I1={"price": 90})]),
    )
    assert memory.seen == {"P1": {"name": "oak desk", "variants": ["I1"]}, "I1": {"price": 90}}
    assert memory.done == {act({"type": "list_products"}): 1, act({"type": "get_product", "product_id": "P1"}): 2}


def test_an_accepted_proposal_is_agreed_until_it_is_carried_out() -> None:
    memory = folded(OPENING, AGREED)
    assert memory.agreed == {act(CANCEL): 0}
    assert not memory.settled
    memory.fold(act(CANCEL), [result(O1={"status": "cancelled"})])
    assert memory.agreed == {}
    assert memory.settled == {0}


def test_another_act_than_the_agreed_one_settles_nothing() -> None:
    other = {**CANCEL, "reason": "ordered_by_mistake"}
    memory = folded(OPENING, AGREED, (other, [result(O1={"status": "cancelled"})]))
    assert memory.agreed == {act(CANCEL): 0}
    assert not memory.settled


def test_an_accepted_answer_or_refusal_settles_its_request() -> None:
    refusal = {"type": "refuse", "request": "cancel_order", "rule": "not_pending"}
    assert folded(OPENING, (refusal, [said("accept", 0)])).settled == {0}


@pytest.mark.parametrize(
    ("action", "facts"),
    [
        (None, [{"kind": "malformed", "why": "..."}]),
        (CANCEL, [{"kind": "refused", "act": "cancel_order", "why": "..."}]),
        (CANCEL, [{"kind": "violation", "rule": "confirm_writes", "term": "conduct", "why": "..."}]),
        (None, [{"kind": "end", "why": "out_of_turns", "goal": 0.0}]),
        (None, []),
    ],
)
def test_faults_and_the_end_teach_nothing(action: dict[str, Any] | None, facts: list[Fact]) -> None:
    memory = folded(OPENING, AGREED)
    before = memory.key()
    memory.fold(act(action), facts)
    assert memory.key() == before


CHANGES = [
    OPENING,
    (None, [said("tell", PERSON, "email", "ada@post.example")]),
    AGREED,
    DONE,
    ({"type": "list_products"}, [result(P1={"name": "oak desk"})]),
    ({"type": "ask", "field": "reason"}, [said("cannot_tell", 0, "reason")]),
    ({"type": "refuse", "request": "cancel_order", "rule": "not_pending"}, [said("accept", 1)]),
]


@pytest.mark.parametrize("step", CHANGES)
def test_a_copy_goes_its_own_way(step: tuple[dict[str, Any] | None, list[Fact]]) -> None:
    memory = folded(OPENING, ({"type": "list_products"}, [result(P2={"name": "mug"})]))
    key, twin = memory.key(), memory.copy()
    assert twin.key() == key
    twin.fold(act(step[0]), step[1])
    assert memory.key() == key
    memory.fold(act(step[0]), step[1])
    assert memory.key() == twin.key()


def test_the_key_tells_memories_apart_and_can_be_hashed() -> None:
    memory, keys = folded(OPENING), []
    for action, facts in CHANGES[1:]:
        keys.append(memory.key())
        memory.fold(act(action), facts)
    keys.append(memory.key())
    assert len(set(keys)) == len(keys)


def test_which_order_is_meant_does_not_depend_on_which_was_read_first() -> None:
    """Several of the caller's orders hold the product: the first of their list is meant, or else of those read."""
    views = {name: {"customer": "C1", "items": [{"name": "rug"}]} for name in ("O2", "O1", "O3")}
    for listed, meant in (({}, "O1"), ({"C1": {"orders": ["O3", "O1", "O2"]}}, "O3")):
        for names in itertools.permutations(views):
            memory = Memory()
            memory.seen = {"customer": {"customer_id": "C1"}, **listed, **{name: views[name] for name in names}}
            found = reading.order_of(memory, {"request": "return_items", "product": "rug"})
            assert found is not None
            assert found[0] == meant


def test_the_order_of_learning_is_no_part_of_the_key() -> None:
    steps = [
        ({"type": "get_order", "order_id": "O1"}, [result(O1={"status": "pending", "total": 3})]),
        ({"type": "get_order", "order_id": "O2"}, [result(O2={"total": 4, "status": "pending"})]),
        ({"type": "ask", "field": "name"}, [said("tell", PERSON, "name", {"first_name": "A", "last_name": "B"})]),
        ({"type": "ask", "field": "postcode"}, [said("tell", PERSON, "postcode", "1")]),
    ]
    assert folded(OPENING, *steps).key() == folded(OPENING, *reversed(steps)).key()

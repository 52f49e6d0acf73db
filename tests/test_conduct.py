"""The house rules of CustomerService: traces that breach one, and near misses that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from stateset_gym.envs.actions import Action
from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.customer_service.conduct import FORBIDDEN, PROSE, breaches, forbidden, prose, slips
from stateset_gym.envs.customer_service.mentions import People, people_of
from stateset_gym.envs.customer_service.store import Result, Store
from stateset_gym.envs.memory import PERSON, Memory

SHOP: dict[str, Any] = json.loads((Path(__file__).parents[1] / "examples" / "shop.json").read_text())
PEOPLE = people_of(Store.from_dict(SHOP).base)
HOME = SHOP["customers"]["C1"]["address"]

Step = dict[str, Any] | tuple[Any, ...]
FIND = {"type": "find_customer", "email": "ada.moss@post.example"}
CANCEL = {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}
OTHER_CANCEL = {**CANCEL, "reason": "ordered_by_mistake"}
MOVE = {"type": "change_profile_address", "customer_id": "C1", "address": HOME}
SUMMARY = {"type": "hand_over", "summary": "Needs a colleague."}


def order(order_id: str) -> dict[str, Any]:
    return {"type": "get_order", "order_id": order_id}


def customer(customer_id: str) -> dict[str, Any]:
    return {"type": "get_customer", "customer_id": customer_id}


def product(product_id: str) -> dict[str, Any]:
    return {"type": "get_product", "product_id": product_id}


def refusal(request: str, rule: str) -> dict[str, Any]:
    return {"type": "refuse", "request": request, "rule": rule}


def inform(*claims: tuple[str, str, Any], message: str = "") -> dict[str, Any]:
    made = [{"about": about, "field": field, "value": value} for about, field, value in claims]
    return {"type": "inform", "claims": made, "message": message}


def propose(action: dict[str, Any]) -> dict[str, Any]:
    return {"type": "propose", "action": action}


def says(message: str) -> dict[str, Any]:
    return {"type": "apologise", "message": message}


def told(field: str, value: Any, no: int = 0) -> tuple[Any, ...]:
    """The customer tells something."""
    return "tell", no, field, value


def asks(kind: str, no: int = 0, **values: Any) -> list[Step]:
    """The customer comes with a request."""
    return [told("request", kind, no), *(told(field, value, no) for field, value in values.items())]


def agreed(action: dict[str, Any]) -> tuple[Any, ...]:
    return "agree", 0, action


def act(action: dict[str, Any]) -> Action:
    return ACTIONS.decoder.decode(ACTIONS.encoder.encode(action))


def seen(*steps: Step) -> Memory:
    """The memory after acts on the example shop, and after what its customer says."""
    memory, store = Memory(), Store.from_dict(SHOP)
    for step in steps:
        if isinstance(step, dict):
            outcome = store.apply(act(step))
            assert isinstance(outcome, Result), outcome
            memory.fold(act(step), [{"kind": "result", "act": step["type"], "shows": outcome.shows}])
        elif step[0] == "agree":
            memory.fold(act({"type": "propose", "action": step[2]}), [{"kind": "said", "act": "accept", "no": step[1]}])
        elif step[0] == "thanks":
            memory.fold(act(inform()), [{"kind": "said", "act": "accept", "no": step[1]}])
        else:
            _, no, field, value = step
            memory.fold(None, [{"kind": "said", "act": "tell", "no": no, "field": field, "value": value}])
    return memory


def broken(memory: Memory, action: dict[str, Any], people: People = PEOPLE) -> list[str]:
    facts = [*breaches(memory, act(action)), *slips(memory, people, act(action))]
    for fact in facts:
        assert fact["kind"] == "violation"
        assert fact["why"]
        assert fact["term"] == ("truth" if fact["rule"] == "supported_claims" else "conduct")
    return [fact["rule"] for fact in facts]


EMAIL = told("email", "ada.moss@post.example", PERSON)
NAME = told("name", {"first_name": "Ada", "last_name": "Moss"}, PERSON)
POSTCODE = told("postcode", "10117", PERSON)
BY_NAME = {"type": "find_customer", "first_name": "Ada", "last_name": "Moss", "postcode": "10117"}
KNOWN: list[Step] = [EMAIL, FIND]
STATUS: list[Step] = [*KNOWN, *asks("order_question", question="status")]
PRICE: list[Step] = asks("product_question", question="price")
AVAILABLE: list[Step] = asks("product_question", question="available")
SERVE, FALSE = "serve_the_request", "supported_claims"

TABLE: list[tuple[str, list[Step], dict[str, Any], list[str]]] = [
    # authenticate_first
    ("an order before", [EMAIL], order("O1"), ["authenticate_first"]),
    ("an order after", KNOWN, order("O1"), []),
    ("another's order after", KNOWN, order("O3"), []),
    ("a record before", [EMAIL], customer("C1"), ["authenticate_first"]),
    ("their record after", KNOWN, customer("C1"), []),
    ("products before", [], product("P1"), []),
    ("the list of products before", [], {"type": "list_products"}, []),
    (
        "a lookup that found nobody",
        [told("email", "no@post.example", PERSON), {**FIND, "email": "no@post.example"}],
        order("O1"),
        ["authenticate_first"],
    ),
    ("a write before", [agreed(CANCEL)], CANCEL, ["authenticate_first"]),
    ("a hand-over before", asks("out_of_scope"), SUMMARY, ["authenticate_first"]),
    (
        "telling an order before",
        [*STATUS[2:], order("O1")],
        inform(("O1", "status", "pending")),
        ["authenticate_first"],
    ),
    ("found by an e-mail that was told", [EMAIL], FIND, []),
    ("found by it in capitals", [EMAIL], {**FIND, "email": "ADA.MOSS@POST.EXAMPLE"}, []),
    ("found by an e-mail nobody told", [NAME], FIND, ["authenticate_first"]),
    ("found by name and postcode", [NAME, POSTCODE], BY_NAME, []),
    ("found by a postcode nobody told", [NAME], BY_NAME, ["authenticate_first"]),
    ("found by a name nobody told", [POSTCODE, EMAIL], BY_NAME, ["authenticate_first"]),
    ("an e-mail that was told with a name that was not", [EMAIL], {**BY_NAME, **FIND}, ["authenticate_first"]),
    # one_customer
    ("another's record", KNOWN, customer("C2"), ["one_customer"]),
    ("a lookup of another", KNOWN, {**FIND, "email": "ben@okoye.example"}, ["one_customer"]),
    ("a second lookup of the same", [*KNOWN, NAME, POSTCODE], BY_NAME, []),
    # confirm_writes
    ("a write that nobody agreed to", KNOWN, CANCEL, ["confirm_writes"]),
    ("a write as agreed", [*KNOWN, agreed(CANCEL)], CANCEL, []),
    ("another write than agreed", [*KNOWN, agreed(CANCEL)], OTHER_CANCEL, ["confirm_writes"]),
    ("a write twice", [*KNOWN, agreed(MOVE), MOVE], MOVE, ["confirm_writes"]),
    ("a write neither known nor agreed", [], CANCEL, ["authenticate_first", "confirm_writes"]),
    # no_disclosure
    ("telling of another's order", [*STATUS, order("O3")], inform(("O3", "status", "processed")), ["no_disclosure"]),
    ("telling of their own order", [*STATUS, order("O1")], inform(("O1", "status", "pending")), []),
    ("telling of a product before", [*PRICE, product("P1")], inform(("I1", "price", 8900), ("I3", "price", 9400)), []),
    # serve_the_request
    ("an answer that nobody asked for", [*KNOWN, order("O1")], inform(("O1", "status", "pending")), [SERVE]),
    (
        "more than was asked",
        [*STATUS, order("O1")],
        inform(("O1", "status", "pending"), ("O1", "total", 8900)),
        [SERVE],
    ),
    ("the answer once more", [*STATUS, order("O1"), ("thanks", 0)], inform(("O1", "status", "pending")), [SERVE]),
    ("another's record", [*STATUS, customer("C2")], inform(("C2", "email", "b@c.de")), [SERVE, "supported_claims"]),
    ("no answer at all", [], inform(), []),
    ("a proposal that serves the request", asks("cancel_order"), propose(CANCEL), []),
    ("a proposal that serves no request", asks("return_items"), propose(CANCEL), [SERVE]),
    (
        "a proposal that is carried out",
        [*KNOWN, *asks("cancel_order"), agreed(CANCEL), CANCEL],
        propose(CANCEL),
        [SERVE],
    ),
    ("a proposal for the second of two", [*asks("return_items"), *asks("cancel_order", 1)], propose(CANCEL), []),
    # supported_claims
    ("what nothing has shown", STATUS, inform(("O1", "status", "pending")), [FALSE]),
    ("another value than shown", [*STATUS, order("O1")], inform(("O1", "status", "delivered")), [FALSE]),
    ("a field that is not there", [*PRICE, order("O1")], inform(("O1", "price", 8900)), [FALSE]),
    ("one for true", [*AVAILABLE, product("P1")], inform(("I1", "available", 1)), [FALSE]),
    ("a number as text", [*PRICE, product("P1")], inform(("I1", "price", "8900")), [FALSE]),
    ("one wrong of two", [*PRICE, product("P1")], inform(("I1", "price", 8900), ("I2", "price", 1)), [FALSE]),
    ("two wrong of two", [*PRICE, product("P1")], inform(("I1", "price", 1), ("I2", "price", 1)), [FALSE, FALSE]),
    ("what the customer said but no tool showed", STATUS, inform(("0", "status", "status")), [FALSE]),
    # hand_over_out_of_scope
    ("a hand-over of what is out of scope", [*KNOWN, *asks("out_of_scope")], SUMMARY, []),
    ("a hand-over of what an action serves", [*KNOWN, *asks("cancel_order")], SUMMARY, ["hand_over_out_of_scope"]),
    ("a hand-over of nothing", KNOWN, SUMMARY, ["hand_over_out_of_scope"]),
    (
        "a hand-over of what is settled",
        [*KNOWN, *asks("out_of_scope"), ("thanks", 0)],
        SUMMARY,
        ["hand_over_out_of_scope"],
    ),
    ("a hand-over of the second of two", [*KNOWN, *asks("cancel_order"), *asks("out_of_scope", 1)], SUMMARY, []),
    # refuse_by_rule
    ("a refusal of what nobody asked", KNOWN, refusal("cancel_order", "not_pending"), ["refuse_by_rule"]),
    (
        "a refusal unseen",
        [*KNOWN, *asks("cancel_order", order_id="O2")],
        refusal("cancel_order", "not_pending"),
        ["refuse_by_rule"],
    ),
    (
        "a refusal of what may be",
        [*KNOWN, *asks("cancel_order", order_id="O1"), order("O1")],
        refusal("cancel_order", "not_pending"),
        ["refuse_by_rule"],
    ),
    ("apologies, questions and the end", [], says(""), []),
    ("a question", [], {"type": "ask", "field": "email"}, []),
    ("the end", [], {"type": "close"}, []),
]


@pytest.mark.parametrize(("steps", "action", "rules"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_an_act_breaks_just_these_rules(steps: list[Step], action: dict[str, Any], rules: list[str]) -> None:
    assert broken(seen(*steps), action) == rules


CARD = {"payment_method": "credit_card"}
RED = {"options": {"color": "red"}}
LARGE = {"options": {"size": "L"}}
REFUSALS: list[tuple[str, dict[str, Any], list[Step], str | None]] = [
    ("cancel_order", {"order_id": "O3"}, [order("O3")], "not_your_order"),
    ("order_question", {"order_id": "O3"}, [order("O3")], "not_your_order"),
    ("cancel_order", {"order_id": "O1"}, [order("O1")], None),
    ("cancel_order", {"order_id": "O2"}, [order("O2")], "not_pending"),
    ("change_items", {"order_id": "O2"}, [order("O2")], "not_pending"),
    ("change_address", {"order_id": "O2"}, [order("O2")], "not_pending"),
    ("change_payment", {"order_id": "O2"}, [order("O2")], "not_pending"),
    ("cancel_order", {"product": "water bottle"}, [order("O1"), order("O2")], "not_pending"),
    ("cancel_order", {"product": "rain jacket"}, [order("O1"), order("O2")], None),
    ("return_items", {"order_id": "O1"}, [order("O1")], "not_delivered"),
    ("exchange_items", {"order_id": "O1"}, [order("O1")], "not_delivered"),
    ("return_items", {"order_id": "O2"}, [order("O2")], None),
    ("change_items", {"order_id": "O1", "product": "rain jacket", **RED}, [order("O1"), product("P1")], "unavailable"),
    ("change_items", {"order_id": "O1", "product": "rain jacket", **RED}, [order("O1")], None),
    ("change_items", {"order_id": "O1", "product": "rain jacket", **LARGE}, [order("O1"), product("P1")], None),
    (
        "change_payment",
        {"order_id": "O1", "payment_method": "gift_card"},
        [order("O1"), customer("C1")],
        "gift_card_too_small",
    ),
    ("change_payment", {"order_id": "O1", "payment_method": "gift_card"}, [order("O1")], None),
    ("change_payment", {"order_id": "O1", **CARD}, [order("O1"), customer("C1")], None),
    (
        "return_items",
        {"order_id": "O2", "payment_method": ["credit_card", "gift_card"]},
        [order("O2")],
        "refund_method",
    ),
    ("return_items", {"order_id": "O2", "payment_method": "original"}, [order("O2"), customer("C1")], None),
    ("return_items", {"order_id": "O2", "payment_method": "gift_card"}, [order("O2"), customer("C1")], None),
    ("return_items", {"order_id": "O2", **CARD}, [order("O2"), customer("C1")], None),
]


@pytest.mark.parametrize(("kind", "values", "steps", "rule"), REFUSALS)
def test_a_request_breaks_the_rule_that_was_seen_to_forbid_it(
    kind: str, values: dict[str, Any], steps: list[Step], rule: str | None
) -> None:
    memory = seen(*KNOWN, *asks(kind, **values), *steps)
    assert forbidden(memory, memory.requests[0]) == rule
    for named in FORBIDDEN:
        assert broken(memory, refusal(kind, named)) == ([] if named == rule else ["refuse_by_rule"])


def test_a_refund_to_another_card_than_the_original_is_forbidden() -> None:
    shop = json.loads(json.dumps(SHOP))
    shop["customers"]["C1"]["payment_methods"]["M4"] = {"kind": "paypal"}
    store, memory = Store.from_dict(shop), seen(*KNOWN, *asks("return_items", order_id="O2", payment_method="paypal"))
    for step in (order("O2"), customer("C1")):
        memory.fold(act(step), [{"kind": "result", "act": "any", "shows": store.apply(act(step)).shows}])
    assert forbidden(memory, memory.requests[0]) == "refund_method"


# Words count too (what they mention: test_mentions.py)


@pytest.mark.parametrize("kind", [{"type": "apologise"}, {"type": "close"}, {"type": "ask", "field": "email"}], ids=str)
def test_the_words_of_an_act_are_judged(kind: dict[str, Any]) -> None:
    assert broken(seen(*KNOWN), {**kind, "message": "Thanks, Ada, I looked."}) == [FALSE]
    assert broken(seen(*KNOWN, NAME), {**kind, "message": "Thanks, Ada, I looked."}) == []
    assert broken(seen(*KNOWN, order("O3")), {**kind, "message": "O3 is not yours."}) == ["no_disclosure"]
    assert broken(seen(order("O3")), {**kind, "message": "O3 is not yours."}) == ["authenticate_first"]


def test_a_summary_is_made_of_words_too() -> None:
    memory = seen(*KNOWN, *asks("out_of_scope"))
    assert broken(memory, {**SUMMARY, "summary": "Ada.Moss@post.example asks for a price match."}) == []
    assert broken(memory, {**SUMMARY, "summary": "Order O77 is lost."}) == ["supported_claims"]


def test_a_claim_and_its_words_are_both_judged() -> None:
    memory = seen(*STATUS, order("O1"))
    assert broken(memory, inform(("O1", "status", "pending"), message="O1 costs $1.00.")) == [FALSE]
    assert broken(memory, inform(("O1", "status", "lost"), message="O1 costs $1.00.")) == [FALSE, FALSE]


# The prose


def test_the_prose_names_every_rule() -> None:
    text = prose()
    for name, sentence in FORBIDDEN.items():
        assert f"- {name}: {sentence}" in text
    for sentence in PROSE.values():
        assert f"- {sentence}" in text


@pytest.mark.parametrize("prompt", ["full", "brief"])
def test_agents_are_told_the_house_rules(prompt: str) -> None:
    env = gym.make("StateSet/CustomerService-v0", prompt=prompt)
    assert prose() in env.reset(seed=0)[0]["messages"][0]["content"]


def test_every_rule_that_is_broken_in_the_tables_is_one_of_the_prose() -> None:
    assert {rule for row in TABLE for rule in row[3]} == set(PROSE)
    assert {row[3] for row in REFUSALS} == {None, *FORBIDDEN}


def test_breaches_come_before_what_becomes_of_the_act() -> None:
    env, order_of = gym.make("StateSet/CustomerService-v0"), ("violation", "refused", "result", "said", "end").index
    env.reset(seed=0)
    for kind in ACTIONS.types:
        for example in kind.examples:
            *_, info = env.step(json.loads(ACTIONS.encoder.encode(example)))
            kinds = [fact["kind"] for fact in info["facts"]]
            assert kinds == sorted(kinds, key=order_of)
            if info["outcome"]:
                env.reset(seed=0)

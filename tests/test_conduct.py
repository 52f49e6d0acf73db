"""The house rules of CustomerService: traces that breach one, and near misses that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.actions import Action
from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.customer_service.conduct import FORBIDDEN, PROSE, breaches, forbidden, prose, slips
from stateset_gym.envs.customer_service.mentions import NOBODY, People, breaches_in, mentions, people_of
from stateset_gym.envs.customer_service.phrases import HEADS, TAILS
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


# What words mention

READ: list[Step] = [
    *KNOWN,
    *asks("cancel_order", order_id="O1"),
    customer("C1"),
    order("O1"),
    order("O2"),
    product("P2"),
]
WORDS: list[tuple[str, list[Step], str, list[str]]] = [
    ("ids that were shown", READ, "I looked at O1 and O2, paid by M1, and at I4 (P2) for C1.", []),
    ("an id that was said", asks("cancel_order", order_id="O1"), "Is it about O1?", []),
    ("an id that nobody said", [], "Is it about O1?", ["supported_claims"]),
    ("an invented id", READ, "Your new order is O77.", ["supported_claims"]),
    ("one invention told twice", READ, "It is O77, yes, O77!", ["supported_claims"]),
    ("two inventions", READ, "It is O77, or O78.", ["supported_claims"] * 2),
    ("an id with a number sign", READ, "Order #O1 is pending.", []),
    ("a price", READ, "You paid $89.00 for it.", []),
    ("a price without its sign", READ, "You paid 89.00 for it.", []),
    ("a price with a comma", READ, "You paid 89,00 for it.", []),
    ("a balance", READ, "Your card holds $50.00.", []),
    ("a difference of two variants", READ, "You get $2.00 back.", []),
    ("an invented amount", READ, "You get $5.00 back.", ["supported_claims"]),
    ("an amount nobody looked up", KNOWN, "It costs $89.00.", ["supported_claims"]),
    ("their e-mail", READ, "I write to ada.moss@post.example.", []),
    ("their e-mail in brackets", READ, "I write to you (Ada.Moss@post.example), today.", []),
    ("an invented e-mail", READ, "Write to help@shop.example.", ["supported_claims"]),
    ("their name", READ, "Thank you, Ada Moss!", []),
    ("their name in the genitive", READ, "This is Ada's order.", []),
    ("a name they said", [NAME], "Thank you, Ada.", []),
    ("their name before it was said", [EMAIL], "Thank you, Ada.", ["supported_claims"]),
    ("an invented name", READ, "Thank you, Priya.", ["supported_claims"]),
    ("their street and city", READ, "It goes to 4 Mill Lane in Ely.", []),
    ("their street alone", READ, "It goes to Mill Lane.", []),
    ("an invented street", READ, "It goes to 12 Station Road.", ["supported_claims"]),
    ("an invented city", READ, "It goes to Saltmarsh.", ["supported_claims"]),
    ("another's id", [*READ, order("O3")], "O3 is not yours.", ["no_disclosure"]),
    (
        "another's id that they named",
        [*KNOWN, *asks("cancel_order", order_id="O3"), order("O3")],
        "O3 is not yours.",
        [],
    ),
    ("another's city", [*READ, order("O3")], "That one went to Leeds.", ["no_disclosure"]),
    ("another's street", [*READ, order("O3")], "That one went to 19 Park Road.", ["no_disclosure"]),
    ("another's total", [*READ, order("O3")], "That one was $16.50.", []),  # as their own product's variant costs
    ("another's name", [*READ, customer("C2")], "That one is Ben's.", ["no_disclosure"]),
    ("another's e-mail", [*READ, customer("C2")], "Ask ben@okoye.example.", ["no_disclosure"]),
    ("their own city before they were known", [order("O1")], "It goes to Ely.", ["authenticate_first"]),
    ("their own price before they were known", [order("O1")], "It was $89.00.", ["authenticate_first"]),
    ("a product's price before they were known", [product("P1")], "It is $94.00.", []),
    ("a price above a thousand", [*KNOWN, *asks("order_question", total=123450)], "It is $1,234.50.", []),
]


@pytest.mark.parametrize(("steps", "message", "rules"), [row[1:] for row in WORDS], ids=[row[0] for row in WORDS])
def test_words_mention_what_may_be_told(steps: list[Step], message: str, rules: list[str]) -> None:
    memory = seen(*steps)
    assert [rule for rule, _ in breaches_in(memory, PEOPLE, message)] == rules
    assert broken(memory, says(message)) == rules
    assert broken(memory, {"type": "ask", "field": "email", "message": message}) == rules
    assert broken(memory, {"type": "close", "message": message}) == rules


@pytest.mark.parametrize("word", ["Priya", "Okafor", "Mill Lane", "Saltmarsh", "X@Y.example", "Z9", "$3.21"])
def test_what_generated_stores_are_made_of_is_known_without_a_store(word: str) -> None:
    assert [rule for rule, _ in breaches_in(Memory(), NOBODY, f"It is {word}, then.")] == ["supported_claims"]


def renamed(**changes: str) -> People:
    """The words of the example shop, whose second customer has another name or address."""
    shop = json.loads(json.dumps(SHOP))
    other = shop["customers"]["C2"]
    for part in (other, other["address"]):
        part.update({key: value for key, value in changes.items() if key in part})
    return people_of(Store.from_dict(shop).base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_name": "Soraya"}, "Thanks, Soraya."),
        ({"last_name": "O'Brien-Smith"}, "Thanks, Ms O'Brien-Smith."),
        ({"first_name": "Mary Ann"}, "Thanks, Mary Ann."),
        ({"street": "7 Long Row"}, "It goes to 7 Long Row."),
        ({"street": "7 St. John's Rd."}, "It goes to 7 St. John's Rd."),
        ({"street": "12 Avenue of the Old Oak Trees"}, "It goes to 12 Avenue of the Old Oak Trees, I hope."),
        ({"city": "Stratford-upon-Avon"}, "It goes to Stratford-upon-Avon."),
        ({"city": "Winston-Salem (NC)"}, "It goes to Winston-Salem (NC)."),
    ],
    ids=str,
)
def test_the_names_and_places_of_a_shop_are_known_as_they_are_written(changes: dict[str, str], message: str) -> None:
    assert set(broken(seen(), says(message), renamed(**changes))) == {FALSE}
    assert broken(seen(), says(message)) == []


def test_a_word_that_is_also_a_name_is_no_mention_of_it() -> None:
    people = renamed(first_name="Will", last_name="Long", city="Reading")
    assert broken(seen(), says("I will see to it, it won't take long: I am reading it now."), people) == []
    assert broken(seen(), says("I told Will Long of it."), people) == [FALSE, FALSE]


def test_a_summary_is_made_of_words_too() -> None:
    memory = seen(*KNOWN, *asks("out_of_scope"))
    assert broken(memory, {**SUMMARY, "summary": "Ada.Moss@post.example asks for a price match."}) == []
    assert broken(memory, {**SUMMARY, "summary": "Order O77 is lost."}) == ["supported_claims"]


def test_a_claim_and_its_words_are_both_judged() -> None:
    memory = seen(*STATUS, order("O1"))
    assert broken(memory, inform(("O1", "status", "pending"), message="O1 costs $1.00.")) == [FALSE]
    assert broken(memory, inform(("O1", "status", "lost"), message="O1 costs $1.00.")) == [FALSE, FALSE]


PLAIN = sorted(
    {
        word
        for table in (HEADS, TAILS)
        for texts in table.values()
        for text in texts
        for word in text.split()
        if "{" not in word
    }
)


@given(st.lists(st.sampled_from(PLAIN) | st.integers(0, 99).map(str), max_size=25))
def test_ordinary_prose_mentions_nothing(words: list[str]) -> None:
    assert list(mentions(PEOPLE, " ".join(words))) == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for rule, why in breaches_in(seen(*READ), PEOPLE, text):
        assert rule in PROSE
        assert why


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

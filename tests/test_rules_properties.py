"""What holds for any store and any acts: a plain second reading of the rules agrees, and no money appears."""

from __future__ import annotations

import copy
from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateset_gym.envs.customer_service.actions import ACTIONS, HandOver
from stateset_gym.envs.customer_service.store import Refused, Result, Store

STATUSES = ["pending"] * 6 + ["pending (items changed)", "processed", "cancelled"] + ["delivered"] * 4
STREETS = ["1 Quay", "2 Quay"]
PRODUCTS = {"P1": ["I1", "I2", "I3"], "P2": ["I4", "I5"]}
ITEMS = ["I1", "I2", "I3", "I4", "I5"]
METHODS = {"C1": ["M1", "G1", "G2"], "C2": ["M1", "M2"]}


def address(street: str) -> dict[str, str]:
    return {"street": street, "street2": "", "city": "Hull", "state": "HU", "country": "UK", "postcode": street[0]}


def made_shop(chance: Random) -> dict[str, Any]:
    """A small store: its references are sound, its prices, balances and payments are anything."""

    def variant(item: str) -> dict[str, Any]:
        return {"options": {"size": item}, "price": chance.randrange(6), "available": chance.random() < 0.8}

    return {
        "products": {
            product: {"name": product.lower(), "variants": {item: variant(item) for item in items}}
            for product, items in PRODUCTS.items()
        },
        "customers": {customer_id: made_customer(chance, customer_id) for customer_id in METHODS},
        "orders": {f"O{n}": made_order(chance) for n in range(4)},
    }


def made_customer(chance: Random, customer_id: str) -> dict[str, Any]:
    methods: dict[str, Any] = {"M1": {"kind": "credit_card"}, "M2": {"kind": "paypal"}}
    methods |= {gift: {"kind": "gift_card", "balance": chance.randrange(6)} for gift in ("G1", "G2")}
    return {
        "first_name": "Ada",
        "last_name": chance.choice(["Moss", "Lund"]),
        "email": f"{customer_id}@post.example",
        "address": address(chance.choice(STREETS)),
        "payment_methods": {method: methods[method] for method in METHODS[customer_id]},
    }


def made_order(chance: Random) -> dict[str, Any]:
    customer_id = chance.choice(["C1", "C1", "C2"])
    return {
        "customer": customer_id,
        "status": chance.choice(STATUSES),
        "address": address("1 Quay"),
        "items": [
            {"product": product_of(item), "item": item, "price": chance.randrange(6), "options": {"size": item}}
            for item in chance.choices(ITEMS, k=chance.randint(1, 3))
        ],
        "payments": [
            {
                "kind": chance.choice(["payment", "payment", "payment", "refund"]),
                "amount": chance.randrange(6),
                "method": chance.choice(METHODS[customer_id]),
            }
            for _ in range(chance.choice([1, 1, 1, 0, 2, 3]))
        ],
    }


def product_of(item: str) -> str:
    return "P1" if item < "I4" else "P2"


def made_act(chance: Random, shop: dict[str, Any]) -> dict[str, Any]:
    """An act on the world; those on items mostly name items of the order, and variants of their products."""
    order_id = chance.choice(["O0", "O1", "O2", "O3", "O0", "O1", "O2", "O3", "O9"])
    lines = shop["orders"].get(order_id, {"items": []})["items"]
    held = [line["item"] for line in lines] or ITEMS
    items = [chance.choice(held if chance.random() < 0.95 else ITEMS) for _ in range(chance.choice([0, 1, 1, 1, 2, 2]))]
    news = [chance.choice([*PRODUCTS[product_of(item)] * 4, "I9", "I1"]) for item in items]
    fields = {
        "order_id": order_id,
        "item_ids": items,
        "new_item_ids": [*news, "I1"] if chance.random() < 0.05 else news,
        "payment_method_id": chance.choice(["M1", "M1", "M2", "G1", "G2"]),
        "customer_id": chance.choice(["C1", "C2", "C9"]),
        "product_id": chance.choice(["P1", "P9"]),
        "address": address(chance.choice(STREETS)),
        "reason": "no_longer_needed",
        "email": chance.choice(["", "", "c1@POST.example", "x"]),
        "first_name": chance.choice(["", "Ada", "ada", "Bo"]),
        "last_name": chance.choice(["", "moss", "Lund", "Moss"]),
        "postcode": chance.choice(["", "1", "2"]),
    }
    kind = chance.choice(sorted(NAIVE))
    wanted = [field.name for field in msgspec.structs.fields(ACTIONS.by_name[kind])]
    return {"type": kind} | {name: fields[name] for name in wanted}


def made_play(chance: Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    shop = made_shop(chance)
    return shop, [made_act(chance, shop) for _ in range(chance.randint(1, 20))]


# Seeded generators: strategies of this depth draw mostly the simplest stores, in which almost every act is refused.
seeds = st.randoms(use_true_random=True)
plays = seeds.map(made_play)


# The second reading: each rule over plain dicts, with assertions for what the rules ask.


def naive_cancel_order(shop, act):
    order = shop["orders"][act["order_id"]]
    assert order["status"] == "pending"
    owed = Counter()
    for booking in order["payments"]:
        if booking["kind"] == "refund":
            owed[booking["method"]] -= booking["amount"]
    for booking in list(order["payments"]):
        if booking["kind"] == "payment":
            rest = max(0, booking["amount"] + min(0, owed[booking["method"]]))
            owed[booking["method"]] = min(0, owed[booking["method"]] + booking["amount"])
            if rest:
                naive_book(shop, order, "refund", rest, booking["method"])
    order["status"] = "cancelled"
    order["cancel_reason"] = act["reason"]


def naive_book(shop, order, kind, amount, method):
    order["payments"].append({"kind": kind, "amount": amount, "method": method})
    card = shop["customers"][order["customer"]]["payment_methods"][method]
    if card["kind"] == "gift_card":
        card["balance"] += amount if kind == "refund" else -amount
        assert card["balance"] >= 0


def naive_lines(order, item_ids):
    assert item_ids
    taken = []
    for item_id in item_ids:
        free = [line for line in order["items"] if line["item"] == item_id and not any(line is each for each in taken)]
        assert free
        taken.append(free[0])
    return taken


def naive_swap(shop, order, act):
    assert len(act["item_ids"]) == len(act["new_item_ids"])
    lines, difference = naive_lines(order, act["item_ids"]), 0
    for line, new in zip(lines, act["new_item_ids"], strict=True):
        variants = shop["products"][line["product"]]["variants"]
        assert new in variants
        assert variants[new]["available"]
        difference += variants[new]["price"] - line["price"]
    card = naive_method(shop, order, act)
    assert card["kind"] != "gift_card" or card["balance"] >= difference
    return lines, difference


def naive_method(shop, order, act):
    methods = shop["customers"][order["customer"]]["payment_methods"]
    assert act["payment_method_id"] in methods
    return methods[act["payment_method_id"]]


def naive_change_items(shop, act):
    order = shop["orders"][act["order_id"]]
    assert order["status"] == "pending"
    lines, difference = naive_swap(shop, order, act)
    for line, old, new in zip(lines, act["item_ids"], act["new_item_ids"], strict=True):
        assert old != new
        variant = shop["products"][line["product"]]["variants"][new]
        line.update(item=new, price=variant["price"], options=dict(variant["options"]))
    if difference:
        naive_book(shop, order, "payment" if difference > 0 else "refund", abs(difference), act["payment_method_id"])
    order["status"] = "pending (items changed)"


def naive_change_address(shop, act):
    assert shop["orders"][act["order_id"]]["status"] in ("pending", "pending (items changed)")
    shop["orders"][act["order_id"]]["address"] = act["address"]


def naive_change_payment(shop, act):
    order = shop["orders"][act["order_id"]]
    assert order["status"] in ("pending", "pending (items changed)")
    [paid] = [*order["payments"]] if len(order["payments"]) == 1 else [{"kind": "several"}]
    assert paid["kind"] == "payment"
    assert paid["method"] != act["payment_method_id"]
    naive_method(shop, order, act)
    naive_book(shop, order, "payment", paid["amount"], act["payment_method_id"])
    naive_book(shop, order, "refund", paid["amount"], paid["method"])


def naive_change_profile_address(shop, act):
    shop["customers"][act["customer_id"]]["address"] = act["address"]


def naive_return_items(shop, act):
    order = shop["orders"][act["order_id"]]
    assert order["status"] == "delivered"
    naive_lines(order, act["item_ids"])
    if naive_method(shop, order, act)["kind"] != "gift_card":
        trial = copy.deepcopy(shop)  # where would a cancellation send the first money?
        trial["orders"][act["order_id"]]["status"] = "pending"
        naive_cancel_order(trial, {"order_id": act["order_id"], "reason": ""})
        refunds = trial["orders"][act["order_id"]]["payments"][len(order["payments"]) :] or order["payments"]
        assert refunds
        assert refunds[0]["method"] == act["payment_method_id"]
    order["status"] = "return requested"
    order["return"] = {"items": sorted(act["item_ids"]), "method": act["payment_method_id"]}


def naive_exchange_items(shop, act):
    order = shop["orders"][act["order_id"]]
    assert order["status"] == "delivered"
    _, difference = naive_swap(shop, order, act)
    lists = {"items": sorted(act["item_ids"]), "new_items": sorted(act["new_item_ids"])}
    order["exchange"] = lists | {"method": act["payment_method_id"], "difference": difference}
    order["status"] = "exchange requested"


def naive_find_customer(shop, act):
    if act["email"]:
        return
    wanted = [act["first_name"], act["last_name"], act["postcode"]]
    assert all(wanted)
    people = shop["customers"].values()
    same = [
        p for p in people if [p["first_name"], p["last_name"], p["address"]["postcode"]] == [w.title() for w in wanted]
    ]
    assert len(same) <= 1


NAIVE = {
    "cancel_order": naive_cancel_order,
    "change_items": naive_change_items,
    "change_address": naive_change_address,
    "change_payment": naive_change_payment,
    "change_profile_address": naive_change_profile_address,
    "return_items": naive_return_items,
    "exchange_items": naive_exchange_items,
    "find_customer": naive_find_customer,
    "get_order": lambda shop, act: shop["orders"][act["order_id"]],
    "get_customer": lambda shop, act: shop["customers"][act["customer_id"]],
    "get_product": lambda shop, act: shop["products"][act["product_id"]],
    "list_products": lambda shop, act: None,
}


def naive(shop: dict[str, Any], act: dict[str, Any]) -> dict[str, Any] | None:
    """The shop after the act; None where the act is refused."""
    after = copy.deepcopy(shop)
    try:
        NAIVE[act["type"]](after, copy.deepcopy(act))
    except (AssertionError, KeyError):
        return None
    return after


def decoded(act: dict[str, Any]) -> Any:
    return msgspec.convert(act, ACTIONS.union)


def test_the_naive_reading_knows_every_act_on_the_world():
    speech = {"ask", "inform", "propose", "refuse", "apologise", "close"}
    assert set(NAIVE) == set(ACTIONS.names) - speech - {"hand_over"}
    with pytest.raises(TypeError, match="HandOver"):
        Store.from_dict({"products": {}, "customers": {}, "orders": {}}).apply(HandOver("x"))


@settings(max_examples=400)
@given(plays)
def test_a_plain_second_reading_of_the_rules_agrees(play):
    shop, sequence = play
    store = Store.from_dict(shop)
    for act in sequence:
        expected, key = naive(shop, act), store.key()
        answer = store.apply(decoded(act))
        assert isinstance(answer, Refused) == (expected is None), (act, answer)
        if expected is None:
            assert answer.reason.endswith(".")
            assert store.key() == key
        else:
            shop = expected
        assert store.to_dict() == shop
    assert Store.from_dict(shop).to_dict() == shop


@settings(max_examples=300)
@given(plays)
def test_no_money_appears_or_vanishes(play):
    shop, sequence = play
    store = Store.from_dict(shop)
    before = holdings(shop)
    for act in sequence:
        store.apply(decoded(act))
    assert holdings(store.to_dict()) == before
    assert all(amount >= 0 for _, amount in balances(store.to_dict()))


def balances(shop: dict[str, Any]) -> list[tuple[tuple[str, str], int]]:
    people = shop["customers"].items()
    return [
        ((c, m), method["balance"])
        for c, p in people
        for m, method in p["payment_methods"].items()
        if "balance" in method
    ]


def holdings(shop: dict[str, Any]) -> Counter[tuple[str, str]]:
    """For each gift card: its balance and what it has paid to the shop, less what came back; the two move as one."""
    held = Counter(dict(balances(shop)))
    for order in shop["orders"].values():
        for booking in order["payments"]:
            if (owner := (order["customer"], booking["method"])) in held:
                held[owner] += booking["amount"] if booking["kind"] == "payment" else -booking["amount"]
    return held


@settings(max_examples=300)
@given(plays)
def test_a_cancelled_or_changed_order_is_paid_for_what_it_holds(play):
    """Each accepted act moves exactly what the shop is owed: the item prices, or nothing once it is cancelled."""
    shop, sequence = play
    for each in shop["orders"].values():  # as a shop's own till would have it
        total = sum(line["price"] for line in each["items"])
        method = each["payments"][0]["method"] if each["payments"] else "M1"
        each["payments"] = [{"kind": "payment", "amount": total, "method": method}]
    shop["orders"] = {o: each for o, each in shop["orders"].items() if each["status"] != "cancelled"}
    store = Store.from_dict(shop)
    for act in sequence:
        store.apply(decoded(act))
    for each in store.to_dict()["orders"].values():
        total = sum(line["price"] for line in each["items"])
        paid = sum(p["amount"] if p["kind"] == "payment" else -p["amount"] for p in each["payments"])
        assert paid == (0 if each["status"] == "cancelled" else total)


@settings(max_examples=300)
@given(seeds)
def test_keys_are_equal_exactly_when_the_worlds_are(chance):
    shop = made_shop(chance)
    store = Store.from_dict(shop)
    few = [made_act(chance, shop) for _ in range(6)]  # from a few acts, so that branches meet again
    branches = [store.copy() for _ in range(4)]
    branches.append(store.copy())
    for branch in branches[:4]:
        for act in chance.choices(few, k=3):
            branch.apply(decoded(act))
    worlds = [branch.to_dict() for branch in [*branches, store]]
    keys = [branch.key() for branch in [*branches, store]]
    assert worlds[4] == worlds[5] == shop  # neither a copy nor the store follows another copy
    for world, key in zip(worlds, keys, strict=True):
        assert [key == other for other in keys] == [world == other for other in worlds]
        assert [hash(key) == hash(other) for other in keys] == [world == other for other in worlds]


@settings(max_examples=150)
@given(plays)
def test_what_was_shown_is_the_callers_own(play):
    shop, sequence = play
    store, twin = Store.from_dict(shop), Store.from_dict(shop)
    for act in sequence:
        answer, again = store.apply(decoded(act)), twin.apply(decoded(act))
        assert answer == again
        if isinstance(answer, Result):
            assert msgspec.json.decode(msgspec.json.encode(answer.shows)) == answer.shows
            spoil(answer.shows)
    assert store.to_dict() == twin.to_dict()


def spoil(value: Any) -> None:
    for part in list(value.values()) if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            spoil(part)
    value.clear()


def test_the_plays_reach_every_act_on_both_sides():
    """The properties are not empty: each act is accepted and refused many times in what they generate."""
    seen: Counter[tuple[str, bool]] = Counter()
    for seed in range(500):
        shop, sequence = made_play(Random(seed))
        store = Store.from_dict(shop)
        seen.update((act["type"], isinstance(store.apply(decoded(act)), Result)) for act in sequence)
    few = {(name, side): seen[name, side] for name in NAIVE for side in (True, False) if seen[name, side] < 10}
    assert few == {("list_products", False): 0}

"""What holds for any store and any acts: a plain second reading of the rules agrees, and no money appears."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateset_gym.envs.customer_service.actions import ACTIONS, CancelOrder, ChangeItems, ExchangeItems, HandOver
from stateset_gym.envs.customer_service.store import Refused, Result, Store

STATUSES = ["pending"] * 6 + ["pending (items changed)", "processed", "cancelled"] + ["delivered"] * 4
STREETS = ["1 Quay", "2 Quay"]
PRODUCTS = {"P1": ["I1", "I2", "I3"], "P2": ["I4", "I5"]}
ITEMS = ["I1", "I2", "I3", "I4", "I5"]
METHODS = {"C1": ["M1", "G1", "G2"], "C2": ["M1", "M2"]}


def address(street: str) -> dict[str, str]:
    return {"street": street, "street2": "", "city": "Hull", "state": "HU", "country": "UK", "postcode": street[0]}


@st.composite
def shops(draw: st.DrawFn) -> dict[str, Any]:
    """A small store: what it says is sound, and its prices, balances and payments are anything."""
    money = st.integers(0, 5)
    products = {
        product: {
            "name": product.lower(),
            "variants": {
                item: {"options": {"size": item}, "price": draw(money), "available": draw(st.integers(0, 3)) > 0}
                for item in items
            },
        }
        for product, items in PRODUCTS.items()
    }
    customers = {}
    for customer, methods in METHODS.items():
        kinds = {"M1": {"kind": "credit_card"}, "M2": {"kind": "paypal"}}
        gifts = {gift: {"kind": "gift_card", "balance": draw(money)} for gift in ("G1", "G2")}
        customers[customer] = {
            "first_name": "Ada",
            "last_name": draw(st.sampled_from(["Moss", "Lund"])),
            "email": f"{customer}@post.example",
            "address": address(draw(st.sampled_from(STREETS))),
            "payment_methods": {method: (kinds | gifts)[method] for method in methods},
        }
    orders = {f"O{n}": draw(orders_of(draw(st.sampled_from(["C1", "C1", "C2"])), money)) for n in range(3)}
    return {"products": products, "customers": customers, "orders": orders}


@st.composite
def orders_of(draw: st.DrawFn, customer: str, money: st.SearchStrategy[int]) -> dict[str, Any]:
    lines = [
        {"product": "P1" if item < "I4" else "P2", "item": item, "price": draw(money), "options": {"size": item}}
        for item in draw(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3))
    ]
    methods = st.sampled_from(METHODS[customer])
    kinds = st.sampled_from(["payment", "payment", "payment", "refund"])
    booking = st.fixed_dictionaries({"kind": kinds, "amount": money, "method": methods})
    return {
        "customer": customer,
        "status": draw(st.sampled_from(STATUSES)),
        "address": address("1 Quay"),
        "items": lines,
        "payments": draw(st.one_of(st.lists(booking, min_size=1, max_size=1), st.lists(booking, max_size=3))),
    }


ORDERS = st.sampled_from(["O0", "O1", "O2", "O2", "O9"])
CUSTOMERS = st.sampled_from(["C1", "C2", "C9"])
METHOD_IDS = st.sampled_from(["M1", "M1", "M2", "G1", "G2"])
ADDRESSES = st.sampled_from(STREETS).map(address)
NAMES = st.sampled_from(["", "Ada", "moss", "Lund", "1", "2"])


@st.composite
def acts(draw: st.DrawFn, shop: dict[str, Any]) -> dict[str, Any]:
    """An act on the world; those on items mostly name items of the order, and variants of their products."""
    kind = draw(st.sampled_from([name for name in ACTIONS.names if name in NAIVE]))
    order_id = draw(ORDERS)
    held = [line["item"] for line in shop["orders"].get(order_id, {"items": []})["items"]] or ITEMS
    items = draw(st.lists(st.sampled_from(held * 3 + ITEMS), max_size=2))
    siblings = [PRODUCTS["P1"] if item < "I4" else PRODUCTS["P2"] for item in items]
    news = [draw(st.sampled_from(each * 4 + ["I9", "I1"])) for each in siblings]
    if draw(st.integers(0, 9)) == 0:
        news.append("I1")
    fields = {
        "order_id": order_id,
        "item_ids": items,
        "new_item_ids": news,
        "payment_method_id": draw(METHOD_IDS),
        "customer_id": draw(CUSTOMERS),
        "product_id": draw(st.sampled_from(["P1", "P9"])),
        "address": draw(ADDRESSES),
        "reason": "no_longer_needed",
        "email": draw(st.sampled_from(["", "", "c1@POST.example", "x"])),
        "first_name": draw(NAMES),
        "last_name": draw(NAMES),
        "postcode": draw(NAMES),
    }
    wanted = [field.name for field in msgspec.structs.fields(ACTIONS.by_name[kind])]
    return {"type": kind} | {name: fields[name] for name in wanted}


@st.composite
def plays(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    shop = draw(shops())
    return shop, draw(st.lists(acts(shop), min_size=1, max_size=6))


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


@settings(max_examples=250)
@given(plays())
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


@settings(max_examples=100)
@given(plays())
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


@settings(max_examples=100)
@given(plays())
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


@settings(max_examples=100)
@given(st.data(), shops())
def test_keys_are_equal_exactly_when_the_worlds_are(data, shop):
    sequences = st.lists(acts(shop), max_size=3)
    store = Store.from_dict(shop)
    branches = [store.copy() for _ in range(3)]
    branches.append(branches[2].copy())
    for branch in branches[:3]:
        for act in data.draw(sequences):
            branch.apply(decoded(act))
    worlds = [branch.to_dict() for branch in [*branches, store]]
    keys = [branch.key() for branch in [*branches, store]]
    assert worlds[3] == worlds[4] == shop  # a copy does not follow, nor does the store
    for world, key in zip(worlds, keys, strict=True):
        assert [key == other for other in keys] == [world == other for other in worlds]
        assert [hash(key) == hash(other) for other in keys] == [world == other for other in worlds]


@settings(max_examples=50)
@given(plays())
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
    """The properties are not empty: each act is both accepted and refused in what they generate."""
    seen: Counter[tuple[str, bool]] = Counter()

    @settings(max_examples=400, derandomize=True, database=None)
    @given(plays())
    def play(drawn):
        store = Store.from_dict(drawn[0])
        seen.update((act["type"], isinstance(store.apply(decoded(act)), Result)) for act in drawn[1])

    play()
    missing = {(name, side) for name in NAIVE for side in (True, False)} - set(seen) - {("list_products", False)}
    assert not missing
    swaps = [seen[CancelOrder.__struct_config__.tag, True], seen[ChangeItems.__struct_config__.tag, True]]
    assert min([*swaps, seen[ExchangeItems.__struct_config__.tag, True]]) >= 5

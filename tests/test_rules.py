"""The shop's rules, act by act: what is done, and what is refused with which words."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from stateset_gym.envs.customer_service import ledger, records, rules, views
from stateset_gym.envs.customer_service.actions import (
    CancelOrder,
    ChangeAddress,
    ChangeItems,
    ChangePayment,
    ChangeProfileAddress,
    Close,
    ExchangeItems,
    FindCustomer,
    GetCustomer,
    GetOrder,
    GetProduct,
    HandOver,
    ListProducts,
    ReturnItems,
)
from stateset_gym.envs.customer_service.store import Address, Refused, Result, Store

ELY = {"street": "4 Mill Lane", "street2": "", "city": "Ely", "state": "CB", "country": "UK", "postcode": "CB7 4AA"}
HULL = Address("1 Quay", "Hull", "HU", "UK", "HU1 1AA", "Flat 2")
HULL_VIEW = {
    "street": "1 Quay",
    "city": "Hull",
    "state": "HU",
    "country": "UK",
    "postcode": "HU1 1AA",
    "street2": "Flat 2",
}


def person(first_name: str, last_name: str, email: str, **methods: dict) -> dict:
    about = {"first_name": first_name, "last_name": last_name, "email": email}
    return about | {"address": ELY, "payment_methods": methods}


def line(item: str, price: int) -> dict:
    product = "P2" if item.startswith("I2") else "P1"
    return {"product": product, "item": item, "price": price, "options": {"color": f"of {item}"}}


def order(status: str, *items: dict, payments: tuple[tuple[str, int, str], ...]) -> dict:
    booked = [{"kind": kind, "amount": amount, "method": method} for kind, amount, method in payments]
    return {"customer": "C1", "status": status, "address": ELY, "items": list(items), "payments": booked}


def variant(item: str, price: int, available: bool = True) -> dict:
    return {"options": {"color": f"of {item}"}, "price": price, "available": available}


CARD, GIFT = {"kind": "credit_card"}, {"kind": "gift_card"}
SHOP = {
    "products": {
        "P1": {
            "name": "T-shirt",
            "variants": {
                "I11": variant("I11", 2000),
                "I12": variant("I12", 2500),
                "I13": variant("I13", 1500),
                "I14": variant("I14", 2000, available=False),
            },
        },
        "P2": {"name": "Mug", "variants": {"I21": variant("I21", 1000), "I22": variant("I22", 1000)}},
    },
    "customers": {
        "C1": person(
            "Ada",
            "Moss",
            "Ada.Moss@post.example",
            M1=CARD,
            M2={"kind": "paypal"},
            G1=GIFT | {"balance": 400},
            G2=GIFT | {"balance": 9000},
        ),
        "C2": person("Bo", "Lund", "bo@post.example", M3=CARD),
        "C3": person("bo", "LUND", "bo.lund@post.example"),
    },
    "orders": {
        "pending": order(
            "pending", line("I11", 2000), line("I11", 1800), line("I21", 1000), payments=(("payment", 4800, "M1"),)
        ),
        "by gift card": order("pending", line("I21", 1000), payments=(("payment", 1000, "G1"),)),
        "by two": order("pending", line("I21", 9), payments=(("payment", 5, "G1"), ("payment", 4, "M1"))),
        "moved": order(
            "pending",
            line("I21", 9),
            payments=(("payment", 9, "M1"), ("payment", 9, "G2"), ("refund", 9, "M1")),
        ),
        "part back": order("pending", line("I21", 9), payments=(("payment", 9, "M1"), ("refund", 4, "M1"))),
        "refund alone": order("pending", line("I21", 9), payments=(("refund", 9, "M1"),)),
        "unpaid": order("pending", line("I21", 9), payments=()),
        "changed": order("pending (items changed)", line("I21", 1000), payments=(("payment", 1000, "M1"),)),
        "processed": order("processed", line("I21", 1000), payments=(("payment", 1000, "M1"),)),
        "delivered": order(
            "delivered", line("I11", 2000), line("I11", 1800), line("I21", 1000), payments=(("payment", 4800, "M2"),)
        ),
        "moved and delivered": order(
            "delivered",
            line("I21", 9),
            payments=(("payment", 9, "M1"), ("payment", 9, "M2"), ("refund", 9, "M1")),
        ),
        "given away": order("delivered", line("I21", 9), payments=()),
        "free": order("delivered", line("I21", 0), payments=(("payment", 0, "M1"),)),
        "cancelled": order("cancelled", line("I21", 9), payments=(("payment", 9, "M1"), ("refund", 9, "M1"))),
    },
}


@pytest.fixture
def store() -> Store:
    return Store.from_dict(SHOP)


def payments(store: Store, order_id: str) -> list[tuple[str, int, str]]:
    return [(each["kind"], each["amount"], each["method"]) for each in shown(store, order_id)["payments"]]


def shown(store: Store, order_id: str) -> dict:
    return store.apply(GetOrder(order_id)).shows[order_id]


def balances(store: Store) -> tuple[int, int]:
    methods = store.apply(GetCustomer("C1")).shows["C1"]["payment_methods"]
    return methods["G1"]["balance"], methods["G2"]["balance"]


def test_get_order_shows_the_whole_order(store):
    assert store.apply(GetOrder("by gift card")) == Result(
        {
            "by gift card": {
                "status": "pending",
                "customer": "C1",
                "items": [
                    {"item": "I21", "product": "P2", "name": "Mug", "options": {"color": "of I21"}, "price": 1000}
                ],
                "total": 1000,
                "address": ELY,
                "payments": [{"kind": "payment", "amount": 1000, "method": "G1"}],
            }
        },
        writes=False,
    )


def test_get_customer_shows_the_record_and_the_orders(store):
    assert store.apply(GetCustomer("C2")).shows == {"C2": SHOP["customers"]["C2"] | {"orders": []}}
    ada = store.apply(GetCustomer("C1")).shows["C1"]
    assert ada == SHOP["customers"]["C1"] | {"orders": list(SHOP["orders"])}


def test_products_are_shown_with_their_variants(store):
    assert store.apply(ListProducts()).shows == {"P1": {"name": "T-shirt"}, "P2": {"name": "Mug"}}
    mug = {"product": "P2", "name": "Mug", "price": 1000, "available": True}
    assert store.apply(GetProduct("P2")).shows == {
        "P2": {"name": "Mug", "variants": ["I21", "I22"]},
        "I21": mug | {"options": {"color": "of I21"}},
        "I22": mug | {"options": {"color": "of I22"}},
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"email": "ada.moss@POST.example "}, "C1"),
        ({"email": "nobody@post.example"}, None),
        ({"first_name": "ada", "last_name": "moss", "postcode": "cb7 4aa"}, "C1"),
        ({"first_name": "ada", "last_name": "moss", "postcode": "CB7"}, None),
        ({"first_name": "Ada", "last_name": "Lund", "postcode": "CB7 4AA"}, None),
        ({"email": "ada.moss@post.example", "first_name": "Bo"}, "C1"),  # the e-mail decides
    ],
)
def test_find_customer_says_who_it_is_or_that_there_is_none(store, given, found):
    shows = {} if found is None else {"customer": {"customer_id": found}}
    assert store.apply(FindCustomer(**given)) == Result(shows)


def test_find_customer_goes_by_the_present_postcode(store):
    store.apply(ChangeProfileAddress("C1", HULL))
    name = {"first_name": "Ada", "last_name": "Moss"}
    assert store.apply(FindCustomer(**name, postcode="HU1 1AA")).shows["customer"] == {"customer_id": "C1"}
    assert store.apply(FindCustomer(**name, postcode="CB7 4AA")).shows == {}


CANCEL = "no_longer_needed"
REFUSALS = [
    (FindCustomer(), "found by email, or .* together; .* first_name and last_name and postcode are missing"),
    (FindCustomer(first_name="Ada", last_name="Moss"), "there is no email, and postcode is missing"),
    (
        FindCustomer(first_name="Bo", last_name="Lund", postcode="CB7 4AA"),
        "2 customers are called Bo Lund with the postcode CB7 4AA; find them by email",
    ),
    (GetCustomer("C9"), "no customer 'C9'"),
    (GetOrder("C1"), "no order 'C1'"),
    (GetProduct("I11"), "no product 'I11'"),
    (ChangeProfileAddress("", HULL), "no customer ''"),
    *[
        (act, "There is no order 'O9' in the records; check the id")
        for act in (
            CancelOrder("O9", CANCEL),
            ChangeItems("O9", ("I11",), ("I12",), "M1"),
            ChangeAddress("O9", HULL),
            ChangePayment("O9", "M1"),
            ReturnItems("O9", ("I11",), "M1"),
            ExchangeItems("O9", ("I11",), ("I12",), "M1"),
        )
    ],
    (
        CancelOrder("changed", CANCEL),
        r"changed cannot be cancelled: .* 'pending \(items changed\)', .* must be 'pending'",
    ),
    (CancelOrder("delivered", CANCEL), "its status is 'delivered'"),
    (CancelOrder("cancelled", CANCEL), "its status is 'cancelled'"),
    (ChangeItems("changed", ("I21",), ("I22",), "M1"), r"changed in its items: .*'pending \(items changed\)'"),
    (ChangeItems("delivered", ("I21",), ("I22",), "M1"), "'delivered', and it must be 'pending'"),
    (ChangeItems("pending", (), (), "M1"), "No item is named; name at least one item of order pending in item_ids"),
    (ChangeItems("pending", ("I11",), (), "M1"), "1 item_ids and 0 new_item_ids; name one new item for each"),
    (ChangeItems("pending", ("I11",), ("I12", "I13"), "M1"), "1 item_ids and 2 new_item_ids"),
    (ChangeItems("pending", ("I12",), ("I11",), "M1"), "holds item 'I12' 0 times, and it is named 1 times"),
    (ChangeItems("pending", ("I11",) * 3, ("I12",) * 3, "M1"), "holds item 'I11' 2 times, and it is named 3 times"),
    (ChangeItems("pending", ("I11",), ("I11",), "M1"), "I11 would be changed for itself; name another variant"),
    (ChangeItems("pending", ("I11",), ("I21",), "M1"), "'I21' is not a variant of product P1, which item I11 is of"),
    (ChangeItems("pending", ("I11",), ("I99",), "M1"), "'I99' is not a variant of product P1"),
    (ChangeItems("pending", ("I11",), ("I14",), "M1"), "I14 of product P1 is not available; choose an available"),
    (ChangeItems("pending", ("I11",), ("I12",), "M3"), "C1 has no payment method 'M3'; theirs are: M1, M2, G1, G2"),
    (ChangeItems("pending", ("I11",), ("I12",), "G1"), "Gift card G1 holds 400 cents and does not cover 500 cents"),
    (ChangeAddress("processed", HULL), r"'processed', and it must be 'pending' or 'pending \(items changed\)'"),
    (ChangePayment("processed", "M2"), "cannot be paid by another method: its status is 'processed'"),
    (ChangePayment("pending", "M1"), "already paid by M1; name a different payment method"),
    (ChangePayment("pending", "M3"), "no payment method 'M3'"),
    (ChangePayment("pending", "G1"), "G1 holds 400 cents and does not cover 4800 cents"),
    (ChangePayment("by two", "M2"), r"exactly one payment so far .*: payment of 5 cents \(G1\), payment of 4 cents"),
    (ChangePayment("part back", "M2"), r"exactly one payment so far and no refund.* refund of 4 cents \(M1\)"),
    (ChangePayment("refund alone", "M2"), "exactly one payment so far"),
    (ChangePayment("unpaid", "M2"), "exactly one payment so far .* bookings are: none"),
    (ReturnItems("pending", ("I11",), "M1"), "cannot be returned: its status is 'pending', and it must be 'delivered'"),
    (ReturnItems("delivered", (), "M2"), "No item is named"),
    (ReturnItems("delivered", ("I21", "I21"), "M2"), "holds item 'I21' 1 times, and it is named 2 times"),
    (ReturnItems("delivered", ("I21",), "M3"), "no payment method 'M3'"),
    (ReturnItems("delivered", ("I21",), "M1"), r"cannot go to M1 \(credit_card\): .*original payment method \(M2\) or"),
    (ReturnItems("moved and delivered", ("I21",), "M1"), r"the original payment method \(M2\)"),
    (ReturnItems("given away", ("I21",), "M1"), r"the original payment method \(there is none\)"),
    (
        ExchangeItems("pending", ("I11",), ("I12",), "M1"),
        "exchanged: its status is 'pending', and it must be 'delivered'",
    ),
    (ExchangeItems("delivered", ("I11",), (), "M1"), "1 item_ids and 0 new_item_ids"),
    (ExchangeItems("delivered", ("I12",), ("I11",), "M1"), "holds item 'I12' 0 times"),
    (ExchangeItems("delivered", ("I11",), ("I14",), "M1"), "not available"),
    (ExchangeItems("delivered", ("I11",), ("I22",), "M1"), "not a variant of product P1"),
    (ExchangeItems("delivered", ("I11",), ("I12",), "M3"), "no payment method 'M3'"),
    (ExchangeItems("delivered", ("I11",), ("I12",), "G1"), "G1 holds 400 cents and does not cover 500 cents"),
]


@pytest.mark.parametrize(("act", "words"), REFUSALS, ids=lambda value: type(value).__name__)
def test_what_is_refused_says_why_and_changes_nothing(store, act, words):
    answer = store.apply(act)
    assert isinstance(answer, Refused)
    assert re.search(words, answer.reason), answer.reason
    assert store.to_dict() == SHOP


@pytest.mark.parametrize(
    ("order_id", "refunds", "after"),
    [
        ("pending", [("refund", 4800, "M1")], (400, 9000)),
        ("by gift card", [("refund", 1000, "G1")], (1400, 9000)),
        ("by two", [("refund", 5, "G1"), ("refund", 4, "M1")], (405, 9000)),
        ("moved", [("refund", 9, "G2")], (400, 9009)),  # M1 has its money back already
        ("part back", [("refund", 5, "M1")], (400, 9000)),
        ("unpaid", [], (400, 9000)),
    ],
)
def test_cancel_gives_every_payment_back_to_its_own_method(store, order_id, refunds, after):
    before = payments(store, order_id)
    answer = store.apply(CancelOrder(order_id, "ordered_by_mistake"))
    view = shown(store, order_id)
    assert (view["status"], view["cancel_reason"]) == ("cancelled", "ordered_by_mistake")
    assert payments(store, order_id) == before + refunds
    assert balances(store) == after
    methods = store.apply(GetCustomer("C1")).shows["C1"]["payment_methods"]
    card = {"C1": {"payment_methods": methods}} if after != (400, 9000) else {}
    assert answer == Result({order_id: view} | card, writes=True)


@pytest.mark.parametrize(
    ("old", "new", "method", "booking", "after"),
    [
        (["I11"], ["I12"], "M2", [("payment", 500, "M2")], (400, 9000)),
        (["I11"], ["I12"], "G2", [("payment", 500, "G2")], (400, 8500)),
        (["I11"], ["I13"], "G1", [("refund", 500, "G1")], (900, 9000)),
        (["I11", "I21"], ["I13", "I22"], "M1", [("refund", 500, "M1")], (400, 9000)),
        (["I21"], ["I22"], "G1", [], (400, 9000)),  # an even swap books nothing
        (["I11", "I11"], ["I12", "I13"], "G1", [("payment", 200, "G1")], (200, 9000)),  # the second one had cost 1800
    ],
)
def test_change_items_swaps_and_settles_at_once(store, old, new, method, booking, after):
    answer = store.apply(ChangeItems("pending", tuple(old), tuple(new), method))
    view = shown(store, "pending")
    assert answer.shows["pending"] == view
    assert view["status"] == "pending (items changed)"
    assert payments(store, "pending") == [("payment", 4800, "M1"), *booking]
    assert view["total"] == 4800 + sum(amount if kind == "payment" else -amount for kind, amount, _ in booking)
    assert balances(store) == after
    held = ["I11", "I11", "I21"]
    for item, replacement in zip(old, new, strict=True):
        held[held.index(item)] = replacement
    assert [each["item"] for each in view["items"]] == held
    assert [each["options"] for each in view["items"]] == [{"color": f"of {item}"} for item in held]
    assert isinstance(store.apply(ChangeItems("pending", ("I21",), ("I22",), "M1")), Refused)  # once per order


@pytest.mark.parametrize("order_id", ["pending", "changed"])
def test_change_address_sends_the_order_elsewhere(store, order_id):
    answer = store.apply(ChangeAddress(order_id, HULL))
    assert answer == Result({order_id: shown(store, order_id)}, writes=True)
    assert shown(store, order_id)["address"] == HULL_VIEW
    assert store.apply(GetCustomer("C1")).shows["C1"]["address"] == ELY


@pytest.mark.parametrize(
    ("order_id", "method", "amount", "old", "after"),
    [
        ("pending", "M2", 4800, "M1", (400, 9000)),
        ("pending", "G2", 4800, "M1", (400, 4200)),
        ("by gift card", "G2", 1000, "G1", (1400, 8000)),
        ("changed", "M2", 1000, "M1", (400, 9000)),
    ],
)
def test_change_payment_books_the_new_and_refunds_the_old(store, order_id, method, amount, old, after):
    answer = store.apply(ChangePayment(order_id, method))
    assert payments(store, order_id) == [("payment", amount, old), ("payment", amount, method), ("refund", amount, old)]
    assert shown(store, order_id)["status"] == SHOP["orders"][order_id]["status"]
    assert balances(store) == after
    assert ("C1" in answer.shows) == (after != (400, 9000))
    assert isinstance(store.apply(ChangePayment(order_id, old)), Refused)


def test_a_gift_card_covers_exactly_its_balance(store):
    shop = store.to_dict()
    shop["customers"]["C1"]["payment_methods"]["G1"]["balance"] = 500
    store = Store.from_dict(shop)
    assert isinstance(store.copy().apply(ChangeItems("pending", ("I11",), ("I12",), "G1")), Result)
    assert isinstance(store.copy().apply(ExchangeItems("delivered", ("I11",), ("I12",), "G1")), Result)
    shop["customers"]["C1"]["payment_methods"]["G1"]["balance"] = 4800
    assert isinstance(Store.from_dict(shop).apply(ChangePayment("pending", "G1")), Result)


def test_change_profile_address_leaves_the_orders_alone(store):
    answer = store.apply(ChangeProfileAddress("C1", HULL))
    assert answer == Result({"C1": {"address": HULL_VIEW}}, writes=True)
    assert store.apply(GetCustomer("C1")).shows["C1"]["address"] == HULL_VIEW
    assert store.to_dict()["orders"] == SHOP["orders"]


@pytest.mark.parametrize(
    ("order_id", "items", "method"),
    [
        ("delivered", ["I21", "I11"], "M2"),
        ("delivered", ["I11", "I11"], "G1"),
        ("moved and delivered", ["I21"], "M2"),
        ("given away", ["I21"], "G2"),
        ("free", ["I21"], "M1"),
    ],
)
def test_return_is_recorded_and_no_money_moves(store, order_id, items, method):
    answer = store.apply(ReturnItems(order_id, tuple(items), method))
    expected = SHOP["orders"][order_id] | {"status": "return requested"}
    expected["return"] = {"items": sorted(items), "method": method}
    assert store.to_dict() == SHOP | {"orders": SHOP["orders"] | {order_id: expected}}
    assert answer == Result({order_id: shown(store, order_id)}, writes=True)
    assert shown(store, order_id)["return"] == expected["return"]


@pytest.mark.parametrize(
    ("old", "new", "method", "difference"),
    [
        (["I21", "I11"], ["I22", "I12"], "M1", 500),
        (["I11", "I11"], ["I13", "I13"], "G1", -800),
        (["I11"], ["I11"], "G1", 0),  # the same again is fine
        (["I11"], ["I12"], "G2", 500),
    ],
)
def test_exchange_is_recorded_and_no_money_moves(store, old, new, method, difference):
    answer = store.apply(ExchangeItems("delivered", tuple(old), tuple(new), method))
    record = {"items": sorted(old), "new_items": sorted(new), "method": method, "difference": difference}
    expected = SHOP["orders"]["delivered"] | {"status": "exchange requested", "exchange": record}
    assert store.to_dict() == SHOP | {"orders": SHOP["orders"] | {"delivered": expected}}
    assert answer == Result({"delivered": shown(store, "delivered")}, writes=True)
    assert shown(store, "delivered")["exchange"] == record


@pytest.mark.parametrize("action", [HandOver("A price match."), Close(), {"type": "get_order", "order_id": "pending"}])
def test_what_is_no_act_on_the_records_is_a_type_error(store, action):
    with pytest.raises(
        TypeError, match=rf"{type(action).__name__}\): hand_over and the acts of speech .* Give one of Find"
    ):
        store.apply(action)


@pytest.mark.parametrize("module", [ledger, records, rules, views])
def test_the_rules_know_nothing_of_reinforcement_learning(module):
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Import)]
    assert {alias.name for node in imports for alias in node.names} <= {"collections", "functools", "msgspec"}

"""What an agent's words mention - ids, amounts, e-mails, names, places - and whether they may."""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateset_gym.envs.customer_service.actions import ACTIONS
from stateset_gym.envs.customer_service.conduct import PROSE
from stateset_gym.envs.customer_service.lexicon import FIRST_NAMES, LAST_NAMES, PLACES, STREETS
from stateset_gym.envs.customer_service.mentions import NOBODY, People, breaches_in, mentions, people_of
from stateset_gym.envs.customer_service.phrases import HEADS, TAILS
from stateset_gym.envs.customer_service.store import Result, Store
from stateset_gym.envs.memory import PERSON, Memory

SHOP: dict[str, Any] = json.loads((Path(__file__).parents[1] / "examples" / "shop.json").read_text())
PEOPLE = people_of(Store.from_dict(SHOP).base)
INVENTED, TOLD, EARLY = "supported_claims", "no_disclosure", "authenticate_first"

Step = dict[str, Any] | tuple[int, str, Any]
FIND = {"type": "find_customer", "email": "ada.moss@post.example"}
EMAIL: Step = (PERSON, "email", "ada.moss@post.example")
NAME: Step = (PERSON, "name", {"first_name": "Ada", "last_name": "Moss"})
KNOWN: list[Step] = [EMAIL, FIND]


def read(name: str) -> dict[str, Any]:
    kind = {"O": "order", "C": "customer", "P": "product"}[name[0]]
    return {"type": f"get_{kind}", f"{kind}_id": name}


def asks(**values: Any) -> list[Step]:
    return [(0, "request", "order_question"), *((0, field, value) for field, value in values.items())]


def seen(*steps: Step, shop: dict[str, Any] = SHOP) -> Memory:
    """The memory after acts on a store and after what its customer says: (request, field, value)."""
    memory, store = Memory(), Store.from_dict(shop)
    for step in steps:
        if isinstance(step, dict):
            act = ACTIONS.decoder.decode(json.dumps(step))
            outcome = store.apply(act)
            assert isinstance(outcome, Result), outcome
            memory.fold(act, [{"kind": "result", "act": step["type"], "shows": outcome.shows}])
        else:
            no, field, value = step
            memory.fold(None, [{"kind": "said", "act": "tell", "no": no, "field": field, "value": value}])
    return memory


def rules(memory: Memory, message: str, people: People = PEOPLE) -> list[str]:
    return [rule for rule, _ in breaches_in(memory, people, message)]


def mentioned(message: str, people: People = PEOPLE) -> list[str]:
    return [mention.text for mention in mentions(people, message)]


READ: list[Step] = [*KNOWN, *asks(order_id="O1"), read("C1"), read("O1"), read("O2"), read("P2")]
WORDS: list[tuple[str, list[Step], str, list[str]]] = [
    ("no words", READ, "", []),
    ("ids that were shown", READ, "I looked at O1 and O2, paid by M1, and at I4 (P2) for C1.", []),
    ("ids in small letters", READ, "I looked at o1 and o2.", []),
    ("an id that was said", asks(order_id="O1"), "Is it about O1?", []),
    ("an id that nobody said", [], "Is it about O1?", [INVENTED]),
    ("an invented id", READ, "Your new order is O77.", [INVENTED]),
    ("an invented id in small letters", READ, "Your new order is o77.", [INVENTED]),
    ("one invention told twice", READ, "It is O77, yes, o77!", [INVENTED]),
    ("two inventions", READ, "It is O77, or O78.", [INVENTED] * 2),
    ("an id with a number sign", READ, "Order #O1 is pending.", []),
    ("an invented id with a number sign", READ, "Order #O77 is pending.", [INVENTED]),
    ("what looks like an id", READ, "I have the A4 sheet, the MP3 player, Q4 and 3D glasses.", []),
    ("a price", READ, "You paid $89.00 for it.", []),
    ("a price without its sign", READ, "You paid 89.00 for it.", []),
    ("a price with a comma", READ, "You paid 89,00 for it.", []),
    ("a price in cents", READ, "You paid 8900 cents for it.", []),
    ("a price in dollars", READ, "You paid 89 dollars for it.", []),
    ("a price in words and cents", READ, "You paid 18 dollars and 50 cents for it.", []),
    ("a balance", READ, "Your card holds $50.00.", []),
    ("a difference of two variants", READ, "You get $2.00 back.", []),
    ("an invented amount", READ, "You get $5.00 back.", [INVENTED]),
    ("one invented amount in two spellings", READ, "You get $5.00, so 500 cents, back.", [INVENTED]),
    ("a postcode is no amount", READ, "You get $101.17 back.", [INVENTED]),
    ("an amount nobody looked up", KNOWN, "It costs $89.00.", [INVENTED]),
    ("a price above a thousand", [*KNOWN, *asks(total=123450)], "It is $1,234.50.", []),
    ("a difference of no product that was seen", KNOWN, "You get $2.00 back.", [INVENTED]),
    ("their e-mail", READ, "I write to ada.moss@post.example.", []),
    ("their e-mail in brackets", READ, "I write to you (Ada.Moss@post.example), today.", []),
    ("a part of their e-mail", READ, "I write to moss@post.example.", [INVENTED]),
    ("an invented e-mail", READ, "Write to help@shop.example.", [INVENTED]),
    ("their name", READ, "Thank you, Ada Moss!", []),
    ("their name in the genitive", READ, "This is Ada's order.", []),
    ("a name they said", [NAME], "Thank you, Ada.", []),
    ("their name before it was said", [EMAIL], "Thank you, Ada.", [INVENTED]),
    ("an invented name", READ, "Thank you, Priya.", [INVENTED]),
    ("an invented name in small letters", READ, "thank you, priya.", [INVENTED]),
    ("an invented name first", READ, "Priya called.", [INVENTED]),
    ("their street and city", READ, "It goes to 4 Mill Lane in Ely.", []),
    ("their street alone", READ, "It goes to Mill Lane.", []),
    ("another number in their street", READ, "It goes to 40 Mill Lane.", [INVENTED]),
    ("an invented street", READ, "It goes to 12 Station Road.", [INVENTED]),
    ("an invented city", READ, "It goes to Saltmarsh.", [INVENTED]),
    ("another's id", [*READ, read("O3")], "O3 is not yours.", [TOLD]),
    ("another's id that they named", [*KNOWN, *asks(order_id="O3"), read("O3")], "O3 is not yours.", []),
    ("another's city", [*READ, read("O3")], "That one went to Leeds.", [TOLD]),
    ("another's street", [*READ, read("O3")], "That one went to 19 Park Road.", [TOLD]),
    ("another's total", [*READ, read("O3")], "That one was $16.50.", []),  # as their own product's variant costs
    ("another's name", [*READ, read("C2")], "That one is Ben's.", [TOLD]),
    ("another's e-mail", [*READ, read("C2")], "Ask ben@okoye.example.", [TOLD]),
    ("their own city before they were known", [read("O1")], "It goes to Ely.", [EARLY]),
    ("their own price before they were known", [read("O1")], "It was $89.00.", [EARLY]),
    ("another's city before anybody was known", [read("O3")], "It goes to Leeds.", [EARLY]),
    ("what they said, though a tool showed it too", [*asks(city="Ely"), read("O1")], "It goes to Ely.", []),
    ("a product's price before they were known", [read("P1")], "It is $94.00.", []),
    ("in the order of the words", [*READ, read("C2")], "O77 is Ben's, for $1.00.", [INVENTED, TOLD, INVENTED]),
]


@pytest.mark.parametrize(("steps", "message", "broken"), [row[1:] for row in WORDS], ids=[row[0] for row in WORDS])
def test_words_mention_what_may_be_told(steps: list[Step], message: str, broken: list[str]) -> None:
    assert rules(seen(*steps), message) == broken


AMOUNTS = {
    "$1,234.50": 123450,
    "$1.234,50": 123450,
    "$1,234": 123400,
    "$12": 1200,
    "$ 12": 1200,
    "-$12.50": 1250,
    "$0.5": 50,
    "12.50 $": 1250,
    "€12.50": 1250,
    "1234 cents": 1234,
    "1,234 cents": 1234,
    "47.00 cents": 47,
    "12 dollars": 1200,
    "12-dollar": 1200,
    "12 dollars and 34 cents": 1234,
    "USD 12.50": 1250,
    "usd12.50": 1250,
    "12.50 EUR": 1250,
    "12.50USD": 1250,
    "$12.50/month": 1250,
}


@pytest.mark.parametrize(
    "text", ["The price is 47.84.", "You paid (47,84).", "A refund of 47.84 is due.", "Total: 47.84"]
)
def test_a_price_without_a_currency_is_one_after_a_word_of_money(text: str) -> None:
    assert [mention.cents for mention in mentions(NOBODY, text)] == [4784]


@pytest.mark.parametrize("text", ["Open from 9.00 to 17.30.", "See you at 10.30.", "Free above 50.00.", "47.84"])
def test_a_number_without_currency_or_word_of_money_is_no_price(text: str) -> None:
    assert list(mentions(NOBODY, text)) == []


@pytest.mark.parametrize(("text", "cents"), AMOUNTS.items())
def test_an_amount_is_read_in_cents(text: str, cents: int) -> None:
    for frame in ("{}", "It is {}, then.", "You paid ({}).", "That is {}."):
        assert [mention.cents for mention in mentions(NOBODY, frame.format(text))] == [cents]
        assert rules(seen(*asks(total=cents)), frame.format(text)) == []
        assert rules(seen(*asks(total=cents + 1)), frame.format(text)) == [INVENTED]


@pytest.mark.parametrize(
    "text",
    [
        "4.50 stars", "a 4.50-star lamp", "4.50 out of 5", "4.50/5", "10.30 am", "10.30 a.m.", "10.30-11.30 am",
        "12.50%", "12.50 %", "12.50 percent", "12.50 kg", "12.50kg", "2.25 m", "12.05.2024", "1.2.3", "v2.10", "10:30",
        "12 lamps", "3 of 4", "in 2024", "1,234 lamps", "1.5", "2.345", "No. 5",
    ],
)  # fmt: skip
def test_a_number_of_something_else_is_no_amount(text: str) -> None:
    assert mentioned(f"It is {text}, then.", NOBODY) == []


@pytest.mark.parametrize(
    "word", ["Priya", "PRIYA", "priya", "Okafor", "Mill Lane", "MILL LANE", "Saltmarsh", "X@Y.example"]
)
def test_what_generated_stores_are_made_of_is_known_without_a_store(word: str) -> None:
    assert mentioned(f"It is {word}, then.", NOBODY) == [word]
    assert rules(Memory(), f"{word} it is.", NOBODY) == [INVENTED]


@pytest.mark.parametrize("kind", "POICM")
def test_ids_of_generated_stores_are_a_letter_and_a_number(kind: str) -> None:
    for text in (f"{kind}9", f"{kind.lower()}1234"):
        assert mentioned(f"It is #{text}, then.", NOBODY) == [text]
    assert mentioned(f"It is {kind}, {kind}P3, Z{kind}9, 9{kind}, {kind}9x or {kind} 9.", NOBODY) == []


# A user's own store


def shop(order: str = "O3", **changes: str) -> dict[str, Any]:
    """The example shop, whose second customer has another name or address, and another id of the order."""
    made: dict[str, Any] = json.loads(json.dumps(SHOP))
    other = made["customers"]["C2"]
    for part in (other, other["address"]):
        part.update({key: value for key, value in changes.items() if key in part})
    made["orders"]["O3"]["address"] = other["address"]
    made["orders"][order] = made["orders"].pop("O3")
    return made


def people(order: str = "O3", **changes: str) -> People:
    return people_of(Store.from_dict(shop(order, **changes)).base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_name": "Soraya"}, "Thanks, Soraya."),
        ({"first_name": "soraya"}, "Thanks, Soraya."),
        ({"first_name": "SORAYA"}, "Thanks, Soraya."),
        ({"first_name": "SORAYA"}, "Thanks, SORAYA."),
        ({"first_name": "Zo\u00eb"}, "Thanks, Zoe\u0308."),
        ({"last_name": "O'Brien-Smith"}, "Thanks, Ms O'Brien-Smith."),
        ({"last_name": "O'Brien-Smith"}, "Thanks, Ms O\u2019Brien Smith."),
        ({"last_name": "van der Berg"}, "Thanks, Mr van der Berg."),
        ({"last_name": "Long"}, "Thanks, Mr. Long."),
        ({"first_name": "Mary Ann"}, "Thanks, Mary Ann."),
        ({"first_name": "Mary Ann"}, "Mary Ann has it."),
        ({"street": "7 Long Row"}, "It goes to 7 Long Row."),
        ({"street": "7 Long Row"}, "It goes to Long Row."),
        ({"street": "7 Long Row"}, "It goes to 9 Long Row."),
        ({"street": "Hauptstrasse 12"}, "It goes to Hauptstrasse 14."),
        ({"street": "7 St. John's Rd."}, "It goes to 7 St. John's Rd."),
        ({"street": "12 Avenue of the Old Oak Trees"}, "It goes to 12 Avenue of the Old Oak Trees, I hope."),
        ({"street": " ".join(["Very", "Long"] * 40)}, f"It goes to {' '.join(['Very', 'Long'] * 40)}."),
        ({"city": "Stratford-upon-Avon"}, "It goes to Stratford-upon-Avon."),
        ({"city": "Winston-Salem (NC)"}, "It goes to Winston-Salem (NC)."),
    ],
    ids=str,
)
def test_the_names_and_places_of_a_shop_are_known_as_they_are_written(changes: dict[str, str], message: str) -> None:
    assert set(rules(seen(), message, people(**changes))) == {INVENTED}
    assert rules(seen(), message) == []


@pytest.mark.parametrize(
    "message",
    [
        "I will see to it, it won't take long: I am reading it now.",
        "Will do. Long ago, that was! Reading it now: Will be back.\nLong story.",
        'They wrote "Will do".',
    ],
)
def test_a_word_that_is_also_a_name_is_no_mention_of_it(message: str) -> None:
    named = people(first_name="Will", last_name="Long", city="Reading")
    assert rules(seen(), message, named) == []
    assert rules(seen(), "I told Will Long of it, in Reading.", named) == [INVENTED] * 3


@pytest.mark.parametrize("name", ["long", "LONG", "Long", "I", "A", "7", "-"])
def test_no_name_is_sought_among_small_words(name: str) -> None:
    named = people(first_name=name, last_name=name, city=name, street=name)
    assert mentioned("I will not take long, a 7 - or so.", named) == []


def test_the_longest_run_counts_and_none_within_it() -> None:
    named = people(street="19 Park Road West", city="West Ely", first_name="Mary", last_name="Mary Ann")
    assert mentioned("To 19 Park Road West, 19 Park Road, Park Road and West Ely for Mary Ann Mary.", named) == [
        "19 Park Road West", "19 Park Road", "Park Road", "West Ely", "Mary Ann", "Mary",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("own", "invented", "other"),
    [
        ("#W2378156", "#W99, w99 or W-99", ["W99", "W-99"]),
        ("ORD-2024-007", "ord-1-2 or order 2", ["ord-1-2"]),
        ("sara_doe_496", "sara_doe_1 or sara_doe", ["sara_doe_1"]),
        ("1656367028", "1656367029 or 165636702", ["1656367029"]),
        ("2024/0815", "2024/0816 or 2024 or 0815", ["2024/0816"]),
        ("A4 17", "A4 18 or A4", ["A4 18"]),
        ("123", "124 or 123", []),
        ("box", "box or boxes", []),
    ],
)
def test_ids_of_a_shop_are_known_by_their_shapes(own: str, invented: str, other: list[str]) -> None:
    found = [text for text in mentioned(f"Is it {invented}?", people(own)) if text in other]
    assert found == [text for text in other if text != "W-99"]
    memory = seen(*KNOWN, *asks(order_id=own), shop=shop(own))
    assert rules(memory, f"It is {own}, yes: {own.lower()}.", people(own)) == []
    assert rules(seen(*KNOWN), f"It is {own}.", people(own)) == ([] if own in ("123", "box") else [INVENTED])


def test_ids_of_many_shapes_are_known_one_by_one() -> None:
    ids = ["".join(letters) + "7" for letters in itertools.product("abcdefgh", repeat=3)]
    made = shop()
    made["orders"] |= dict.fromkeys(ids, made["orders"]["O1"])
    many = people_of(Store.from_dict(made).base)
    assert len(many.shapes) < 50
    assert all(mentioned(f"Is it {each.upper()}?", many) for each in ids)
    assert mentioned("Is it hhh8, or O99?", many) == ["O99"]


# Whatever is written

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
NAMED = people(first_name="Will", last_name="long", city="READING", street="4 the green")


@given(st.lists(st.sampled_from(PLAIN) | st.integers(0, 99).map(str), max_size=25))
def test_ordinary_prose_mentions_nothing(words: list[str]) -> None:
    assert mentioned(" ".join(words)) == []


@given(
    st.lists(st.sampled_from([word.lower() for word in PLAIN]) | st.text("abcdefghilnorstw", min_size=1, max_size=4))
)
def test_plain_words_mention_nothing(words: list[str]) -> None:
    names = {name.lower() for name in (*FIRST_NAMES, *LAST_NAMES)}
    assert mentioned(" ".join(word for word in words if word not in names), NAMED) == []


def scalars(value: Any) -> list[Any]:
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [scalar for each in inner for scalar in scalars(each)]


SHOWN = seen(*READ)
SUPPORTED = [
    f"${value // 100}.{value % 100:02}" if isinstance(value, int) else value
    for value in scalars([SHOWN.seen, SHOWN.requests, SHOWN.person])
    if not isinstance(value, bool)
]


@given(st.lists(st.sampled_from(SUPPORTED), max_size=8), st.sampled_from([", ", " and ", ". ", "\n", " is for "]))
def test_what_was_shown_is_no_breach(values: list[str], between: str) -> None:
    assert rules(SHOWN, f"It is {between.join(values)}.") == []


written = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(written, written, st.lists(written, min_size=1, max_size=4).map(" ".join), written)
def test_whatever_a_shop_writes_may_be_told_to_its_owner(first: str, city: str, street: str, order: str) -> None:
    made = shop()
    owner = made["customers"]["C1"]
    owner["first_name"], owner["address"]["city"], owner["address"]["street"] = first, city, street
    other = people_of(Store.from_dict(made).base)
    memory = seen(*KNOWN, read("C1"), *asks(order_id=order), shop=made)
    for value in (first, city, street, order):
        assert rules(memory, f"It is about {value} .", other) == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for rule, why in breaches_in(SHOWN, PEOPLE, text):
        assert rule in PROSE
        assert why


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6, "a." * 500_000, "1." * 500_000 + "a", "@" + "a" * 10**6, "a@" * 500_000, "1 " + " " * 10**6 + "1",
        "O1 " * 10**5, "Mill " * 10**5, "12 " * 10**5, "7" * 10**6, "$" * 10**6, "1,111" * 200_000, "12 - 1" * 10**5,
        "a" + "\u0316\u0301" * 10**5, " ".join(f"O{number}" for number in range(10**5)),
        "$" + "9" * 10**5, " ".join(f"${number}.00" for number in range(10**4)),
    ],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_long_texts_are_read_in_linear_time(text: str) -> None:
    start = time.perf_counter()
    found = list(breaches_in(SHOWN, PEOPLE, text))
    assert time.perf_counter() - start < 10  # seconds; each takes less than one, and hours if it were quadratic
    assert all(len(why) < 200 for _, why in found)


def test_a_message_costs_the_same_over_a_large_store() -> None:
    made = shop()
    for number in range(3000):
        customer = {**SHOP["customers"]["C2"], "first_name": f"Ben{number}", "email": f"{number}@post.example"}
        customer["address"] = {**customer["address"], "street": f"{number} Park Road", "city": f"Town{number}"}
        made["customers"][f"C{number + 10}"] = customer
    large = people_of(Store.from_dict(made).base)
    message = " ".join(random.Random(0).choices(PLAIN, k=90)) + " It costs $89.00 for O1, at 4 Mill Lane in Ely."

    def cost(people: People) -> float:
        start = time.perf_counter()
        for _ in range(50):
            list(breaches_in(SHOWN, people, message))
        return time.perf_counter() - start

    assert min(cost(large) for _ in range(5)) < 3 * min(cost(PEOPLE) for _ in range(5)) + 0.01


def test_all_of_the_lexicon_is_sought() -> None:
    for text in (*FIRST_NAMES, *LAST_NAMES, *STREETS, *(place[0] for place in PLACES)):
        assert mentioned(f"{text}, it is.", NOBODY) == [text]

"""The scenes of CustomerService: kinds, splits, scenes of one's own, and scenes over a store of one's own."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import msgspec
import pytest

from stateset_gym.envs.customer_service.actions import GetCustomer, GetOrder, GetProduct, ListProducts
from stateset_gym.envs.customer_service.phrases import HEADS, TAILS
from stateset_gym.envs.customer_service.scenes import build
from stateset_gym.envs.customer_service.scenes import shop as shop_of
from stateset_gym.envs.customer_service.store import BadStore, Base, Store
from stateset_gym.envs.errors import BadArgument, BadScene
from stateset_gym.policies.registry import make as policy
from stateset_gym.policies.rollout import Episode, rollout

DESK = "StateSet/CustomerService-v0"
EXAMPLE = Path(__file__).parents[1] / "examples" / "shop.json"
SHOP: dict[str, Any] = json.loads(EXAMPLE.read_text())
SPLITS = ("train", "test")
DIFFICULTIES = ("easy", "normal", "hard")
PLAYED = 240
"""How many scenes of each split and difficulty are looked at here; the audit looks at all."""
RULES = {"not_your_order", "not_pending", "not_delivered", "unavailable", "gift_card_too_small", "refund_method"}
REFUSED = dict.fromkeys(("not_your_order", "not_pending", "not_delivered"), 1)
MORE = REFUSED | dict.fromkeys(("unavailable", "gift_card_too_small", "refund_method", "out_of_scope"), 1)
SHARES: dict[str, dict[str, int]] = {
    "easy": REFUSED
    | {"order_question": 2, "product_question": 3, "cancel_order": 4, "change_items": 3, "change_address": 2}
    | {"change_payment": 1, "change_profile_address": 1, "return_items": 3, "exchange_items": 2},
    "normal": MORE
    | {"order_question": 1, "product_question": 1, "cancel_order": 2, "change_items": 3, "change_address": 2}
    | {"change_payment": 1, "change_profile_address": 1, "return_items": 2, "exchange_items": 2, "several": 2},
    "hard": MORE
    | {"order_question": 1, "product_question": 1, "cancel_order": 1, "change_items": 2, "change_address": 1}
    | {"change_payment": 1, "change_profile_address": 1, "return_items": 1, "exchange_items": 2, "several": 6},
}


def named(split: str, difficulty: str, index: int, suffix: str = "") -> str:
    return f"CustomerService-v0/{split}/{difficulty}/{index:06d}{suffix}"


@functools.cache
def episodes(split: str, difficulty: str) -> tuple[Episode, ...]:
    """The expert's conversations."""
    env, agent = gym.make(DESK), policy("expert", DESK)
    return tuple(rollout(agent, env, named(split, difficulty, index)) for index in range(PLAYED))


FIELDS = "request question email name postcode order_id product options reason payment_method address".split()  # noqa: SIM905
POINTLESS = [{"type": "refuse", "request": "out_of_scope", "rule": "unavailable"}, {"type": "inform", "claims": []}]
ASKED = [*({"type": "ask", "field": field} for field in FIELDS), *POINTLESS]


@functools.cache
def talks(split: str, difficulty: str, spelt: bool = False) -> tuple[str, ...]:
    """What customers (with `spelt`, those who make no typing errors) say to the expert, and when asked everything."""
    env, said = gym.make(DESK), []
    for index, episode in enumerate(episodes(split, difficulty)):
        if spelt and build(episode.scene).plot.temper.typos:
            continue
        observation, info = env.reset(options={"scene": episode.scene})
        for act in ASKED[index % len(ASKED) :] + ASKED:
            if not info["outcome"]:
                observation, *_, info = env.step(act)
        said += [m["content"] for m in (*episode.messages, *observation["messages"]) if m["role"] == "user"]
    return tuple(line for text in said for line in text.split("\n") if not line.startswith("["))


def sentences(split: str, difficulty: str, spelt: bool = False) -> set[str]:
    return {each for text in talks(split, difficulty, spelt) for each in re.split(r"(?<=[.!?]) ", text)}


def entities(split: str, difficulty: str) -> dict[str, set[Any]]:
    """The people, places and goods of scenes."""
    found: dict[str, set[Any]] = {key: set() for key in ("name", "email", "place", "product")}
    for index in range(PLAYED):
        store = build(named(split, difficulty, index)).base
        found["product"] |= {product.name for product in store.products.values()}
        for customer in store.customers.values():
            found["name"].add((customer.first_name, customer.last_name))
            found["email"].add(customer.email)
        addresses = [c.address for c in store.customers.values()] + [o.address for o in store.orders.values()]
        found["place"] |= {(re.sub(r"^\d+ ", "", address.street), address.city) for address in addresses}
    return found


# Kinds


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_every_stretch_of_scenes_holds_the_kinds_in_their_shares(split: str, difficulty: str) -> None:
    kinds = [episode.kind for episode in episodes(split, difficulty)]
    assert sum(SHARES[difficulty].values()) == 24
    for start in range(0, PLAYED - 24, 7):
        assert Counter(kinds[start : start + 24]) == SHARES[difficulty]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_the_expert_is_flawless(split: str, difficulty: str) -> None:
    for episode in episodes(split, difficulty):
        assert (episode.total, episode.success, episode.refused, episode.malformed) == (1.0, True, 0, 0), episode.scene
        assert episode.turns <= episode.par


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_a_scene_is_of_its_kind(split: str, difficulty: str) -> None:
    for episode in episodes(split, difficulty):
        said = [fact for facts in episode.facts for fact in facts if fact["kind"] == "said"]
        wanted = list({f["no"]: f["value"] for f in said if f.get("field") == "request"}.values())
        refusals = [action.rule for action in episode.actions if action.__struct_config__.tag == "refuse"]
        if episode.kind in RULES:
            assert set(refusals) == {episode.kind}
        elif episode.kind == "several":
            assert len(wanted) >= 2
            assert {"act": "tell", "field": "announce"}.items() <= said[0].items()
        else:
            assert wanted == [episode.kind]
            assert not refusals
        assert (episode.outcome == "handed_over") == ("out_of_scope" in wanted)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_hard_customers_have_their_ways(difficulty: str) -> None:
    acts = Counter(f["act"] for e in episodes("train", difficulty) for facts in e.facts for f in facts if "act" in f)
    ways = {"cannot_tell", "change", "push_back", "drift"}
    assert ways <= set(acts) if difficulty != "easy" else not ways & set(acts)
    tempers = [build(named("train", difficulty, index)).plot.temper for index in range(PLAYED)]
    talk = {temper.talk for temper in tempers}
    assert talk == ({"plain"} if difficulty == "easy" else {"plain", "curt", "talkative"})
    assert any(temper.typos for temper in tempers) == (difficulty != "easy")
    mistakes = [build(named("train", difficulty, index)).plot for index in range(PLAYED)]
    wrong = [plot for plot in mistakes if plot.person.mistakes or any(r.knows.mistakes for r in plot.requests)]
    assert bool(wrong) == (difficulty != "easy")


# Easy


@pytest.mark.parametrize("split", SPLITS)
def test_easy_conversations_are_short(split: str) -> None:
    assert {episode.turns for episode in episodes(split, "easy")} == {4, 5, 6, 7}


@pytest.mark.parametrize("split", SPLITS)
def test_easy_results_have_40_words_at_most(split: str) -> None:
    results = [
        (len(fact["words"][0].split()), fact["words"][0])
        for episode in episodes(split, "easy")
        for facts in episode.facts
        for fact in facts
        if fact["kind"] == "result"
    ]
    assert max(results) <= (40, "~")


@pytest.mark.parametrize("split", SPLITS)
def test_whatever_is_read_on_easy_has_40_words_at_most(split: str) -> None:
    env = gym.make(DESK)
    for index in range(48):
        scene = build(named(split, "easy", index))
        env.reset(options={"scene": scene.name})
        reads = [GetOrder(each) for each in scene.base.orders] + [GetCustomer(each) for each in scene.base.customers]
        for act in (*reads, *map(GetProduct, scene.base.products), ListProducts()):
            *_, info = env.step(act)
            (result,) = (fact for fact in info["facts"] if fact["kind"] == "result")
            assert len(result["words"][0].split()) <= 40, result["words"]
            if info["outcome"]:
                break


@pytest.mark.parametrize("split", SPLITS)
def test_easy_ids_are_short(split: str) -> None:
    for index in range(PLAYED):
        base = build(named(split, "easy", index)).base
        methods = [method for customer in base.customers.values() for method in customer.payment_methods]
        items = [item for product in base.products.values() for item in product.variants]
        for each in (*base.products, *base.customers, *base.orders, *methods, *items):
            assert re.fullmatch(r"[PCOMI]\d\d", each)


# Splits


def test_on_easy_test_recombines_what_train_has_shown() -> None:
    train, test = sentences("train", "easy"), sentences("test", "easy")
    assert len(test) > 500
    assert not train & test
    before, after = entities("train", "easy"), entities("test", "easy")
    for key in before:
        assert not before[key] & after[key], key


def test_on_easy_every_word_of_test_was_seen_in_train() -> None:
    def words(split: str) -> set[str]:
        texts = [m["content"] for episode in episodes(split, "easy") for m in episode.messages]
        return set(re.findall(r"[a-z]+", " ".join((*texts, *talks(split, "easy"))).casefold()))

    assert not words("test") - words("train")


@pytest.mark.parametrize("difficulty", ["normal", "hard"])
def test_beyond_easy_names_and_products_are_disjoint(difficulty: str) -> None:
    train, test = entities("train", difficulty), entities("test", difficulty)
    for part in (0, 1):
        for key in ("name", "place"):
            assert not {each[part] for each in train[key]} & {each[part] for each in test[key]}, key
    styles = [{name.rsplit(" ", 1)[0] for name in each["product"]} for each in (train, test)]
    nouns = [{name.rsplit(" ", 1)[1] for name in each["product"]} for each in (train, test)]
    assert not styles[0] & styles[1]
    assert not nouns[0] & nouns[1]
    assert not train["email"] & test["email"]


@pytest.mark.parametrize("difficulty", ["normal", "hard"])
@pytest.mark.parametrize(("split", "parity"), [("train", 0), ("test", 1)])
def test_beyond_easy_phrases_are_disjoint(difficulty: str, split: str, parity: int) -> None:
    heads = {head for heads in HEADS.values() for head in heads[parity::2]} | {""}
    tails = {tail for tails in TAILS.values() for tail in tails[parity::2]}
    found = {each: parsed(each) for each in sentences(split, difficulty, spelt=True)}
    assert len(found) > 1000
    assert [(each, parts) for each, parts in found.items() if parts[0] not in heads or parts[1] not in tails] == []


ALL_HEADS = (*sorted({head for heads in HEADS.values() for head in heads}, key=len, reverse=True), "")
FIXED = {tail.casefold(): tail for tails in TAILS.values() for tail in tails if "{value}" not in tail}
SLOTTED = sorted({tail for tails in TAILS.values() for tail in tails if "{value}" in tail}, key=len, reverse=True)


@functools.cache
def slots() -> list[tuple[str, str, str]]:
    return [(*tail.casefold().split("{value}"), tail) for tail in SLOTTED]


def parsed(sentence: str) -> tuple[str, str]:
    """The head and the tail of a sentence, the longest that fit."""
    for head in ALL_HEADS:
        if sentence.startswith(head):
            rest = sentence[len(head) :].strip().casefold()
            for text in (rest, rest[:-1]):
                if text in FIXED:
                    return head, FIXED[text]
            for before, after, tail in slots():
                if rest.startswith(before) and (rest.endswith(after) or rest[:-1].endswith(after)):
                    return head, tail
    return "", sentence


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_ten_thousand_scenes_repeat_few_openings(split: str, difficulty: str) -> None:
    env = gym.make(DESK, prompt="none")
    openings = Counter(
        env.reset(options={"scene": named(split, difficulty, index)})[0]["messages"][0]["content"]
        for index in range(10_000)
    )
    assert len(openings) >= 9_980
    assert openings.most_common(1)[0][1] <= 4


# Stores that are made as they are looked at


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_a_made_store_is_what_its_file_would_say(split: str, difficulty: str) -> None:
    for index in range(24):
        name = named(split, difficulty, index)
        untouched, base = Store(build(name).base).to_dict(), build(name).base
        whole = Store(Base(dict(base.products), dict(base.customers), dict(base.orders)))
        assert list(untouched["orders"]) == list(base.orders)
        assert untouched == whole.to_dict()
        again = Store.from_dict(json.loads(json.dumps(untouched)))
        assert again.to_dict() == untouched
        acts = [GetOrder(each) for each in base.orders] + [GetCustomer(each) for each in base.customers]
        for act in (*acts, *map(GetProduct, base.products), ListProducts()):
            assert again.apply(act) == Store(build(name).base).apply(act)


@pytest.mark.parametrize(
    "name",
    ["train/normal/238529", "test/normal/073564", "train/hard/008683", "train/hard/017710", "test/hard/109317"],
)
def test_no_two_customers_of_a_scene_have_one_email(name: str) -> None:
    scene = build(f"CustomerService-v0/{name}")
    emails = [customer.email for customer in scene.base.customers.values()]
    assert len(set(emails)) == len(emails)
    assert rollout(policy("expert", DESK), gym.make(DESK), scene.name).total == 1.0


# A scene of one's own

HOME = SHOP["customers"]["C1"]["address"]
CANCEL = {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}
OWN: dict[str, Any] = {
    "store": SHOP,
    "customer": "C1",
    "difficulty": "normal",
    "person": {
        "values": {"email": "ada.moss@post.example", "postcode": "10117"},
        "opens": ["postcode"],
    },
    "requests": [
        {
            "request": "cancel_order",
            "knows": {
                "values": {"order_id": "O1", "product": "rain jacket", "reason": "no_longer_needed"},
                "opens": ["order_id", "product"],
                "mistakes": {"order_id": "O2"},
            },
            "goal": {
                "first": CANCEL,
                "change": {"reason": "ordered_by_mistake"},
                "action": {**CANCEL, "reason": "ordered_by_mistake"},
            },
        },
        {
            "request": "return_items",
            "knows": {
                "values": {"product": "water bottle", "payment_method": "gift_card"},
                "opens": ["product"],
                "unknown": ["order_id"],
            },
            "goal": {
                "action": {"type": "return_items", "order_id": "O2", "item_ids": ["I4"], "payment_method_id": "M2"}
            },
        },
        {
            "request": "product_question",
            "knows": {
                "values": {"product": "water bottle", "options": {"color": "white"}, "question": "price"},
                "opens": ["question"],
            },
            "goal": {"claims": [{"about": "I5", "field": "price", "value": 1650}]},
        },
        {
            "request": "change_address",
            "knows": {"values": {"order_id": "O3", "address": HOME}, "opens": ["order_id"]},
            "goal": {"rule": "not_your_order"},
        },
        {"request": "out_of_scope", "goal": {"hand_over": True}},
    ],
    "temper": {"talk": "talkative", "typos": 300, "drifts": [2], "push_backs": 1, "patience": 3},
}


def edited(path: str, value: Any) -> dict[str, Any]:
    """The scene with the value at the path replaced, or removed where it is `...`."""
    own = copy.deepcopy(OWN)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    part: Any = own
    for parent in parents:
        part = part[parent]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return own


def test_a_scene_of_ones_own_is_played() -> None:
    own = copy.deepcopy(OWN)
    name = {"first_name": "Ada", "last_name": "Moss"}
    own["person"] = {"values": {"name": name, "postcode": "10117"}, "unknown": ["email"]}
    episode = rollout(policy("expert", DESK), gym.make(DESK), own)
    assert (episode.total, episode.outcome, episode.kind) == (1.0, "handed_over", "own")
    assert re.fullmatch(r"own/[0-9a-f]{16}", episode.scene)
    assert episode.turns <= episode.par
    acts = [fact["act"] for facts in episode.facts for fact in facts if fact["kind"] == "said"]
    assert {"drift", "change", "push_back", "cannot_tell"} <= set(acts)


def test_it_is_named_by_what_it_says() -> None:
    env = gym.make(DESK)

    def name(own: dict[str, Any]) -> str:
        found: str = env.reset(options={"scene": own})[1]["scene"]
        return found

    shuffled = dict(reversed(OWN.items()))
    assert name(OWN) == name(copy.deepcopy(OWN)) == name(shuffled)
    assert len({name(OWN), name(edited("temper/patience", 2)), name(edited("difficulty", "hard"))}) == 3


def test_the_dict_of_a_scene_may_be_changed_afterwards() -> None:
    own, env = copy.deepcopy(OWN), gym.make(DESK)
    first = env.reset(options={"scene": own})
    own["store"]["orders"].clear()
    own["requests"][0]["knows"]["values"].clear()
    assert env.step({"type": "get_order", "order_id": "O1"})[4]["refused"] == ""
    assert env.reset(options={"scene": OWN}) == first


def test_the_accepted_ends_may_be_given() -> None:
    one, other = CANCEL, {**CANCEL, "reason": "ordered_by_mistake"}
    request = {"request": "cancel_order", "goal": {"action": one}, "knows": {"values": {"order_id": "O1"}}}
    own = {**OWN, "requests": [request], "temper": {}, "accepted_ends": [[one], [other]]}
    find = {"type": "find_customer", "email": "ada.moss@post.example"}
    env = gym.make(DESK)
    for accepted, success in ((own, True), ({**own, "accepted_ends": [[other]]}, False)):
        env.reset(options={"scene": accepted})
        for act in (find, {"type": "propose", "action": one}, one):
            env.step(act)
        assert env.step({"type": "close"})[4]["is_success"] is success


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("store", ..., "This is no scene of CustomerService: .*`store`.* Its format is in docs/scenes.md"),
        ("customer", ..., "missing required field `customer`"),
        ("person", ..., "missing required field `person`"),
        ("requests", ..., "missing required field `requests`"),
        ("request", [], "unknown field `request`"),
        ("temper/mood", "bad", "unknown field `mood`"),
        ("temper/talk", "shouting", "'shouting'"),
        ("requests/0/request", "dance", "'dance'"),
        ("requests/0/goal/action/type", "get_order", "'get_order'"),
        ("requests/3/goal/rule", "no_fun", "'no_fun'"),
        ("store/orders/O1/customer", "C9", "(?s)This is no scene of CustomerService: .*there is no customer 'C9'"),
        ("store/orders/O1/status", "lost", "(?s)This is no scene of CustomerService: .*/orders/O1/status: .*lost"),
        ("difficulty", "brutal", "difficulty 'brutal' is not known: choose one of easy, normal, hard."),
        ("customer", "C9", r"The scene's customer 'C9' is not in its store: name one of \['C1', 'C2'\]"),
        ("requests", [], "The scene has no requests: a customer wants at least one thing."),
        (
            "requests/0/goal/action/order_id",
            "O2",
            "The goal CancelOrder.* cannot be reached: Order O2 cannot be cancelled",
        ),
        (
            "requests/1/goal/action/payment_method_id",
            "M9",
            "The goal ReturnItems.* cannot be reached: .*'M9'.* Mend the",
        ),
        ("accepted_ends", [[{**CANCEL, "order_id": "O3"}]], "The goal CancelOrder.* cannot be reached: .*'processed'"),
    ],
)
def test_what_is_wrong_with_a_scene_is_said(path: str, value: Any, message: str) -> None:
    with pytest.raises(BadScene, match=message):
        gym.make(DESK).reset(options={"scene": edited(path, value)})


UNPLAYABLE = [
    ("requests/0/knows/opens", ["colour"]),
    ("requests/0/knows/opens", ["address"]),
    ("requests/0/knows/opens", ["order_id", "reason", "question"]),
    ("requests/0/knows/unknown", ["colour"]),
    ("requests/0/knows/unknown", ["reason"]),
    ("requests/0/knows/mistakes/order_id", 7),
    ("requests/0/knows/mistakes/colour", "red"),
    ("requests/0/knows/values/colour", "red"),
    ("requests/0/knows/values/reason", "because"),
    ("requests/0/knows/values/reason", "ordered_by_mistake"),
    ("requests/0/knows/values/order_id", "O9"),
    ("requests/0/knows/values/order_id", "O2"),
    ("requests/0/knows/values/product", "umbrella"),
    ("requests/1/knows/values", {"payment_method": "gift_card"}),
    ("requests/1/knows/values/payment_method", "cash"),
    ("requests/1/knows/values/payment_method", ["original"]),
    ("requests/1/knows/values/payment_method", "original"),
    ("requests/2/knows/values/question", "colour"),
    ("requests/2/knows/values/question", ["price"]),
    ("requests/2/knows/values/question", ...),
    ("requests/2/knows/values/options", "white"),
    ("requests/2/knows/values/options", {}),
    ("requests/2/knows/values/options", {"color": "black"}),
    ("requests/2/knows/values/product", "umbrella"),
    ("requests/2/knows/opens", []),
    ("requests/3/knows/values/address", "4 Mill Lane"),
    ("requests/3/knows/values/address", {"street": "4 Mill Lane"}),
    ("requests/3/knows/values/address", {**HOME, "planet": "Earth"}),
    ("requests/4/knows", {"values": {"order_id": "O1"}}),
    ("person/values/name", "Ada Moss"),
    ("person/values/email", "ada@moss.example"),
    ("person/values/postcode", "20230"),
    ("person/values/age", 36),
    ("person/opens", ["email", "age"]),
    ("requests/0/goal", {}),
    ("requests/0/goal/rule", "not_pending"),
    ("requests/0/goal/hand_over", True),
    ("requests/0/goal/first", ...),
    ("requests/0/goal/change", ...),
    ("requests/0/goal/change/reason", "because"),
    ("requests/0/goal/change/colour", "red"),
    ("requests/0/goal/change", {"order_id": "O2"}),
    ("requests/0/goal/first/order_id", "O2"),
    ("requests/0/goal/first", {"type": "change_payment", "order_id": "O1", "payment_method_id": "M1"}),
    ("requests/0/request", "change_payment"),
    ("requests/1/goal/action", {**CANCEL, "order_id": "O2"}),
    ("requests/1/goal/action/item_ids", ["I1"]),
    ("requests/2/goal/claims/0/value", 1600),
    ("requests/2/goal/claims/0/value", True),
    ("requests/2/goal/claims/0/field", "available"),
    ("requests/2/goal/claims/0/about", "I4"),
    ("requests/2/goal", {"rule": "unavailable"}),
    ("requests/3/goal/rule", "not_pending"),
    ("requests/3/goal", {"hand_over": True}),
    ("requests/4/goal", {"rule": "unavailable"}),
    ("temper/patience", 0),
    ("temper/typos", 1001),
    ("temper/typos", -1),
    ("temper/push_backs", -1),
    ("temper/drifts", [0]),
    ("accepted_ends", [[CANCEL], [CANCEL, CANCEL]]),
]


@pytest.mark.parametrize(("path", "value"), UNPLAYABLE, ids=str)
def test_a_scene_that_nobody_could_play_is_said_when_it_is_loaded(path: str, value: Any) -> None:
    place = re.escape("/".join(path.split("/")[:2]))
    with pytest.raises(BadScene, match=rf"- {place}.*: .*;? .*\.") as raised:
        gym.make(DESK).reset(options={"scene": edited(path, value)})
    assert path.split("/")[-1] in str(raised.value) or value is ...


def test_all_that_is_wrong_with_a_scene_is_said_at_once() -> None:
    own = edited("requests/0/knows/values/reason", "because")
    own["requests"][2]["goal"]["claims"][0]["value"] = 1600
    own["temper"]["patience"] = 0
    own["difficulty"] = "brutal"
    with pytest.raises(BadScene, match=r"This scene cannot be played \(4\):") as raised:
        gym.make(DESK).reset(options={"scene": own})
    for part in ("difficulty 'brutal'", "values/reason: 'because'", "value: 1600 is not true", "patience: 0"):
        assert part in str(raised.value)


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1, 2}, object()], ids=["surrogate", "integer", "set", "object"])
def test_a_scene_that_is_no_json_is_none(value: Any) -> None:
    with pytest.raises(BadScene, match=r"This is no scene|cannot be played"):
        gym.make(DESK).reset(options={"scene": edited("requests/0/knows/values/product", value)})


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_scene_may_be_written_out_and_played_as_ones_own(difficulty: str) -> None:
    env, agent = gym.make(DESK), policy("expert", DESK)
    for index in range(72):
        scene = build(named("test", difficulty, index))
        whole = Base(dict(scene.base.products), dict(scene.base.customers), dict(scene.base.orders))
        own = {"store": Store(whole).to_dict(), "difficulty": difficulty, **msgspec.to_builtins(scene.plot)}
        episode = rollout(agent, env, own)
        assert (episode.total, episode.success) == (1.0, True), scene.name


def test_a_change_of_mind_does_not_share_the_dict_that_it_came_in() -> None:
    own, wish = copy.deepcopy(OWN), {**HOME, "city": "York"}
    own["requests"] = [
        {
            "request": "change_profile_address",
            "knows": {"values": {"address": wish}},
            "goal": {"action": {"type": "change_profile_address", "customer_id": "C1", "address": {**wish}}},
        }
    ]
    own["temper"] = {}
    env = gym.make(DESK)
    env.reset(options={"scene": own})
    wish["city"] = "Hull"
    assert "York" in env.step({"type": "ask", "field": "address"})[0]["messages"][-1]["content"]


def test_an_order_that_is_looked_for_costs_the_turns_that_it_takes() -> None:
    request = copy.deepcopy(OWN["requests"][1])
    request["knows"]["opens"] = []
    own = {**OWN, "requests": [request], "temper": {}, "person": {"values": {"email": "ada.moss@post.example"}}}
    episode = rollout(policy("expert", DESK), gym.make(DESK), own)
    assert (episode.total, episode.turns) == (1.0, episode.par)


# Scenes over a store of one's own


def merged(scenes: int, difficulty: str = "hard") -> dict[str, Any]:
    """A shop of the records of several scenes."""
    shop: dict[str, Any] = {"products": {}, "customers": {}, "orders": {}}
    for index in range(scenes):
        base = build(named("train", difficulty, 24 * index + index)).base
        part = json.dumps(Store(Base(dict(base.products), dict(base.customers), dict(base.orders))).to_dict())
        part = re.sub(r'"([PICOM])(\d+)"', rf'"\g<1>{index}x\g<2>"', part)  # ids of its own
        part = re.sub(r'"email": "', rf'"email": "{index}.', part)
        for table, records in json.loads(part).items():
            shop[table].update(records)
    return shop


@pytest.fixture(scope="module", params=["example", "merged"])
def shop(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SHOP if request.param == "example" else merged(12)


def over(shop: Any, **arguments: Any) -> Any:
    return gym.make(DESK, store=shop, **arguments)


def drawn(env: Any, count: int = 60) -> Iterator[str]:
    for seed in range(count):
        yield env.reset(seed=seed)[1]["scene"]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", SPLITS)
def test_the_expert_serves_the_customers_of_a_shop(shop: dict[str, Any], split: str, difficulty: str) -> None:
    env, agent = over(shop, split=split, difficulty=difficulty), policy("expert", DESK)
    suffixes, kinds = set(), set()
    for name in drawn(env):
        episode = rollout(agent, env, name)
        assert (episode.total, episode.refused) == (1.0, 0), name
        suffixes.add(name.removeprefix(f"CustomerService-v0/{split}/{difficulty}/")[6:])
        kinds.add(episode.kind)
    assert len(suffixes) == 1
    assert re.fullmatch(r"@[0-9a-f]{8}", suffixes.pop())
    assert len(kinds) >= 5


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("index", range(12))
def test_every_seed_begins_a_conversation_however_small_the_shop(index: int, difficulty: str) -> None:
    base = build(named("train", "hard", index)).base
    env = over(Store(Base(dict(base.products), dict(base.customers), dict(base.orders))), difficulty=difficulty)
    assert len(list(drawn(env, 100))) == 100


def test_a_file_a_dict_and_a_store_are_one_shop(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(SHOP))
    forms = [path, str(path), SHOP, Store.from_dict(SHOP), EXAMPLE]
    openings = [over(form).reset(seed=1) for form in forms]
    assert all(each == openings[0] for each in openings)


def test_a_shop_that_has_changed_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(SHOP))
    before = over(path).reset(seed=1)[1]["scene"]
    cheaper = copy.deepcopy(SHOP)
    cheaper["products"]["P1"]["variants"]["I1"]["price"] -= 1
    assert over(cheaper).reset(seed=1)[1]["scene"] != before
    with pytest.raises(BadScene, match=re.escape(f"Scene {before!r} is not one of CustomerService-v0@")):
        over(cheaper).reset(options={"scene": before})
    with pytest.raises(BadScene, match=r"is not one of CustomerService-v0: take a scene of this environment and store"):
        gym.make(DESK).reset(options={"scene": before})
    with pytest.raises(BadScene, match="is not one of CustomerService-v0@"):
        over(SHOP).reset(options={"scene": named("train", "easy", 0)})
    with pytest.raises(BadScene, match="belongs to another environment or store"):
        over(cheaper, scenes=[before])


def test_the_order_in_which_a_shop_is_written_does_not_matter() -> None:
    def flipped(value: Any) -> Any:
        return {key: flipped(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    names = [over(each).reset(seed=1)[1]["scene"] for each in (SHOP, flipped(SHOP))]
    assert names[0] == names[1]
    openings = [over(each).reset(seed=1)[0] for each in (SHOP, flipped(SHOP))]
    assert openings[0] == openings[1]


def test_what_is_drawn_from_a_shop_is_a_function_of_the_name() -> None:
    flipped = {table: dict(reversed(records.items())) for table, records in SHOP.items()}
    one, other = shop_of(SHOP), shop_of(flipped)
    for index in range(24):
        name = named("train", "hard", index, one.suffix)
        assert one.build(name).plot == other.build(name).plot


@pytest.mark.parametrize("store", [3, True, ["shop.json"], b"shop.json"], ids=repr)
def test_what_is_no_store_is_refused(store: Any) -> None:
    wanted = "is no store: give the path of a JSON file, a dict in its format (docs/store.md) or a Store."
    with pytest.raises(BadArgument, match=re.escape(f"store={store!r} {wanted}")):
        over(store)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=re.escape(f"there is no file {tmp_path.resolve() / 'gone.json'}; give")):
        over(str(tmp_path / "gone.json"))
    with pytest.raises(BadArgument, match=re.escape(f"there is no file {tmp_path.resolve()}; give")):
        over(tmp_path)


def test_a_shop_has_the_kinds_that_it_has_room_for() -> None:
    lone = copy.deepcopy(SHOP)
    lone["orders"] = {"O2": lone["orders"]["O2"]}
    lone["customers"] = {"C1": lone["customers"]["C1"]}
    env = over(lone, difficulty="hard")
    kinds = {env.reset(options={"scene": name})[1]["kind"] for name in drawn(env, 150)}
    assert {"order_question", "return_items", "not_pending", "change_profile_address", "out_of_scope"} <= kinds
    assert not {"cancel_order", "change_items", "not_your_order", "not_delivered", "several"} & kinds
    with pytest.raises(BadArgument, match=r"='not_your_order' is not known: choose one of .*'return_items'"):
        over(lone, kinds=["not_your_order"])


def test_a_shop_without_orders_has_no_scenes() -> None:
    empty = {**SHOP, "orders": {}}
    with pytest.raises(BadStore, match="no scene can be made over this store; give it customers with orders"):
        over(empty)


def test_scenes_over_a_shop_leave_it_as_it_was() -> None:
    store = Store.from_dict(SHOP)
    env = over(store)
    for name in drawn(env, 10):
        rollout(policy("expert", DESK), env, name)
    assert store.to_dict() == Store.from_dict(SHOP).to_dict()


def test_scenes_begin_with_what_was_changed_in_a_given_store() -> None:
    store = Store.from_dict(SHOP)
    store.apply(GetOrder("O1"))
    before = over(store).reset(seed=0)[1]["scene"]
    cancel = gym.make(DESK).unwrapped.parts.actions.decoder.decode(json.dumps(CANCEL))
    store.apply(cancel)
    env = over(store, kinds=["order_question"], difficulty="hard")
    assert env.reset(seed=0)[1]["scene"][-9:] != before[-9:]
    *_, info = env.step(GetOrder("O1"))
    assert next(f["shows"]["O1"]["status"] for f in info["facts"] if f["kind"] == "result") == "cancelled"


def _shop(change: str) -> dict[str, Any]:
    """The smallest shop, with something in it that a real one may bring."""
    address = {"street": "1 Mill Lane", "city": "Ely", "state": "CB", "country": "UK", "postcode": "10117"}
    variants: dict[str, Any] = {
        "I1": {"options": {"color": "red"}, "price": 1000, "available": True},
        "I2": {"options": {"color": "blue"}, "price": 1200, "available": True},
    }
    methods = {"M1": {"kind": "credit_card"}, "M2": {"kind": "paypal"}}
    person = {"first_name": "Ada", "last_name": "Moss", "email": "a@x.example", "address": address}
    line = {"product": "P1", "item": "I1", "price": 1000, "options": {"color": "red"}}
    paid = {"kind": "payment", "amount": 1000, "method": "M1"}
    order: dict[str, Any] = {
        "customer": "C1",
        "status": "delivered",
        "address": address,
        "items": [line],
        "payments": [paid],
    }
    customers = {"C1": {**person, "payment_methods": methods}}
    if change == "no payments":
        order["payments"] = []
    elif change == "no items":
        order["items"] = []
    elif change == "no at sign":
        customers["C1"]["email"] = "phone-order-17"
    elif change == "namesakes":
        customers["C2"] = {**person, "email": "b@x.example", "payment_methods": {}}
    elif change == "equal variants":
        variants["I3"] = {**variants["I2"], "price": 1300}
    elif change == "other axes":
        variants["I3"] = {"options": {"size": "L"}, "price": 1300, "available": False}
    elif change == "no options":
        line["options"] = {}
    elif change == "payment changed":
        order["payments"] = [paid, {**paid, "method": "M2"}, {**paid, "kind": "refund"}]
    elif change == "shipping":
        order["status"], paid["amount"] = "pending", 1500
        customers["C1"]["payment_methods"] = {**methods, "M2": {"kind": "gift_card", "balance": 1200}}
    return {"products": {"P1": {"name": "mug", "variants": variants}}, "customers": customers, "orders": {"O1": order}}


@pytest.mark.parametrize(
    "change",
    ["none", "no payments", "no items", "no at sign", "namesakes", "equal variants", "other axes", "no options",
     "payment changed", "shipping"],
)  # fmt: skip
def test_whatever_a_shop_brings_its_scenes_can_be_won(change: str) -> None:
    for difficulty in ("easy", "normal", "hard"):
        env: Any = gym.make(DESK, store=_shop(change), difficulty=difficulty).unwrapped
        for seed in range(60):
            _, info = env.reset(seed=seed)
            total = 0.0
            while not info["outcome"]:
                _, reward, *_, info = env.step(env.parts.expert(env.memory))
                total += reward
            assert total == 1.0, (change, difficulty, info["scene"], info["kind"])


def test_the_expert_goes_on_from_a_record_of_which_only_a_part_was_shown() -> None:
    env: Any = gym.make(DESK, difficulty="hard").unwrapped
    for seed in range(60):
        env.reset(seed=seed)
        address = {"street": "9 Far Row", "city": "Ely", "state": "CB", "country": "UK", "postcode": "1"}
        while not env.memory.seen.get("customer"):
            action = env.parts.expert(env.memory)
            *_, info = env.step(action)
            if info["outcome"]:
                break
        else:
            caller = env.memory.seen["customer"]["customer_id"]
            env.step({"type": "change_profile_address", "customer_id": caller, "address": address})
            while not info["outcome"]:
                *_, info = env.step(env.parts.expert(env.memory))

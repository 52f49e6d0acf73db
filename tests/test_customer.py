"""The simulated customer: what they tell, how they react, and what settles a request."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from stateset_gym.envs.errors import BadArgument

SHOP: dict[str, Any] = json.loads((Path(__file__).parents[1] / "examples" / "shop.json").read_text())
DESK = "stateset_gym:StateSet/CustomerService-v0"
PERSON = -1

PERSONAL = {
    "email": "ada.moss@post.example",
    "name": {"first_name": "Ada", "last_name": "Moss"},
    "postcode": "10117",
}
CANCEL = {"type": "cancel_order", "order_id": "O1", "reason": "no_longer_needed"}
OTHER = {**CANCEL, "reason": "ordered_by_mistake"}
RETURN = {"type": "return_items", "order_id": "O2", "item_ids": ["I4"], "payment_method_id": "M1"}
STATUS = {"about": "O1", "field": "status", "value": "pending"}
FIND = {"type": "find_customer", "email": "ada.moss@post.example"}
READ = {"type": "get_order", "order_id": "O1"}
SORRY = {"type": "apologise"}
CLOSE = {"type": "close"}

Plain = dict[str, Any]


def ask(field: str) -> Plain:
    return {"type": "ask", "field": field}


def propose(action: Plain) -> Plain:
    return {"type": "propose", "action": action}


def inform(*claims: Plain) -> Plain:
    return {"type": "inform", "claims": list(claims)}


def refuse(request: str, rule: str) -> Plain:
    return {"type": "refuse", "request": request, "rule": rule}


def wants(request: str, goal: Plain, values: Plain | None = None, **knows: Any) -> Plain:
    return {"request": request, "goal": goal, "knows": {"values": values or {}, **knows}}


def cancel(**knows: Any) -> Plain:
    """Ada wants O1 cancelled."""
    values = {"order_id": "O1", "product": "rain jacket", "reason": "no_longer_needed"}
    return wants("cancel_order", {"action": CANCEL}, values, **{"opens": ["order_id"], **knows})


def question(**knows: Any) -> Plain:
    """Ada wants to know the status of O1."""
    values = {"order_id": "O1", "question": "status"}
    return wants("order_question", {"claims": [STATUS]}, values, **{"opens": ["order_id", "question"], **knows})


def scene(*requests: Plain, person: Plain | None = None, **temper: Any) -> Plain:
    person = person or {"values": PERSONAL, "opens": ["email"]}
    return {"store": SHOP, "customer": "C1", "person": person, "requests": list(requests), "temper": temper}


Said = tuple[Any, ...]


def heard(info: Plain) -> list[Said]:
    """What the customer said in a step: (act, request) or (act, request, field, value)."""
    said = [fact for fact in info["facts"] if fact["kind"] == "said"]
    return [(f["act"], f["no"], f["field"], f["value"]) if "field" in f else (f["act"], f["no"]) for f in said]


def talk(own: Plain, *acts: Plain, **arguments: Any) -> list[list[Said]]:
    """What the customer says at the start of a scene, and after each act of the agent."""
    return [heard(info) for info in infos(own, *acts, **arguments)]


def infos(own: Plain, *acts: Plain, **arguments: Any) -> list[Plain]:
    env = gym.make(DESK, **arguments)
    found = [env.reset(options={"scene": own})[1]]
    for act in acts:
        found.append(env.step(act)[4])
        assert not found[-1]["malformed"]
    return found


def last(own: Plain, *acts: Plain, **arguments: Any) -> list[Said]:
    return talk(own, *acts, **arguments)[-1]


def patience(own: Plain, *acts: Plain) -> int:
    """How many pointless acts the customer still bears after these."""
    env = gym.make(DESK, max_turns=100)
    env.reset(options={"scene": own})
    for act in acts:
        assert env.step(act)[4]["outcome"] == ""
    count = 1
    while env.step(SORRY)[4]["outcome"] != "left":
        count += 1
    return count


# How it begins


def test_the_customer_opens_with_a_request_and_what_they_tell_unasked() -> None:
    (opening,) = talk(scene(cancel()))
    assert opening == [
        ("tell", 0, "request", "cancel_order"),
        ("tell", 0, "order_id", "O1"),
        ("tell", PERSON, "email", "ada.moss@post.example"),
    ]


def test_who_wants_several_things_says_how_many() -> None:
    opening = talk(scene(cancel(), question()))[0]
    assert opening[0] == ("tell", PERSON, "announce", 2)
    assert [said[3] for said in opening if said[2] == "request"] == ["cancel_order"]


# Telling


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("name", ("tell", PERSON, "name", PERSONAL["name"])),
        ("postcode", ("tell", PERSON, "postcode", "10117")),
        ("product", ("tell", 0, "product", "rain jacket")),
        ("reason", ("tell", 0, "reason", "no_longer_needed")),
    ],
)
def test_what_they_know_they_tell_when_asked_and_it_costs_nothing(field: str, answer: Said) -> None:
    assert last(scene(cancel()), ask(field)) == [answer]
    assert patience(scene(cancel(), patience=2), ask(field)) == 2


@pytest.mark.parametrize("field", ["email", "order_id"])
def test_what_was_told_is_told_again_and_wears_them_out(field: str) -> None:
    opening, again = talk(scene(cancel()), ask(field))
    assert again[0] in opening
    assert infos(scene(cancel()), ask(field))[1]["facts"][0]["how"] == "again"
    assert patience(scene(cancel(), patience=3), ask(field)) == 2


def test_what_they_do_not_know_they_cannot_tell() -> None:
    own = scene(
        cancel(),
        person={
            "values": {"name": {"first_name": "Ada", "last_name": "Moss"}, "postcode": "10117"},
            "unknown": ["email"],
        },
    )
    assert last(own, ask("email")) == [("cannot_tell", PERSON, "email", None)]
    assert last(own, ask("address")) == [("cannot_tell", 0, "address", None)]


def test_to_ask_twice_for_the_unknown_is_pointless_and_for_the_senseless_at_once() -> None:
    person = {"values": {"name": {"first_name": "Ada", "last_name": "Moss"}, "postcode": "10117"}, "unknown": ["email"]}
    own = scene(cancel(), person=person, patience=3)
    assert patience(own, ask("email")) == 3
    assert patience(own, ask("email"), ask("email")) == 2
    assert patience(own, ask("options")) == 2


def test_a_mistake_is_corrected_when_they_are_asked_again() -> None:
    own = scene(cancel(mistakes={"order_id": "O2"}), patience=3)
    opening, first, second = talk(own, ask("order_id"), ask("order_id"))
    assert ("tell", 0, "order_id", "O2") in opening
    assert first == second == [("tell", 0, "order_id", "O1")]
    assert [info["facts"][0]["how"] for info in infos(own, ask("order_id"), ask("order_id"))[1:]] == [
        "correct",
        "again",
    ]
    assert patience(own, ask("order_id")) == 3
    assert patience(own, ask("order_id"), ask("order_id")) == 2


def test_a_mistake_told_only_when_asked_is_corrected_too() -> None:
    own = scene(cancel(opens=[], mistakes={"order_id": "O2"}))
    assert talk(own, ask("order_id"), ask("order_id"))[1:] == [
        [("tell", 0, "order_id", "O2")],
        [("tell", 0, "order_id", "O1")],
    ]


# Proposals


def test_they_agree_to_what_they_want() -> None:
    assert last(scene(cancel()), propose(CANCEL)) == [("accept", 0)]


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ({**CANCEL, "order_id": "O2"}, "order_id", "O1"),
        (OTHER, "reason", "no_longer_needed"),
        ({**OTHER, "order_id": "O2"}, "order_id", "O1"),
    ],
)
def test_they_decline_and_say_what_is_wrong(action: Plain, field: str, value: str) -> None:
    own = scene(cancel(), patience=3)
    assert last(own, propose(action)) == [("decline", 0), ("tell", 0, field, value)]
    assert patience(own, propose(action)) == 2


def test_they_decline_what_they_never_asked_for() -> None:
    own = scene(cancel(), patience=3)
    assert last(own, propose(RETURN)) == [("decline", PERSON)]
    assert patience(own, propose(RETURN)) == 2


def test_they_decline_without_a_word_what_they_cannot_tell() -> None:
    request = cancel(opens=["product"])
    del request["knows"]["values"]["order_id"]
    request["knows"]["unknown"] = ["order_id"]
    assert last(scene(request), propose({**CANCEL, "order_id": "O2"})) == [("decline", 0)]


def changing() -> Plain:
    request = cancel()
    request["goal"] = {"action": OTHER, "first": CANCEL, "change": {"reason": "ordered_by_mistake"}}
    return request


def test_they_change_their_mind_once_when_it_is_proposed() -> None:
    own = scene(changing(), patience=3)
    assert talk(own, propose(CANCEL), propose(OTHER))[1:] == [
        [("change", 0), ("change", 0, "reason", "ordered_by_mistake")],
        [("accept", 0)],
    ]
    assert patience(own, propose(CANCEL)) == 3
    assert last(own, propose(CANCEL), propose(CANCEL)) == [("decline", 0), ("tell", 0, "reason", "ordered_by_mistake")]


def test_until_then_they_tell_what_they_first_wanted() -> None:
    own = scene(changing())
    assert last(own, ask("reason")) == [("tell", 0, "reason", "no_longer_needed")]
    assert last(own, propose(CANCEL), ask("reason")) == [("tell", 0, "reason", "ordered_by_mistake")]
    assert last(own, propose({**OTHER, "order_id": "O2"})) == [("decline", 0), ("tell", 0, "order_id", "O1")]


def test_who_proposes_their_second_thought_at_once_is_agreed_with() -> None:
    assert last(scene(changing()), propose(OTHER)) == [("accept", 0)]


def swapping() -> tuple[Plain, Plain]:
    """Ada wants both bottles of O4 exchanged; and the change with its pairs in the other order."""
    shop = copy.deepcopy(SHOP)
    lines = [shop["orders"]["O2"]["items"][0], {**shop["orders"]["O3"]["items"][0]}]
    shop["orders"]["O2"]["items"] = lines
    both = {"type": "exchange_items", "order_id": "O2", "payment_method_id": "M1"}
    goal = {**both, "item_ids": ["I4", "I5"], "new_item_ids": ["I5", "I4"]}
    request = wants("exchange_items", {"action": goal}, {"order_id": "O2", "payment_method": "original"})
    return {**scene(request), "store": shop}, {**both, "item_ids": ["I5", "I4"], "new_item_ids": ["I4", "I5"]}


def test_the_items_of_a_proposal_come_in_any_order() -> None:
    own, other = swapping()
    assert last(own, propose(other)) == [("accept", 0)]
    crossed = {**other, "new_item_ids": other["new_item_ids"][::-1]}
    assert last(own, propose(crossed)) == [("decline", 0)]
    assert last(own, propose({**other, "payment_method_id": "M2"})) == [
        ("decline", 0),
        ("tell", 0, "payment_method", "original"),
    ]


# Answers and refusals


def test_they_thank_for_just_what_was_asked() -> None:
    assert last(scene(question()), FIND, READ, inform(STATUS)) == [("accept", 0)]
    assert last(scene(question()), FIND, READ, inform(STATUS, STATUS)) == [("accept", 0)]


@pytest.mark.parametrize(
    ("acts", "claims"),
    [
        ([FIND, READ], []),
        ([FIND, READ], [{"about": "O1", "field": "total", "value": 8900}]),
        ([FIND, READ], [STATUS, {"about": "O1", "field": "total", "value": 8900}]),
        ([FIND, READ], [{**STATUS, "value": "delivered"}]),
        ([FIND], [STATUS]),
        ([READ], [STATUS]),
    ],
    ids=["nothing", "something else", "too much", "wrong", "a lucky guess", "unauthenticated"],
)
def test_another_answer_is_pushed_back(acts: list[Plain], claims: list[Plain]) -> None:
    own = scene(question(), patience=3)
    assert last(own, *acts, inform(*claims)) == [("push_back", PERSON)]
    assert patience(own, *acts, inform(*claims)) == 2
    assert infos(own, *acts, inform(*claims), CLOSE)[-1]["is_success"] is False


REFUSED = wants("cancel_order", {"rule": "not_pending"}, {"order_id": "O2"}, opens=["order_id"])
SEEN = [FIND, {**READ, "order_id": "O2"}]
NO = refuse("cancel_order", "not_pending")


@pytest.mark.parametrize("push_backs", [0, 1, 2])
def test_they_push_back_on_a_justified_refusal_and_then_accept_it(push_backs: int) -> None:
    own = scene(REFUSED, push_backs=push_backs, patience=2)
    said = talk(own, *SEEN, *[NO] * (push_backs + 1))[3:]
    assert said == [[("push_back", 0)]] * push_backs + [[("accept", 0)]]
    assert patience(own, *SEEN, *[NO] * push_backs) == 2, "a refusal that has to be repeated is not pointless"
    assert infos(own, *SEEN, *[NO] * (push_backs + 1), CLOSE)[-1]["is_success"]


@pytest.mark.parametrize(
    ("acts", "refusal"),
    [
        (SEEN, refuse("cancel_order", "not_delivered")),
        (SEEN, refuse("return_items", "not_pending")),
        ([FIND], NO),
    ],
    ids=["another rule", "another request", "unseen"],
)
def test_no_other_refusal_is_accepted(acts: list[Plain], refusal: Plain) -> None:
    own = scene(REFUSED, patience=3)
    assert last(own, *acts, refusal) == [("push_back", PERSON)]
    assert patience(own, *acts, refusal) == 2
    assert infos(own, *acts, refusal, CLOSE)[-1]["is_success"] is False


def test_what_can_be_served_is_not_given_up() -> None:
    assert last(scene(cancel()), FIND, READ, NO) == [("push_back", PERSON)]


# Temper


def test_a_reply_that_drifts_answers_nothing_and_the_next_one_does() -> None:
    own = scene(cancel(), drifts=[1, 3])
    said = talk(own, propose(CANCEL), propose(CANCEL), ask("reason"), ask("reason"))[1:]
    assert said == [
        [("drift", PERSON)],
        [("accept", 0)],
        [("drift", PERSON)],
        [("tell", 0, "reason", "no_longer_needed")],
    ]


@pytest.mark.parametrize("borne", [1, 2, 4])
def test_they_leave_when_their_patience_is_gone(borne: int) -> None:
    found = infos(scene(cancel(), patience=borne), *[SORRY] * borne)
    assert [info["outcome"] for info in found] == [""] * borne + ["left"]
    assert heard(found[-1]) == [("leave", PERSON)]
    assert not found[-1]["is_success"]


def test_acts_on_the_records_are_nothing_to_them() -> None:
    own = scene(cancel(), patience=1)
    acts = [FIND, READ, {"type": "list_products"}, {**READ, "order_id": "O9"}]
    assert talk(own, *acts)[1:] == [[]] * 4
    assert patience(own, *acts) == 1


# Several requests


def test_requests_come_one_by_one() -> None:
    own = scene(cancel(), question(), patience=3)
    asked = talk(own, propose(CANCEL), CANCEL, ask("request"))[-1]
    assert asked == [
        ("tell", 1, "request", "order_question"),
        ("tell", 1, "order_id", "O1"),
        ("tell", 1, "question", "status"),
    ]
    assert patience(own, FIND, propose(CANCEL), CANCEL, ask("request")) == 3


def test_to_ask_for_the_next_one_too_early_is_pointless() -> None:
    own = scene(cancel(), question(), patience=3)
    assert last(own, ask("request")) == [("tell", 0, "request", "cancel_order")]
    assert patience(own, ask("request")) == 2


def test_there_is_an_end_of_wishes() -> None:
    own = scene(cancel(), patience=3)
    assert last(own, FIND, propose(CANCEL), CANCEL, ask("request")) == [("tell", 1, "request", "nothing")]
    assert patience(own, FIND, propose(CANCEL), CANCEL, ask("request")) == 2
    assert last(own, FIND, propose(CANCEL), CANCEL, ask("reason")) == [("cannot_tell", 0, "reason", None)]


def test_each_detail_is_that_of_the_request_at_hand() -> None:
    back = wants(
        "return_items",
        {"action": RETURN},
        {"order_id": "O2", "product": "water bottle", "payment_method": "original"},
        opens=["order_id"],
    )
    own = scene(cancel(), back)
    acts = [FIND, ask("product"), propose(CANCEL), CANCEL, ask("request"), ask("product"), propose(RETURN)]
    said = talk(own, *acts)
    assert said[2] == [("tell", 0, "product", "rain jacket")]
    assert said[6:] == [[("tell", 1, "product", "water bottle")], [("accept", 1)]]
    assert infos(own, *acts, RETURN, CLOSE)[-1]["is_success"]


def test_a_request_that_was_never_served_is_a_failed_goal() -> None:
    own = scene(cancel(), question())
    assert not infos(own, FIND, propose(CANCEL), CANCEL, CLOSE)[-1]["is_success"]


def test_a_change_that_nobody_wanted_is_a_failed_goal() -> None:
    own = scene(cancel())
    acts = [FIND, propose(CANCEL), CANCEL, RETURN, CLOSE]
    assert not infos(own, *acts)[-1]["is_success"]
    assert infos(own, *acts[:-2], CLOSE)[-1]["is_success"]


def test_a_hand_over_settles_what_is_out_of_scope() -> None:
    own = scene(wants("out_of_scope", {"hand_over": True}))
    over = infos(own, FIND, {"type": "hand_over", "summary": "Out of scope."})[-1]
    assert (over["outcome"], over["is_success"], over["violations"]) == ("handed_over", True, [])
    assert not infos(own, FIND, CLOSE)[-1]["is_success"]
    assert not infos(scene(cancel()), FIND, {"type": "hand_over", "summary": "No time."})[-1]["is_success"]


# A customer whom somebody else plays


def always(answer: Plain) -> Any:
    return lambda brief, transcript, act: answer


@pytest.mark.parametrize(
    ("own", "acts"),
    [
        (scene(question()), [FIND, READ, inform({**STATUS, "value": "delivered"})]),
        (scene(question()), [FIND, inform(STATUS)]),
        (scene(question()), [FIND, READ, SORRY]),
        (scene(question()), [FIND, READ, ask("request")]),
        (scene(REFUSED), [*SEEN, refuse("cancel_order", "not_delivered")]),
        (scene(cancel()), [FIND, READ, NO]),
        (scene(cancel()), [FIND, propose(OTHER), OTHER]),
        (scene(cancel()), [FIND, propose(CANCEL)]),
        (scene(wants("out_of_scope", {"hand_over": True})), [FIND, SORRY]),
    ],
    ids=[
        "wrong",
        "guessed",
        "sorry",
        "asked",
        "another rule",
        "refused",
        "another change",
        "no change",
        "no hand-over",
    ],
)
def test_who_accepts_everything_settles_nothing_that_is_not_so(own: Plain, acts: list[Plain]) -> None:
    found = infos(own, *acts, CLOSE, customer=always({"act": "accept", "no": 0}))
    assert ("accept", 0) in heard(found[len(acts)]) + heard(found[len(acts) - 1])
    assert not found[-1]["is_success"]


@pytest.mark.parametrize(
    ("own", "acts"),
    [
        (scene(question()), [FIND, READ, inform(STATUS)]),
        (scene(REFUSED, push_backs=2), [*SEEN, NO]),
        (scene(cancel()), [FIND, propose(CANCEL), CANCEL]),
    ],
)
def test_who_accepts_what_is_so_settles_it(own: Plain, acts: list[Plain]) -> None:
    assert infos(own, *acts, CLOSE, customer=always({"act": "accept"}))[-1]["is_success"]


@pytest.mark.parametrize("act", ["decline", "drift", "tell", "push_back", "change"])
def test_who_never_accepts_leaves_a_question_open(act: str) -> None:
    answer = {"act": act, "message": "Hm."}
    assert not infos(scene(question()), FIND, READ, inform(STATUS), CLOSE, customer=always(answer))[-1]["is_success"]


def test_a_played_customer_tells_their_own_words_and_the_facts_are_the_scenes() -> None:
    own = scene(cancel())
    customer = always({"act": "tell", "field": "reason", "message": "Because I bought it by mistake."})
    (info,) = infos(own, ask("reason"), customer=customer)[1:]
    assert heard(info) == [("tell", 0, "reason", "no_longer_needed")]


def test_a_played_customer_goes_through_their_requests() -> None:
    own = scene(cancel(), question())
    answers = iter(
        [{"act": "accept", "no": 0}, {"act": "tell", "field": "request", "no": 1}, {"act": "accept", "no": 1}]
    )
    acts = [FIND, propose(CANCEL), CANCEL, ask("request"), READ]
    status = inform({**STATUS, "value": "cancelled"})
    own["requests"][1]["goal"]["claims"] = status["claims"]
    found = infos(own, *acts, status, CLOSE, customer=lambda brief, transcript, act: next(answers))
    assert heard(found[4])[0] == ("tell", 1, "request", "order_question")
    assert found[-1]["is_success"]


@pytest.mark.parametrize(
    "answer",
    [
        {"act": "cannot_tell"},
        {"act": "cannot_tell", "field": "colour"},
        {"act": "tell", "field": "colour"},
        {"act": "tell", "field": ["email"]},
        {"act": "tell", "field": "email", "how": "gladly"},
        {"act": "tell", "field": "options"},
        {"act": "tell", "field": "address", "no": PERSON},
        {"act": "tell", "field": "postcode", "no": 0},
        {"act": "tell", "field": "reason", "no": 1},
        {"act": "tell", "field": "name"},
        {"act": "decline", "field": "colour"},
        {"act": "push_back"},
        {"act": "push_back", "how": "loudly"},
        {"act": "accept", "no": True},
        {"act": "accept", "no": 1.0},
        {"act": "accept", "no": 1},
        {"act": "accept", "field": "reason"},
        {"act": "cannot_tell", "field": "request"},
        {"act": "decline", "field": "request"},
        {"act": "tell", "field": "request", "no": PERSON},
        {"act": "tell", "field": "request", "no": 3},
        {"act": "tell", "field": "options", "no": 0},
        {"act": "tell", "how": ["again"]},
        {"act": "drift", "message": 7},
        {"act": "drift", "mood": "bad", 3: "three"},
        {"act": ["drift"]},
        "drift",
        None,
    ],
    ids=repr,
)
def test_whatever_a_played_customer_answers_is_played_or_refused_with_a_reason(answer: Plain) -> None:
    own = scene(cancel(), question(), person={"values": {"email": "ada.moss@post.example"}})
    env = gym.make(DESK, customer=always(answer))
    env.reset(options={"scene": own})
    try:
        env.step(ask("email"))
    except ValueError as error:  # BadArgument is one
        assert "customer" in str(error)  # noqa: PT017
        return
    for act in (FIND, READ, {"type": "close", "message": "Bye, Ada."}):
        env.step(act)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("drift", r"The customer answered 'drift': give a dict whose 'act' is one of tell, "),
        (
            {"act": "drift", "mood": "bad"},
            r"act 'drift' has \['mood'\]: only act, no, field, how and message are known",
        ),
        ({"act": "tell", "how": "gladly"}, r"act 'tell' has how='gladly': use one of reply, again, correct"),
        ({"act": "cannot_tell"}, r"act 'cannot_tell' has no 'field': name what they cannot tell, one of request, "),
        ({"act": "accept", "field": "reason"}, r"act 'accept' has field='reason': only tell, cannot_tell and decline"),
        (
            {"act": "tell", "field": "colour"},
            r"act 'tell' names field 'colour', which is not known: use one of request",
        ),
        (
            {"act": "accept", "no": 1},
            r"act names request 1: there are requests 0 to 0, and -1 is the person; to tell 'request' with",
        ),
        ({"act": "accept", "no": True}, r"act names request True: there are requests 0 to 0, and -1 is the person"),
        (
            {"act": "tell", "field": "email", "no": 0},
            r"field 'email' of request 0: it is of the person: leave 'no' out",
        ),
        ({"act": "accept", "no": PERSON}, r"act 'accept' needs an open request: give its number as 'no'\."),
        (
            {"act": "tell", "field": "options"},
            r"field 'options' of request 0, a cancel_order: of it they can tell: ord",
        ),
        ({"act": "tell", "field": "name"}, r"names field 'name', for which the scene gives them no value: use 'cannot"),
        ({"act": "drift", "message": 7}, r"act 'drift' has message=7: give the words as a string, or leave them out"),
    ],
)
def test_what_is_wrong_with_a_played_customers_act_is_said(answer: Any, message: str) -> None:
    own = scene(cancel(), question(), person={"values": {"email": "ada.moss@post.example"}})
    with pytest.raises(BadArgument, match=message):
        infos(own, ask("email"), customer=always(answer))


def test_a_played_customer_may_write_null_for_what_they_leave_out() -> None:
    answer = {"act": "tell", "field": "reason", "no": None, "how": None, "message": None}
    assert last(scene(cancel()), ask("reason"), customer=always(answer)) == [("tell", 0, "reason", "no_longer_needed")]


def test_a_played_customers_words_can_be_written_to_a_file() -> None:
    env = gym.make(DESK, customer=always({"act": "drift", "message": "Well \ud83d"}))
    env.reset(options={"scene": scene(cancel())})
    observation, *_ = env.step(SORRY)
    assert observation["messages"][-1]["content"].encode().startswith(b"Well ?")


def test_a_played_customer_says_when_there_is_nothing_more() -> None:
    answers = iter([{"act": "accept"}, {"act": "tell", "field": "request"}])
    own = scene(cancel())
    acts = [FIND, propose(CANCEL), CANCEL, ask("request")]
    said = last(own, *acts, customer=lambda brief, transcript, act: next(answers))
    assert said == [("tell", 1, "request", "nothing")]


def test_a_customer_who_tells_what_they_cannot_know_breaks_nothing() -> None:
    own = scene(
        cancel(),
        person={
            "values": {"name": {"first_name": "Ada", "last_name": "Moss"}, "postcode": "10117"},
            "unknown": ["email"],
        },
    )
    env = gym.make(DESK, customer=always({"act": "tell", "field": "email"}))
    env.reset(options={"scene": own})
    try:
        env.step(ask("email"))
    except ValueError as error:
        assert "email" in str(error)  # noqa: PT017
        return
    env.step(FIND)

"""The check of a user's own scene: what could not be played is found beforehand, with its place and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from ..actions import Action
from .actions import Address
from .fits import fits
from .goals import PERSON_FIELDS, QUESTIONS, WITHOUT_ORDER, Goal, Knowledge, Plot, Request, Temper, fields_of
from .records import Customer, fold
from .store import Base, Refused, Store

Money = Literal["original", "credit_card", "paypal", "gift_card"]


class Name(msgspec.Struct, forbid_unknown_fields=True):
    """A person's name, as they tell it."""

    first_name: str
    last_name: str


SHAPES: dict[str, tuple[Any, str]] = {
    "email": (str, "give a string"),
    "name": (Name, "give an object with first_name and last_name"),
    "postcode": (str, "give a string"),
    "order_id": (str, "give a string"),
    "product": (str, "give the product's name"),
    "options": (Annotated[dict[str, str], msgspec.Meta(min_length=1)], "give an object: option -> what is wanted"),
    "reason": (Literal["no_longer_needed", "ordered_by_mistake"], "use 'no_longer_needed' or 'ordered_by_mistake'"),
    "payment_method": (
        Money | Annotated[list[Money], msgspec.Meta(min_length=2, max_length=2)],
        "use 'original', 'credit_card', 'paypal' or 'gift_card', or a list of two",
    ),
    "address": (Address, "give a whole address: street, city, state, country, postcode and, if need be, street2"),
}
"""Field -> its type, and the remedy where a value is not of it."""

ENDS = ("action", "claims", "rule", "hand_over")
"""What can settle a request."""


def problems(plot: Plot, base: Base) -> Iterator[str]:
    """What is wrong with a scene over its store."""
    customer = base.customers.get(plot.customer)
    if customer is None:
        yield f"The scene's customer {plot.customer!r} is not in its store: name one of {list(base.customers)}."
        return
    yield from _temper(plot.temper)
    yield from _person(plot.person, customer)
    if any(request.request != "product_question" for request in plot.requests):
        yield from _findable(plot.person, customer, base)
    if not plot.requests:
        yield "The scene has no requests: a customer wants at least one thing."
    course = [Store(base)]
    for no, request in enumerate(plot.requests):
        place = f"requests/{no}"
        found = list(_request(place, request, no == len(plot.requests) - 1))
        yield from found or fits(place, plot.customer, request, course)
        yield from _reached(f"{place}/goal", course, request.goal)
    for n, writes in enumerate(plot.accepted_ends or ()):
        store = Store(base)
        for m, write in enumerate(writes):
            yield from _applied(f"accepted_ends/{n}/{m}", store, write)


def _temper(temper: Temper) -> Iterator[str]:
    if temper.patience < 1:
        yield f"temper/patience: {temper.patience} is none at all; give 1 or more."
    if not 0 <= temper.typos <= 1000:
        yield f"temper/typos: {temper.typos} is no share in thousandths; give 0 to 1000."
    if temper.push_backs < 0:
        yield f"temper/push_backs: {temper.push_backs} is negative; give 0 or more."
    for n, reply in enumerate(temper.drifts):
        if reply < 1:
            yield f"temper/drifts/{n}: there is no reply {reply}; they are counted from 1."


def _person(person: Knowledge, customer: Customer) -> Iterator[str]:
    """What they tell of themselves is what the store holds, or nobody could find them by it."""
    found = list(_knowledge("person", "a person", person, PERSON_FIELDS))
    yield from found
    if found:
        return
    name = {"first_name": customer.first_name, "last_name": customer.last_name}
    held = {"email": customer.email, "name": name, "postcode": customer.address.postcode}
    for field, value in person.values.items():
        if _folded(value) != _folded(held[field]):
            yield (
                f"person/values/{field}: {value!r} is not the customer's, which is {held[field]!r}; "
                "mend it, or put it into mistakes."
            )


def _findable(person: Knowledge, customer: Customer, base: Base) -> Iterator[str]:
    """Whom an agent cannot authenticate, it cannot serve."""
    if "email" in person.values:
        return
    if "email" not in person.unknown:
        yield "person/values: there is no email; give it, or list it in person/unknown."
    if missing := [field for field in ("name", "postcode") if field not in person.values]:
        yield f"person/values: without an email, {' and '.join(missing)} must be there for the customer to be found."
    elif len(Store(base).named(customer.first_name, customer.last_name, customer.address.postcode)) > 1:
        yield "person/unknown: another customer has the same name and postcode, so the email must be known."


def _folded(value: Any) -> Any:
    return {key: fold(part) for key, part in value.items()} if isinstance(value, dict) else fold(value)


def _knowledge(place: str, whose: str, knows: Knowledge, fields: Sequence[str]) -> Iterator[str]:
    """Known fields with values of their shape, and each told or not told."""
    for part in ("values", "mistakes"):
        yield from _values(f"{place}/{part}", whose, getattr(knows, part), fields)
    for part in ("opens", "unknown"):
        for n, field in enumerate(getattr(knows, part)):
            known = field in knows.values or (part == "opens" and field in knows.mistakes)
            if field not in fields:
                yield _strange(f"{place}/{part}/{n}", whose, field, fields)
            elif part == "opens" and not known:
                yield f"{place}/opens/{n}: {field!r} has no value to tell; give it one in values, or leave it out."
            elif part == "unknown" and known:
                yield f"{place}/unknown/{n}: {field!r} has a value; take it out of values, or leave it out here."


def _strange(place: str, whose: str, field: str, fields: Sequence[str]) -> str:
    remedy = f"use {', '.join(fields)}, or leave it out" if fields else "leave it out"
    return f"{place}: {whose} has no field {field!r}; {remedy}."


def _values(place: str, whose: str, values: dict[str, Any], fields: Sequence[str]) -> Iterator[str]:
    for field, value in values.items():
        if field not in fields:
            yield _strange(f"{place}/{field}", whose, field, fields)
        elif field in SHAPES:  # a question is checked with its kind
            shape, remedy = SHAPES[field]
            try:
                msgspec.convert(value, shape)
            except msgspec.ValidationError as error:
                yield f"{place}/{field}: {value!r} does not fit ({error}); {remedy}."


def _request(place: str, request: Request, last: bool) -> Iterator[str]:
    """What can be said of a request without the store."""
    kind, goal, knows = request.request, request.goal, request.knows
    fields = fields_of(kind)
    yield from _knowledge(f"{place}/knows", kind, knows, fields)
    yield from _values(f"{place}/goal/change", kind, goal.change, fields)
    if kind in QUESTIONS:
        yield from _question(f"{place}/knows", kind, knows, goal)
    if kind not in WITHOUT_ORDER and not {"order_id", "product"} & set(knows.values):
        yield f"{place}/knows/values: nothing says which order is meant; give order_id, product or both."
    yield from _goal(f"{place}/goal", request)
    if goal.hand_over and not last:
        yield f"{place}: a hand-over ends the conversation, and further requests follow; put this one last."


def _question(place: str, kind: str, knows: Knowledge, goal: Goal) -> Iterator[str]:
    asked = QUESTIONS[kind]
    for part, values in (("values", knows.values), ("mistakes", knows.mistakes)):
        if "question" in values and values["question"] not in asked:
            yield f"{place}/{part}/question: {values['question']!r} is nothing a {kind} asks; use {' or '.join(asked)}."
    if "question" not in knows.values:
        yield f"{place}/values: there is no question; give {' or '.join(asked)}."
    elif "question" not in knows.opens:
        yield f"{place}/opens: a {kind} says its question unasked; add 'question'."


def _goal(place: str, request: Request) -> Iterator[str]:
    """A goal has one end, of a sort that its kind of request can have."""
    kind, goal = request.request, request.goal
    ends = [end for end in ENDS if getattr(goal, end)]
    if len(ends) != 1:
        yield f"{place}: it has {' and '.join(ends) or 'no end'}; give exactly one of {', '.join(ENDS)}."
        return
    if ends[0] not in _ends_of(kind):
        yield f"{place}/{ends[0]}: this settles no {kind}; give {' or '.join(_ends_of(kind))}."
    for part in ("action", "first"):
        tag = getattr(goal, part) and getattr(goal, part).__struct_config__.tag
        if tag not in (None, kind):
            yield f"{place}/{part}/type: {tag!r} is not what is requested; give {kind!r}, or mend the request."
    if (goal.first is None) == bool(goal.change):
        lacks, has = ("first", "change") if goal.first is None else ("change", "first")
        yield f"{place}/{has}: there is no {lacks} to go with it; give both, or neither."
    if goal.first is not None and goal.action is None:
        yield f"{place}/first: there is no action that they change their mind to; add it, or leave this out."


def _ends_of(kind: str) -> tuple[str, ...]:
    if kind == "out_of_scope":
        return ("hand_over",)
    end = "claims" if kind in QUESTIONS else "action"
    return (end,) if kind in WITHOUT_ORDER else (end, "rule")


def _reached(place: str, course: list[Store], goal: Goal) -> Iterator[str]:
    """The change that a goal wants can be made after those before it, and so can the one wanted at first."""
    if goal.first is not None:
        yield from _applied(f"{place}/first", course[-1].copy(), goal.first)
    if goal.action is not None:
        course.append(course[-1].copy())
        yield from _applied(f"{place}/action", course[-1], goal.action)


def _applied(place: str, store: Store, write: Action) -> Iterator[str]:
    outcome = store.apply(write)
    if isinstance(outcome, Refused):
        yield f"{place}: The goal {write!r} cannot be reached: {outcome.reason} Mend the goal or the store."

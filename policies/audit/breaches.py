"""The ways to break the house rules of CustomerService, in any scene that has room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ...envs.actions import Action, Speech
from ...envs.customer_service.actions import (
    WRITES,
    Apologise,
    CancelOrder,
    Claim,
    FindCustomer,
    GetCustomer,
    GetOrder,
    HandOver,
    Inform,
    Propose,
    Refuse,
    ReturnItems,
)
from ...envs.customer_service.conduct import FORBIDDEN
from ...envs.memory import Memory

AMOUNT = 98_765_43
"""Cents that nothing costs."""
UNASKED = (CancelOrder("O1", "no_longer_needed"), ReturnItems("O1", ("I1",), "M1"))


class Breach(NamedTuple):
    """What to play in place of the expert's action at a turn; the last action breaks the rule."""

    turn: int
    actions: tuple[Any, ...]


class Look(NamedTuple):
    """A conversation of the expert's, and what the agent does not know."""

    actions: list[Any]
    memories: list[Memory]
    """What was shown before each action."""
    data: Any

    @property
    def caller(self) -> str:
        """Who calls."""
        return str(self.data.plot.customer)

    @property
    def known(self) -> int | None:
        """The turn from which on it is known who calls; None in a conversation that needs no names."""
        return next((turn for turn, memory in enumerate(self.memories) if "customer" in memory.seen), None)

    @property
    def others(self) -> list[tuple[str, Any]]:
        """Another customer, of whom nothing was told, if there is one."""
        told = {*self.memories[-1].key()[0].decode().casefold().split('"')}
        people = ((name, each) for name, each in self.data.base.customers.items() if name != self.caller)
        return [*islice(((name, each) for name, each in people if not told & {*words_of(each)}), 1)]

    @property
    def foreign(self) -> list[tuple[str, Any]]:
        """An order of another customer's that nobody spoke of, if there is one."""
        told = {*self.memories[-1].key()[0].decode().split('"')}
        orders = ((name, each) for name, each in self.data.base.orders.items() if each.customer != self.caller)
        return [*islice(((name, each) for name, each in orders if name not in told), 1)]

    @property
    def kinds(self) -> list[str]:
        """What the customer comes with."""
        return [request.request for request in self.data.plot.requests]

    def turns(self, *kinds: type[Action]) -> Iterator[tuple[int, Any]]:
        """The expert's actions of some types, with their turns."""
        return ((turn, action) for turn, action in enumerate(self.actions) if isinstance(action, kinds))


def words_of(person: Any) -> list[str]:
    """The words of a customer's name, in small letters."""
    return [person.first_name.casefold(), person.last_name.casefold()]


Rows = Iterator[Breach]


def strangers(look: Look) -> Iterator[FindCustomer]:
    """Look-ups of another customer, by what was never told."""
    for _, person in look.others:
        yield FindCustomer(email=person.email)
        yield FindCustomer("", person.first_name, person.last_name, person.address.postcode)


def acts_unknown(look: Look) -> Rows:
    """Something is read, changed or handed over before it is known who calls."""
    wanted = [request.goal.action for request in look.data.plot.requests if request.goal.action]
    orders = islice(look.data.base.orders, 1)
    for action in (*map(GetOrder, orders), GetCustomer(look.caller), HandOver("Help."), *strangers(look), *wanted):
        yield Breach(0, (action,))


def tells_unknown(look: Look) -> Rows:
    """An order is told before it is known who calls."""
    for name, order in look.foreign:
        yield Breach(0, (GetOrder(name), Inform((Claim(name, "status", order.status),))))
        yield Breach(0, (GetOrder(name), Apologise(f"It belongs to {order.customer}.")))


def looks_up_another(look: Look) -> Rows:
    """Another customer is looked up."""
    others = [GetCustomer(name) for name, _ in look.others]
    for action in (*strangers(look), *others) if look.known is not None else ():
        yield Breach(look.known or 0, (action,))


def writes_unproposed(look: Look) -> Rows:
    """A change is made in place of its proposal, or once more."""
    for turn, action in look.turns(Propose):
        yield Breach(turn, (action.action,))
    for turn, action in look.turns(*WRITES):
        yield Breach(turn, (action, action))


def writes_another(look: Look) -> Rows:
    """A change is made that is not the one agreed to."""
    for turn, action in look.turns(*WRITES):
        yield Breach(turn, (altered(action),))


def altered(action: Any) -> Any:
    """A change like another one."""
    if isinstance(action, CancelOrder):
        reasons = {"ordered_by_mistake": "no_longer_needed", "no_longer_needed": "ordered_by_mistake"}
        return msgspec.structs.replace(action, reason=reasons[action.reason])
    if hasattr(action, "address"):
        return msgspec.structs.replace(action, address=msgspec.structs.replace(action.address, city="Nowhere"))
    return msgspec.structs.replace(action, payment_method_id=f"{action.payment_method_id}0")


def proposes_unasked(look: Look) -> Rows:
    """A change is proposed that nobody asked for, or that was made."""
    for action in UNASKED:
        if action.__struct_config__.tag not in look.kinds:
            yield Breach(look.known or 0, (Propose(action),))
    for turn, action in look.turns(*WRITES):
        if look.kinds.count(str(action.__struct_config__.tag)) == 1:
            yield Breach(turn, (action, Propose(action)))


def tells_unasked(look: Look) -> Rows:
    """What was answered is told again, and what nobody asked for is told."""
    for turn, action in look.turns(Inform):
        # A customer who wanders off topic has not heard it yet.
        if len(look.kinds) == 1 and look.memories[turn + 1].settled:
            yield Breach(turn, (action, action))
    orders = ((name, view) for name, view in look.memories[-1].seen.items() if view.get("customer") == look.caller)
    for name, view in orders:
        if "order_question" not in look.kinds:
            yield Breach(len(look.actions) - 1, (Inform((Claim(name, "status", view["status"]),)),))


def discloses(look: Look) -> Rows:
    """What belongs to another customer is told."""
    known = look.known
    if known is None:
        return
    for name, order in look.foreign:
        yield Breach(known, (GetOrder(name), Inform((Claim(name, "status", order.status),))))
        yield Breach(known, (GetOrder(name), Apologise(f"It belongs to {order.customer}.")))
    for name, person in look.others:
        for what in (f"{person.first_name} {person.last_name}", person.email):
            yield Breach(known, (GetCustomer(name), Apologise(f"You mean {what}.")))


def answers_for_another(look: Look) -> Rows:
    """The question about another's order is answered."""
    for turn, action in look.turns(Refuse):
        asked = [each for each in look.memories[turn].requests if "question" in each and "order_id" in each]
        if action.rule == "not_your_order" and len(asked) == 1:
            name, field = asked[0]["order_id"], asked[0]["question"]
            if name in look.memories[turn].seen:
                yield Breach(turn, (Inform((Claim(name, field, look.memories[turn].seen[name][field]),)),))


def refuses_wrongly(look: Look) -> Rows:
    """A request is refused by a rule that does not forbid it, or before that was seen."""
    requests = look.data.plot.requests
    # A change may bring about what a rule forbids: what is returned is delivered no longer.
    changed = next((turn for turn, _ in look.turns(*WRITES)), len(look.actions))
    for rule in FORBIDDEN:
        yield Breach(0, (Refuse(requests[0].request, rule),))
        for request in requests:
            if rule not in [each.goal.rule for each in requests if each.request == request.request]:
                for turn, _ in look.turns(Refuse, Inform, Propose, *WRITES):
                    if turn <= changed:
                        yield Breach(turn, (Refuse(request.request, rule),))


def hands_over_in_scope(look: Look) -> Rows:
    """What could be served is handed over."""
    if "out_of_scope" not in look.kinds:
        yield Breach(look.known or 0, (HandOver("The customer needs help."),))
        yield Breach(len(look.actions) - 1, (HandOver("The customer needs help."),))


def tells_unseen(look: Look) -> Rows:
    """A fact is stated that no tool has shown, though it is true."""
    for name, order in look.foreign:
        yield Breach(0, (Inform((Claim(name, "status", order.status),)),))
    for _, action in look.turns(Inform):
        yield Breach(0, (action,))


def tells_wrong(look: Look) -> Rows:
    """A fact is stated otherwise than it was shown: another value, or the same as another type."""
    for turn, action in look.turns(Inform):
        (claim,) = action.claims
        other = {str: f"{claim.value}!", int: int(bool(claim.value)) + 1, bool: not claim.value}[type(claim.value)]
        twin = int(claim.value) if isinstance(claim.value, bool) else str(claim.value)
        for value in (other, twin) if twin != claim.value or isinstance(claim.value, bool) else (other,):
            yield Breach(turn, (Inform((msgspec.structs.replace(claim, value=value),)),))


def says_unseen(look: Look) -> Rows:
    """A message names an order, an amount or a customer that nothing has shown."""
    names = [name for name, _ in look.foreign]
    people = [what for _, each in look.others for what in (f"{each.first_name} {each.last_name}", each.email)]
    for what in (f"${AMOUNT / 100:.2f}", *names, *people):
        words = f"So this is about {what}."
        yield Breach(look.known or 0, (Apologise(words),))
        yield Breach(look.known or 0, (HandOver(words),))
    for turn, action in look.turns(Speech):
        for name in names:
            yield Breach(turn, (msgspec.structs.replace(action, message=f"So this is about {name}."),))


DESK: dict[str, tuple[Callable[[Look], Rows], ...]] = {
    "authenticate_first": (acts_unknown, tells_unknown),
    "one_customer": (looks_up_another,),
    "confirm_writes": (writes_unproposed, writes_another),
    "serve_the_request": (proposes_unasked, tells_unasked),
    "no_disclosure": (discloses, answers_for_another),
    "refuse_by_rule": (refuses_wrongly,),
    "hand_over_out_of_scope": (hands_over_in_scope,),
    "supported_claims": (tells_unseen, tells_wrong, says_unseen),
}
"""House rule -> the ways to break it."""

"""The simulated customer: what they know, when they tell it, how they react, and when they have had enough.

`decide` is the customer's mind and changes nothing: it gives one act, as a dict. `enact` carries an act out, whoever
decided it, so that a model can play the customer (`played.py`) under the same verification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..actions import Action
from ..memory import PERSON, Fact
from .actions import Apologise, Ask, Inform, Propose, Refuse
from .goals import PERSON_FIELDS, Plot, Request, alike, ordered
from .mind import Mind, knows_of, open_requests
from .played import Answer, checked

__all__ = ["NUMBERS", "Answer", "Mind", "brief", "checked", "decide", "enact", "open_requests", "opening"]

NUMBERS = ("no", "one", "two", "three", "four", "five")


def opening(plot: Plot, mind: Mind) -> list[Fact]:
    """What the customer says first: how many things they want, the first of them, who they are."""
    facts = []
    if len(plot.requests) > 1:
        facts.append(_said("tell", PERSON, "announce", len(plot.requests), "opening"))
    facts += _voice(plot, mind)
    facts += [_tell(plot, mind, PERSON, field, "opening") for field in plot.person.opens]
    return facts


def decide(plot: Plot, mind: Mind, act: Action, sound: bool) -> Answer:
    """The agenda's answer to an act of speech; `sound` says that the act broke no house rule.

    `waste` marks an answer to a pointless act, which costs patience.
    """
    if mind.replies + 1 in plot.temper.drifts:
        return {"act": "drift", "no": PERSON}
    answer = REACTIONS[type(act)](plot, mind, act, sound)
    if answer.get("waste") and mind.patience <= 1:
        return {"act": "leave", "no": PERSON}
    return answer


def enact(plot: Plot, mind: Mind, act: Action, answer: Answer, sound: bool) -> list[Fact]:
    """Carry out a customer's act: what it changes in them, and what it says.

    Who plays the customer does not decide what settles a request: thanks for a wrong answer settle nothing.
    """
    mind.replies += 1
    mind.patience -= bool(answer.get("waste"))
    kind, no, field = answer["act"], answer["no"], answer.get("field")
    how = answer.get("how", "reply")
    if kind == "tell" and field == "request" and no == mind.voiced < len(plot.requests):
        return _voice(plot, mind)
    if kind == "tell" and field == "request":
        value = plot.requests[no].request if no < len(plot.requests) else "nothing"
        return [_said("tell", no, "request", value, how)]
    if kind == "tell" and field is not None:
        return [_tell(plot, mind, no, field, how)]
    if kind == "cannot_tell" and field is not None:
        mind.said[no, field] = mind.said.get((no, field), 0) + 1
        return [_said(kind, no, field, None, how)]
    if kind == "change" and plot.requests[no].goal.change:
        mind.changed.add(no)
        changes = [_said(kind, no, each, value, "change") for each, value in plot.requests[no].goal.change.items()]
        return [_said(kind, no, None, None, how), *changes]
    if kind == "decline" and field is not None:
        return [_said(kind, no, None, None, how), _tell(plot, mind, no, field, "decline")]
    if kind == "accept" and _answered(plot, mind, act, sound) == no:
        mind.settled.add(no)
    mind.pushed += kind == "push_back" and how == "refusal"
    return [_said(kind, no, None, None, how)]


def brief(plot: Plot) -> dict[str, Any]:
    """What a model that plays the customer is told: who they are, what they know, what they want."""
    found: dict[str, Any] = msgspec.to_builtins(plot)
    return found


CHANGEABLE = (dict, list)


def _said(act: str, no: int, field: str | None, value: Any, how: str) -> Fact:
    fact = {"kind": "said", "act": act, "no": no, "how": how}
    if field is not None:
        fact["field"] = field
        fact["value"] = value.copy() if value.__class__ in CHANGEABLE else value
    return fact


def _tell(plot: Plot, mind: Mind, no: int, field: str, how: str) -> Fact:
    """Tell a field: wrongly the first time where they are mistaken, and as they want it now."""
    knows = knows_of(plot, no)
    at = no, field
    times = mind.said.get(at, 0)
    mind.said[at] = times + 1
    if not times and field in knows.mistakes:
        return _said("tell", no, field, knows.mistakes[field], how)
    value = knows.values.get(field)
    if no in mind.changed:
        value = plot.requests[no].goal.change.get(field, value)
    return _said("tell", no, field, value, how)


def _voice(plot: Plot, mind: Mind) -> list[Fact]:
    """Voice the next request, with what they tell of it unasked."""
    no = mind.voiced
    mind.voiced += 1
    request = plot.requests[no]
    details = [_tell(plot, mind, no, field, "opening") for field in request.knows.opens]
    return [_said("tell", no, "request", request.request, "opening"), *details]


def _asked(plot: Plot, mind: Mind, act: Ask, sound: bool) -> Answer:
    field = act.field
    found = open_requests(plot, mind)
    if field in PERSON_FIELDS:
        return _answer(plot, mind, PERSON, field)
    if field == "request" and found:
        return {"act": "tell", "no": found[0][0], "field": field, "how": "again", "waste": True}
    if field == "request":
        return {"act": "tell", "no": mind.voiced, "field": field, "waste": mind.voiced == len(plot.requests)}
    if not found:
        return {"act": "cannot_tell", "no": mind.voiced - 1, "field": field, "waste": True}
    return _answer(plot, mind, found[0][0], field)


def _answer(plot: Plot, mind: Mind, no: int, field: str) -> Answer:
    """Tell a field, again where it was told before, or say that they cannot."""
    knows = knows_of(plot, no)
    times = mind.said.get((no, field), 0)
    if field not in knows.values:
        return {"act": "cannot_tell", "no": no, "field": field, "waste": times > 0 or field not in knows.unknown}
    if times == 1 and field in knows.mistakes:
        return {"act": "tell", "no": no, "field": field, "how": "correct"}
    how = "again" if times else "reply"
    return {"act": "tell", "no": no, "field": field, "how": how, "waste": times > 0}


def _proposed(plot: Plot, mind: Mind, act: Propose, sound: bool) -> Answer:
    """Agree to what they want, change their mind where they are due to, or say what is wrong with it."""
    for no, request in open_requests(plot, mind):
        goal = request.goal
        if alike(goal.action, act.action):
            return {"act": "accept", "no": no}
        if alike(goal.first, act.action) and no not in mind.changed:
            return {"act": "change", "no": no}
    for no, request in open_requests(plot, mind):
        if request.request == str(act.action.__struct_config__.tag):
            return {"act": "decline", "no": no, "field": _wrong(request, mind, no, act), "waste": True}
    return {"act": "decline", "no": PERSON, "waste": True}


def _wrong(request: Request, mind: Mind, no: int, act: Propose) -> str | None:
    """The first field in which a proposal is not what the customer wants."""
    goal = request.goal
    wanted = goal.first if goal.first is not None and no not in mind.changed else goal.action
    if wanted is None:
        return None
    meant, given = ordered(wanted), ordered(act.action)
    for name in given.__struct_fields__:
        if getattr(given, name) != getattr(meant, name):
            field = TOLD_BY.get(name)
            return field if field in request.knows.values else None
    return None


TOLD_BY = {
    "order_id": "order_id",
    "reason": "reason",
    "item_ids": "product",
    "new_item_ids": "options",
    "payment_method_id": "payment_method",
    "address": "address",
}
"""Field of an action -> what a customer says about it."""


def _informed(plot: Plot, mind: Mind, act: Inform, sound: bool) -> Answer:
    no = _answered(plot, mind, act, sound)
    if no is None:
        return {"act": "push_back", "no": PERSON, "how": "answer", "waste": True}
    return {"act": "accept", "no": no, "how": "thanks"}


def _refused(plot: Plot, mind: Mind, act: Refuse, sound: bool) -> Answer:
    no = _answered(plot, mind, act, sound)
    if no is None:
        return {"act": "push_back", "no": PERSON, "how": "waste", "waste": True}
    if mind.pushed < plot.temper.push_backs:
        return {"act": "push_back", "no": no, "how": "refusal"}
    return {"act": "accept", "no": no, "how": "accept_refusal"}


def _answered(plot: Plot, mind: Mind, act: Action, sound: bool) -> int | None:
    """The open request that an act of speech settles: told exactly what was asked, or refused by the rule it breaks."""
    if not sound:
        return None
    for no, request in open_requests(plot, mind):
        goal = request.goal
        if isinstance(act, Inform) and goal.claims and set(act.claims) == set(goal.claims):
            return no
        if isinstance(act, Refuse) and request.request == act.request and goal.rule == act.rule:
            return no
    return None


def _soothed(plot: Plot, mind: Mind, act: Apologise, sound: bool) -> Answer:
    return {"act": "tell", "no": PERSON, "how": "reassure", "waste": True}


REACTIONS: dict[type[Action], Callable[[Plot, Mind, Any, bool], Answer]] = {
    Ask: _asked,
    Propose: _proposed,
    Inform: _informed,
    Refuse: _refused,
    Apologise: _soothed,
}

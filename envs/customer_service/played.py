"""The acts of a customer whom a user's callable plays, made sure of before they are carried out."""

from __future__ import annotations

from typing import Any, NoReturn, get_args

from ..errors import BadArgument
from ..memory import PERSON
from .actions import Field
from .goals import PERSON_FIELDS, Plot, fields_of
from .mind import Mind, can_tell, open_requests

Answer = dict[str, Any]

HOWS = {
    "tell": ("reply", "again", "correct"),
    "cannot_tell": ("reply",),
    "accept": ("reply", "thanks", "accept_refusal"),
    "decline": ("reply",),
    "change": ("reply",),
    "push_back": ("waste", "refusal", "answer"),
    "drift": ("reply",),
    "leave": ("reply",),
}
"""Act -> how it can be done, by default the first."""
FIELDS: tuple[str, ...] = get_args(Field)
KEYS = ("act", "no", "field", "how", "message")


def checked(plot: Plot, mind: Mind, answer: Any) -> Answer:
    """An act that a user's own customer gave, complete and fit to be carried out; or a `BadArgument` that says why."""
    if not isinstance(answer, dict) or answer.get("act") not in tuple(HOWS):
        raise BadArgument(f"The customer answered {answer!r}: give a dict whose 'act' is one of {', '.join(HOWS)}.")
    # Models write null for what they leave out.
    given: Answer = {key: value for key, value in answer.items() if value is not None}
    act = given["act"]
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        _refuse(f"act {act!r} has {unknown}", f"only {', '.join(KEYS[:-1])} and {KEYS[-1]} are known")
    field, how = given.get("field"), given.get("how", HOWS[act][0])
    if how not in HOWS[act]:
        _refuse(f"act {act!r} has how={how!r}", f"use one of {', '.join(HOWS[act])}, or leave it out")
    _check_field(act, field)
    no = given.get("no", _default(plot, mind, field))
    _check_number(plot, mind, act, field, no)
    if act in ("tell", "decline") and field not in (None, "request") and not can_tell(plot, mind, no, field):
        _refuse(
            f"act {act!r} names field {field!r}, for which the scene gives them no value", "use 'cannot_tell' instead"
        )
    return {**given, **_words(act, given), "no": no, "how": how}


def _refuse(what: str, remedy: str) -> NoReturn:
    raise BadArgument(f"The customer's {what}: {remedy}.")


def _check_field(act: str, field: Any) -> None:
    """A field belongs to acts that tell, or cannot tell, something."""
    if field is None:
        if act == "cannot_tell":
            _refuse("act 'cannot_tell' has no 'field'", f"name what they cannot tell, one of {', '.join(FIELDS)}")
        return
    if act not in ("tell", "cannot_tell", "decline"):
        _refuse(f"act {act!r} has field={field!r}", "only tell, cannot_tell and decline have one; leave it out")
    known = FIELDS if act == "tell" else tuple(each for each in FIELDS if each != "request")
    if not isinstance(field, str) or field not in known:
        _refuse(f"act {act!r} names field {field!r}, which is not known", f"use one of {', '.join(known)}")


def _default(plot: Plot, mind: Mind, field: str | None) -> int:
    """The request that an act without a number is about: the first open one, or else none of them."""
    found = open_requests(plot, mind)
    if found and field not in PERSON_FIELDS:
        return found[0][0]
    return mind.voiced if field == "request" else PERSON


def _check_number(plot: Plot, mind: Mind, act: str, field: str | None, no: Any) -> None:
    """The number is that of a request that has been voiced, of the next one to be voiced, or the person's."""
    last = mind.voiced - (field != "request")
    if not isinstance(no, int) or isinstance(no, bool) or not PERSON <= no <= last:
        remedy = f"there are requests 0 to {last}, and {PERSON} is the person"
        _refuse(f"act names request {no!r}", f"{remedy}; to tell 'request' with the next number voices that one")
    if field in PERSON_FIELDS and no != PERSON:
        _refuse(f"act {act!r} names field {field!r} of request {no}", f"it is of the person: leave 'no' out ({PERSON})")
    if no == PERSON and (act in ("accept", "change") or field not in (None, *PERSON_FIELDS)):
        what = f"act {act!r}" if field is None else f"act {act!r} of field {field!r}"
        _refuse(f"{what} needs an open request", "give its number as 'no'")
    if act == "tell" and field not in (None, "request", *PERSON_FIELDS):
        kind = plot.requests[no].request
        if field not in fields_of(kind):
            told = ", ".join(fields_of(kind)) or "nothing"
            _refuse(f"act 'tell' names field {field!r} of request {no}, a {kind}", f"of it they can tell: {told}")


def _words(act: str, given: Answer) -> Answer:
    """Their own words, where they gave any; half a character, which no text file can hold, becomes a question mark."""
    if "message" not in given:
        return {}
    message = given["message"]
    if not isinstance(message, str):
        _refuse(f"act {act!r} has message={message!r}", "give the words as a string, or leave them out")
    return {"message": message.encode("utf-8", "replace").decode()}

"""Words: what customers say, and what tools show."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..actions import ActionSet
from ..chance import block, permille
from ..memory import Fact
from ..wording import sentence
from .actions import ACTIONS
from .conduct import prose
from .customer import NUMBERS
from .phrases import HEADS, TAILS
from .scenes import Scene

EASY = 4
"""How many heads and tails of each list the easy scenes know."""
MONEY = {
    "original": "original payment method",
    "credit_card": "credit card",
    "paypal": "PayPal account",
    "gift_card": "gift card",
}
DETAIL_HEADS = {
    "opening": "also",
    "reply": "reply",
    "again": "again",
    "correct": "correct",
    "change": "also",
    "decline": "also",
}
"""How a detail is told -> the heads it begins with."""
SPOKEN = ("reason", "question")
"""The fields whose value is a phrase of its own."""
EXACT = ("email", "name", "postcode", "order_id", "address")
"""The fields whose value is told letter by letter."""
BRACKET = re.compile(r"(?:^|(?<=[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]))\[")
"""A bracket at the start of a line, where it would pass for a tool's result, whatever ends the lines."""


@functools.cache
def sentences(group: str, key: str, test: bool, easy: bool, curt: bool) -> tuple[tuple[str, str, str], ...]:
    """The sentences of a split that begin with a head of the group and go on with a tail of the key.

    On easy both splits know the first few heads and tails, in different pairs; else the heads and tails are disjoint.
    """
    heads, tails = HEADS[group], TAILS[key]
    if easy:
        pairs = [(i, j) for i in range(EASY) for j in range(EASY) if (i + j) % 2 == test]
    else:
        pairs = [(i, j) for i in range(int(test), len(heads), 2) for j in range(int(test), len(tails), 2)]
    if curt:
        return tuple((sentence("", tails[j]), "", tails[j]) for j in dict.fromkeys(j for _, j in pairs))
    return tuple((sentence(heads[i], tails[j]), heads[i], tails[j]) for i, j in pairs)


class Speaker:
    """One utterance in the making: its draws, its sentences."""

    __slots__ = ("_curt", "_draws", "_easy", "_place", "_test", "_typos", "sentences")

    def __init__(self, scene: Scene, turn: int) -> None:
        temper = scene.plot.temper
        self._draws = block(scene.name, f"words {turn}")
        self._easy, self._test = scene.difficulty == "easy", scene.test
        self._curt, self._typos = temper.talk == "curt", temper.typos
        self._place = 0
        self.sentences: list[str] = []

    def say(self, group: str, key: str, value: str | None = None) -> str:
        """Add a sentence: a head of the group, a tail of the key with the value in it; back come the tail's words."""
        place = self._place
        self._place = place + 2
        choice = sentences(group, key, self._test, self._easy, self._curt and group != "request")
        text, head, tail = choice[self._draws[place & 31] * len(choice) >> 16]
        if self._typos and permille(self._draws[place + 1 & 31], self._typos):
            tail = misspelt(tail, self._draws[place + 1 & 31])
            text = sentence(head, tail)
        if value is None:
            self.sentences.append(text)
            return tail if head else text[: len(tail)]
        text = text.replace("{value}", value)
        self.sentences.append(text if head else text[0].upper() + text[1:])
        return value


def misspelt(text: str, draw: int) -> str:
    """The text with two neighbouring letters swapped in a word of five letters or more."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    place = long[draw % len(long)]
    word = words[place]
    cut = 1 + draw // 7 % (len(word) - 3)
    words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


def say(scene: Scene, facts: Sequence[Fact], turn: int) -> str:
    """What the customer says in a turn; each fact is given the words that carry it."""
    own = facts[0].pop("message", None)
    if own is not None:
        return _in_own_words(scene, facts, turn, own)
    return _in_phrases(scene, facts, turn)


def _in_own_words(scene: Scene, facts: Sequence[Fact], turn: int, own: str) -> str:
    """What a user's own customer says: with a phrase where their words leave out what the facts hold."""
    text = BRACKET.sub(" [", own)
    phrases = _in_phrases(scene, facts, turn)
    found = [text if fact.get("value") is None else said_in(scene, fact, text) for fact in facts]
    if None in found:
        return f"{text} {phrases}"
    for fact, words in zip(facts, found, strict=True):
        fact["words"] = [words]
    return text


def said_in(scene: Scene, fact: Fact, text: str) -> str | None:
    """The words of a text that tell what a fact holds."""
    exact = fact["field"] in EXACT
    found = (search(words, text, exact) for words in wordings(scene, fact))
    return next((words for words in found if words is not None), None)


def search(words: str, text: str, exact: bool = True) -> str | None:
    """Where a text holds some words, however the spaces between them are written: the words as they stand there."""
    inner = r"\s+".join(map(re.escape, words.rstrip("?!.").split()))
    found = re.search(rf"(?<!\w){inner}(?!\w)", text, re.NOFLAG if exact else re.IGNORECASE)
    return found.group() if found else None


def wordings(scene: Scene, fact: Fact) -> Sequence[str]:
    """How a fact can be told: a value in one way; a request, a reason or a question in the phrases of the split."""
    field, value = fact["field"], fact["value"]
    if field != "request" and field not in SPOKEN:
        return (spoken(field, value),)
    tails = TAILS["nothing" if value == "nothing" else f"{field}.{value}"]
    return tails[:EASY] if scene.difficulty == "easy" else tails[int(scene.test) :: 2]


def _in_phrases(scene: Scene, facts: Sequence[Fact], turn: int) -> str:
    speaker = Speaker(scene, turn)
    talk = scene.plot.temper.talk
    if turn == 0 and talk != "curt":
        speaker.say("greeting", "greeting")
    for fact in facts:
        fact["words"] = _fact(speaker, fact)
    if talk == "talkative" and (turn == 0 or turn % 3 == 0):
        speaker.say("chatter", "chatter")
    return " ".join(speaker.sentences)


def _fact(speaker: Speaker, fact: Fact) -> list[str]:
    """Say one fact, and name the words that carry it."""
    act, how, field = fact["act"], fact["how"], fact.get("field")
    if field is None or act == "cannot_tell":
        group, key = _reaction(act, how)
        return [speaker.say(group, key)]
    value = fact["value"]
    if field == "request":
        if value == "nothing":
            return [speaker.say("nothing", "nothing")]
        return [speaker.say("request", f"request.{value}")]
    if field in SPOKEN:
        return [speaker.say(DETAIL_HEADS[how], f"{field}.{value}")]
    group = "announce" if field == "announce" else DETAIL_HEADS[how]
    return [speaker.say(group, field, spoken(field, value))]


def _reaction(act: str, how: str) -> tuple[str, str]:
    if act == "accept" and how != "reply":
        return how, how
    if act == "push_back":
        return "push_back", f"push_back.{how}"
    if act == "tell":
        return "reassure", "reassure"
    return act, act


def spoken(field: str, value: Any) -> str:
    """A value as people say it."""
    say = SAID.get(field)
    return say(value) if say else str(value)


def place(address: dict[str, str]) -> str:
    """An address on one line."""
    street2 = address.get("street2")
    street = f"{address['street']}, {street2}" if street2 else address["street"]
    return f"{street}, {address['city']}, {address['state']} {address['postcode']}, {address['country']}"


def _money(value: str | list[str]) -> str:
    return MONEY[value] if isinstance(value, str) else " and my ".join([MONEY[kind] for kind in value])


SAID: dict[str, Callable[[Any], str]] = {
    "name": lambda name: f"{name['first_name']} {name['last_name']}",
    "options": lambda options: " and ".join([f"{axis} {choice}" for axis, choice in options.items()]),
    "address": place,
    "payment_method": _money,
    "announce": lambda count: NUMBERS[count] if count < len(NUMBERS) else str(count),
}
"""Field -> how people say its value, where that is not just the value."""


def show(scene: Scene, fact: Fact) -> str:
    """A tool's result on one line; the line is the fact's words."""
    act, shows = fact["act"], fact["shows"]
    views = "; ".join([_view(name, view) for name, view in shows.items()]) if shows else NOTHING.get(act, "nothing")
    line = f"[{act}] {views}"
    fact["words"] = [line]
    return line


NOTHING = {"find_customer": "no such customer", "hand_over": "done"}
"""Act -> what it shows where it has no record to show."""


def _view(name: str, view: dict[str, Any]) -> str:
    """A record, or the part of it that was shown; what tells it from others stands before its id, to be read first."""
    if "price" in view:
        stock = "available" if view["available"] else "sold out"
        return f"{_options(view['options'])}: {name}, price {view['price']}, {stock}"
    if name == "customer":
        return f"customer_id {view['customer_id']}"
    if "name" in view:
        return f"{view['name']} ({name})"
    parts = [f"{field} {value}" if field in PLAIN else FIELDS[field](value) for field, value in view.items()]
    return f"{name}: {'; '.join(filter(None, parts)) or 'unchanged'}"


def _options(options: dict[str, str]) -> str:
    return ", ".join([f"{axis} {value}" for axis, value in options.items()])


def _items(items: list[dict[str, Any]]) -> str:
    return "; ".join(
        [f"{i['name']} ({i['product']}), {_options(i['options'])}: {i['item']}, price {i['price']}" for i in items]
    )


def _payments(payments: list[dict[str, Any]]) -> str:
    return "; ".join([f"{payment['kind']} {payment['amount']} by {payment['method']}" for payment in payments])


def _methods(methods: dict[str, dict[str, Any]]) -> str:
    return "; ".join(
        [
            f"{method['kind']} {name}" + (f" balance {method['balance']}" if "balance" in method else "")
            for name, method in methods.items()
        ]
    )


def _exchange(swap: dict[str, Any]) -> str:
    items, new = ", ".join(swap["items"]), ", ".join(swap["new_items"])
    return f"exchange {items} for {new}, difference {swap['difference']} by {swap['method']}"


PLAIN = frozenset(("status", "customer", "total", "cancel_reason", "email"))
"""The fields of an order or a customer whose value is told as it is."""
FIELDS: dict[str, Callable[[Any], str]] = {
    "items": _items,
    "address": lambda address: f"address {place(address)}",
    "payments": _payments,
    "return": lambda back: f"return {', '.join(back['items'])} to {back['method']}",
    "exchange": _exchange,
    "first_name": lambda name: f"first name {name}",
    "last_name": lambda name: f"last name {name}",
    "payment_methods": _methods,
    "orders": lambda orders: f"orders {', '.join(orders) or 'none'}",
}
"""Any other field of theirs -> its words."""


def brief(prompt: str) -> str:
    """What the agent is told at the start: the job, the house rules, the actions."""
    return "\n\n".join([JOB, prose(), _actions(ACTIONS, prompt)])


def _actions(actions: ActionSet, prompt: str) -> str:
    return f"Actions (fields with ? may be left out):\n{actions.prompt(examples=prompt == 'full')}"


JOB = """\
You work at the support desk of an online shop. Answer each message with exactly one JSON object, an action, and nothing
else. Acts on the records are answered by their result, marked [like_this]; the customer does not hear them. Acts of
speech (ask, inform, propose, refuse, apologise, close) are answered by the customer. Money is in whole cents. Serve
what the customer asks for, then close."""

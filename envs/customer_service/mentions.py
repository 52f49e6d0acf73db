"""What an agent's free words mention: ids, amounts, e-mail addresses, names and places, and whether they may.

Texts are read as runs of words, whatever stands between them. Per mention the longest run counts, once a message.

- An id has the shape of the store's ids ("o77", "#O77"), or is one of them; ids without a digit are ordinary words.
- An amount has a currency, or two decimals and no other unit ("4.50 stars" is none); it is compared in cents.
- A name of the lexicon counts however it is written; a place as it is written, or in capitals.
- Names and places of a user's store count as they are written (in capitals or small letters: also with initial
  capitals, and never in small letters). There people are called Will and towns Reading, so that a single word does
  not count as the first of a sentence, where a capital says nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from ..memory import Memory
from .lexicon import FIRST_NAMES, LAST_NAMES, PLACES, STREETS
from .reading import who
from .records import Base
from .told import told
from .words import DIGIT, DIGITS, amount_at, composed, key_of, tokens_of, word_of, words_of

STOP = re.compile(r"[.!?:\u2026\n]|[\"\u201c\u2018]$")
TITLES = frozenset(("Mr", "Mrs", "Ms", "Mx", "Dr", "Prof", "St"))
LONGEST = 12
"""The words of a name or place that are sought; of a longer one, its beginning. Ids of more words are not sought."""
SHAPES = 32
"""The shapes of ids that a store can have, the most frequent ones; ids of further shapes are known one by one."""
SHOWN = 80
"""How much of a long mention is repeated in the reason."""

Kind = Literal["sure", "street", "word"]
"""A run that counts anywhere; the same, and a number before it belongs to it; a word, unless it begins a sentence."""


class People(NamedTuple):
    """The ids, names and places of a store and of the lexicon, laid out to be found in a text."""

    runs: dict[str, Kind]
    """Names and places, as they are written in a message, the words divided by one space."""
    starts: dict[str, tuple[int, ...]]
    """The first word of a run -> how many words its runs have, the most first."""
    shapes: frozenset[str]
    """Of ids, in small letters, with 0 for each run of digits; `#` for each digit where there are no letters."""
    ids: frozenset[str]
    """The ids, in small letters, that have none of the shapes."""
    heads: dict[str, tuple[int, ...]]
    """The first word of an id, with 0 for each run of digits -> how many words its ids have, the most first."""


class Mention(NamedTuple):
    """Something that a message names; the key is what makes two of them the same."""

    text: str
    key: str
    end: int
    cents: int | None = None


def breaches_in(memory: Memory, people: People, message: str) -> Iterator[tuple[str, str]]:
    """The rules that a message breaks: (rule, why), in the order of its words."""
    found: dict[str, Mention] = {}
    for mention in mentions(people, message):
        found.setdefault(mention.key, mention)
    if not found:
        return
    caller = who(memory)
    parts = told(memory, caller)
    shown = next(parts)
    unheard = [(key, mention) for key, mention in found.items() if not shown.holds(key, mention.cents)]
    hidden = next(parts) if unheard else shown
    for key, mention in unheard:
        text = mention.text if len(mention.text) <= SHOWN else f"{mention.text[:SHOWN]}..."
        if not hidden.holds(key, mention.cents):
            yield "supported_claims", f"Nothing has shown {text!r}."
        elif caller is None:
            yield "authenticate_first", f"{text!r} was told before the customer was authenticated."
        else:
            yield "no_disclosure", f"{text!r} belongs to another customer."


# What a store holds


def people_of(base: Base) -> People:
    """The ids, names and places of a user's store, and the lexicon's."""
    runs = _lexicon()
    names = (name for each in base.customers.values() for name in (each.first_name, each.last_name))
    addresses = [record.address for table in (base.customers, base.orders) for record in table.values()]
    for text in dict.fromkeys(names):
        _add(runs, words_of(text), "sure")
    for text in dict.fromkeys(each.city for each in addresses):
        _add(runs, words_of(text), "sure")
    for text in dict.fromkeys(each.street for each in addresses):
        _add(runs, words_of(text), "street")
    methods = [method for customer in base.customers.values() for method in customer.payment_methods]
    items = [item for product in base.products.values() for item in product.variants]
    return _people(runs, [*base.orders, *base.customers, *base.products, *methods, *items])


def _people(runs: dict[str, Kind], ids: Iterable[str]) -> People:
    """The tables of runs and ids."""
    folded = dict.fromkeys(each for each in map(_bare, ids) if _is_sought(each))
    shapes = frozenset(shape for shape, _ in Counter(map(_shape, folded)).most_common(SHAPES))
    rest = frozenset(each for each in folded if _shape(each) not in shapes)
    samples = {_shape(each): each for each in folded}
    tokens = [words_of(each) for each in (*samples.values(), *rest)]
    heads = _lengths((DIGITS.sub("0", words[0]), len(words)) for words in tokens if len(words) <= LONGEST)
    return People(runs, _lengths((run.split(" ", 1)[0], run.count(" ") + 1) for run in runs), shapes, rest, heads)


def _lexicon() -> dict[str, Kind]:
    """The names and places that generated stores are made of."""
    runs: dict[str, Kind] = {}
    for name in (*FIRST_NAMES, *LAST_NAMES):
        runs |= dict.fromkeys((name, name.lower(), name.upper()), "sure")
    for street in STREETS:
        runs |= dict.fromkeys((street, street.upper()), "street")
    for city, _, _ in PLACES:
        runs |= dict.fromkeys((city, city.upper()), "sure")
    return runs


def _add(runs: dict[str, Kind], words: list[str], kind: Kind) -> None:
    """A name or place of a user's store, also without the number at its beginning or end."""
    letters = [place for place, word in enumerate(words) if not word.isdigit()]
    if letters:
        for part in (words, words[letters[0] : letters[-1] + 1]):
            for run in _forms(part[:LONGEST]):
                runs.setdefault(run, "word" if len(part) == 1 else kind)


def _forms(words: list[str]) -> Iterator[str]:
    """How a run is written in messages; a single letter is no name of anybody."""
    run = " ".join(words)
    if len(run) > 1:
        if run.islower() or run.isupper():
            yield " ".join([word.capitalize() for word in words])
        if not run.islower():
            yield run


def _lengths(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """First word -> the different lengths, the longest first."""
    table: dict[str, set[int]] = {}
    for first, length in pairs:
        table.setdefault(first, set()).add(length)
    return {first: tuple(sorted(lengths, reverse=True)) for first, lengths in table.items()}


def _bare(name: str) -> str:
    """An id in small letters, without signs around it: "#W12" is w12."""
    return re.sub(r"^\W+|\W+$", "", composed(name)).casefold()


def _is_sought(name: str) -> bool:
    """Whether an id can be told from prose: it has a digit, and at least four where it has no letter."""
    return bool(DIGIT.search(name)) and (any(map(str.isalpha, name)) or len(DIGIT.findall(name)) >= 4)


def _shape(name: str) -> str:
    """An id's shape; without letters, how many digits there are is all that tells it from another number."""
    return DIGITS.sub("0", name) if any(map(str.isalpha, name)) else DIGIT.sub("#", name)


# What a message mentions


def mentions(people: People, message: str) -> Iterator[Mention]:
    """The ids, amounts, e-mail addresses, names and places in a text; none lies within another."""
    message = composed(message)
    tokens = tokens_of(message)
    starts, heads, done = people.starts, people.heads, 0
    for place, token in enumerate(tokens):
        word = token[0]
        if word not in starts and token.lastgroup == "word" and word.casefold() not in heads:
            continue
        if token.start() < done:
            continue
        found = _mention(people, message, tokens, place, done)
        if found is not None:
            done = found.end
            yield found


Tokens = Sequence[re.Match[str]]


def _mention(people: People, message: str, tokens: Tokens, place: int, done: int) -> Mention | None:
    """What begins at a token; `done` is where the last mention ended."""
    token = tokens[place]
    if token.lastgroup == "mail":
        return Mention(word_of(token), key_of([token]), token.end())
    amount = amount_at(message, token) if token.lastgroup == "number" else None
    if amount is not None:
        cents, end = amount
        return Mention(message[token.start() : end], f"{cents} cents", end, cents)
    run, name = _run(people, message, tokens, place, done), _id(people, message, tokens, place)
    return name if run is None or (name is not None and name.end > run.end) else run


def _id(people: People, message: str, tokens: Tokens, place: int) -> Mention | None:
    """The longest id that begins at a token."""
    start = tokens[place].start()
    for length in people.heads.get(DIGITS.sub("0", tokens[place].group().casefold()), ()):
        part = tokens[place : place + length]
        text = message[start : part[-1].end()]
        folded = text.casefold()
        if _shape(folded) in people.shapes or folded in people.ids:
            return Mention(text, key_of(part), part[-1].end())
    return None


def _run(people: People, message: str, tokens: Tokens, place: int, done: int) -> Mention | None:
    """The longest name or place that begins at a token."""
    for length in people.starts.get(tokens[place].group(), ()):
        part = tokens[place : place + length]
        kind = people.runs.get(" ".join([token.group() for token in part]))
        if kind is None or (kind == "word" and _begins(message, tokens, place)):
            continue
        if kind == "street" and place and _is_house_number(tokens[place - 1], part[0], done):
            part = tokens[place - 1 : place + length]
        return Mention(message[part[0].start() : part[-1].end()], key_of(part), part[-1].end())
    return None


def _begins(message: str, tokens: Tokens, place: int) -> bool:
    """Whether a token is the first word of a sentence."""
    if place == 0:
        return True
    before, gap = tokens[place - 1].group(), message[tokens[place - 1].end() : tokens[place].start()]
    return STOP.search(gap) is not None and not (before in TITLES and gap.startswith("."))


def _is_house_number(before: re.Match[str], street: re.Match[str], done: int) -> bool:
    """Whether a token before a street is a number of it: one space away, and no part of another mention."""
    gap = street.string[before.end() : street.start()]
    return gap == " " and before.start() >= done and before.group()[0].isdigit() and not street.group()[0].isdigit()


NOBODY = _people(_lexicon(), ("P1", "O1", "I1", "C1", "M1"))
"""A generated store: its people live in the lexicon, its ids are a letter and a number."""

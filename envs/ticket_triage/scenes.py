"""Scenes of TicketTriage: a name, or a user's own JSON, becomes a ticket and its right answer."""

from __future__ import annotations

import functools
import hashlib
from typing import Any, NamedTuple, get_args

import msgspec

from ..chance import below, block, distinct, paired, permille, pick
from ..customer_service.lexicon import FIRST_NAMES, GOODS, LAST_NAMES, MAIL_DOMAINS, STYLES
from ..errors import BadScene
from ..scenes import DIFFICULTIES, SceneName
from .actions import DETAILS, Priority, Queue, Triage
from .rules import LARGE, QUEUES, Said, Scene, amounts, by_the_book, clean, is_invented
from .wording import Outline, write

FAMILIES: tuple[Queue, ...] = get_args(Queue)
CYCLES: dict[str, tuple[str, ...]] = dict.fromkeys(DIFFICULTIES, FAMILIES)
LEVELS: tuple[tuple[int, Priority], ...] = ((180, "urgent"), (430, "high"), (570, "low"), (1000, "normal"))
"""How many in a thousand tickets are of a priority, added up."""

ISSUES = {queue: tuple(issues) for queue, issues in QUEUES.items()}
EASY_ISSUES = 2
"""How many issues of each queue easy tickets know."""

EVERY = ("order_id", "product", "amount_cents", "email")
FIELDS: dict[Queue, tuple[str, ...]] = {
    "billing": ("order_id", "amount_cents", "email"),
    "shipping": EVERY,
    "returns": EVERY,
    "technical": EVERY,
    "account": ("email", "order_id"),
    "sales": ("product", "email", "amount_cents"),
    "complaints": EVERY,
    "other": ("email", "product"),
}
"""The details that a ticket of a queue can tell."""

BARE = {"job": ("email",)}
"""Issues that go with fewer details than their queue."""

REASONS: dict[Queue, dict[Priority, tuple[str, ...]]] = {
    "billing": {"urgent": ("legal", "fraud", "today"), "high": ("deadline", "again", "stopped", "large")},
    "shipping": {"urgent": ("legal", "today"), "high": ("deadline", "again", "stopped", "large")},
    "returns": {"urgent": ("danger", "legal", "today"), "high": ("deadline", "again", "stopped", "large")},
    "technical": {"urgent": ("fraud", "today"), "high": ("deadline", "again", "stopped", "large")},
    "account": {"urgent": ("fraud", "legal", "today"), "high": ("deadline", "again", "stopped")},
    "sales": {"urgent": ("today",), "high": ("deadline", "again", "large")},
    "complaints": {"urgent": ("legal", "today"), "high": ("again", "large")},
    "other": {"urgent": ("today",), "high": ("deadline", "again")},
}
"""What can make a ticket of a queue urgent or high; `large` is an amount above the limit."""

UNHURRIED = ("no_hurry", "no_reply")
OUTRANKED = {
    "danger": UNHURRIED,
    "legal": ("again", "no_hurry"),
    "fraud": ("again", "no_hurry"),
    "again": ("no_hurry",),
    "large": ("no_hurry",),
}
"""What else a ticket can say beside a circumstance that outranks it."""

CALM_WISHES = ("callback", "confirmation")
ANGRY_WISHES = ("refund", "callback", "confirmation", "apology")
WISHES: dict[Queue, tuple[str, ...]] = {
    queue: ANGRY_WISHES if queue in ("billing", "shipping", "returns", "complaints") else CALM_WISHES
    for queue in QUEUES
}
"""What the writer of a ticket of a queue can ask for besides."""

CENTS = ("00", "05", "10", "20", "25", "40", "50", "75", "90", "99")


SUMS = (480, len(CENTS))
EASY_SUMS = (40, 10)
"""How many small and how many large sums easy tickets know, in both splits: a sum is a number and no entity."""


class Sizes(NamedTuple):
    """How many there are of each part of an order number, a product and a person."""

    orders: tuple[int, int]
    products: tuple[int, int]
    people: tuple[int, int]


EASY = Sizes((40, 60), (16, 16), (16, 16))
FULL = Sizes((90, 900), (len(STYLES), len(GOODS)), (len(FIRST_NAMES), len(LAST_NAMES)))


@functools.lru_cache(maxsize=4096)
def build(name: str) -> Scene:
    """The scene of a name."""
    parts = SceneName.parse(name)
    queue = FAMILIES[parts.number % len(FAMILIES)]
    outline, answer = _Draft(name, queue, parts.difficulty, parts.split == "test").drawn()
    subject, body, said = write(outline)
    return Scene(subject, body, answer, said, name)


class _Draft:
    """Draws one ticket: first what is right, then what the ticket says so that it is."""

    __slots__ = ("difficulty", "easy", "hard", "name", "person", "plan", "queue", "sizes", "test", "values")

    def __init__(self, name: str, queue: Queue, difficulty: str, test: bool) -> None:
        self.name, self.queue, self.difficulty, self.test = name, queue, difficulty, test
        self.easy, self.hard = difficulty == "easy", difficulty == "hard"
        self.sizes = EASY if self.easy else FULL
        self.plan, self.values = block(name, "plan"), block(name, "values")
        first, last = paired(self.values[7], self.values[8], self.sizes.people, test, self.easy)
        self.person = FIRST_NAMES[first], LAST_NAMES[last]

    def drawn(self) -> tuple[Outline, Triage]:
        """The outline and the right answer."""
        plan, queue = self.plan, self.queue
        priority = next(level for share, level in LEVELS if permille(plan[1], share))
        issue = pick(plan[0], ISSUES[queue][:EASY_ISSUES] if self.easy else ISSUES[queue])
        reasons = self._reasons(priority)
        large = "large" in reasons
        details = {field: self._value(field, priority, large) for field in self._fields(issue, reasons)}
        told: dict[str, Any] = {field: value for field, (value, _) in details.items()}
        answer = Triage(queue, priority, **told)
        circumstances = tuple([reason for reason in reasons if reason != "large"])
        if self.easy:
            return Outline(self.name, "easy", self.test, queue, issue, details, circumstances), answer
        return self._outline(issue, details, circumstances), answer

    def _reasons(self, priority: Priority) -> tuple[str, ...]:
        """The circumstances that give the priority, and perhaps one more that it outranks."""
        if priority == "normal":
            return ()
        plan = self.plan
        first = pick(plan[2], UNHURRIED if priority == "low" else REASONS[self.queue][priority])
        more = OUTRANKED.get(first, ())
        if more and permille(plan[3], 0 if self.easy else 600 if self.hard else 300):
            return first, pick(plan[4], more)
        return (first,)

    def _fields(self, issue: str, reasons: tuple[str, ...]) -> list[str]:
        """The details that the ticket tells; on easy no more than three sentences in all."""
        plan, known = self.plan, BARE.get(issue) or FIELDS[self.queue]
        if self.easy:
            least, most = 1, 1 if reasons else 2
        else:
            least, most = (1, len(known)) if self.hard else (min(2, len(known)), min(3, len(known)))
        count = least + below(plan[5], most - least + 1)
        fields = [known[place] for place in distinct(plan[6:10], len(known), count)]
        if "large" in reasons and "amount_cents" not in fields:
            fields[-1] = "amount_cents"
        return fields

    def _value(self, field: str, priority: Priority, large: bool) -> tuple[str | int, str]:
        """A detail's value, and the way it is written."""
        if field == "amount_cents":
            small = priority in ("normal", "low") or (not large and self.values[6] & 3 > 0)
            return self._sum(self.values[2], self.values[3], not small)
        text = self._text(field, 0)
        return text, text

    def _text(self, field: str, step: int) -> str:
        """The text of a detail; a step above 0 leads to another one of the same split."""
        values, sizes, easy = self.values, self.sizes, self.easy
        if field == "order_id":
            first, second = paired(values[0], values[1], sizes.orders, self.test, easy)
            # On easy the parts are words that both splits have.
            return f"W{10 + first}{' ' if easy else '-'}{100 + (second + 2 * step) % sizes.orders[1]}"
        if field == "product":
            style, good = paired(values[4], values[5], sizes.products, self.test, easy)
            return f"{STYLES[(style + 2 * step) % sizes.products[0]]} {GOODS[good][0]}"
        return f"{'.'.join(self.person)}@{self._domain(values[9])}".lower()

    def _sum(self, first: int, second: int, large: bool) -> tuple[int, str]:
        if self.easy:
            whole = below(first, EASY_SUMS[large])
            part = whole % len(CENTS)
        else:
            whole, part = paired(first, second, SUMS, self.test, False)
        start, step = (LARGE // 100 + 15, 7) if large else (5, 11 if self.easy else 1)
        cents = (start + step * whole) * 100 + int(CENTS[part])
        return cents, f"${cents // 100:,}.{CENTS[part]}" if self.hard else f"${cents // 100}.{CENTS[part]}"

    def _domain(self, draw: int) -> str:
        return pick(draw, MAIL_DOMAINS if self.easy else MAIL_DOMAINS[self.test :: 2])

    def _outline(self, issue: str, details: dict[str, Any], circumstances: tuple[str, ...]) -> Outline:
        """The outline of a ticket that is not easy."""
        plan, hard, first_last = self.plan, self.hard, " ".join(self.person)
        forwarded = hard and permille(plan[18], 300)
        quoted = hard and not forwarded and permille(plan[18], 600)
        taken = "email" if forwarded else "order_id" if quoted else ""
        side = self._side() if hard and permille(plan[15], 600) else ""
        return Outline(
            name=self.name,
            difficulty=self.difficulty,
            test=self.test,
            subject=self._subject(side),
            issue=issue,
            details=details,
            circumstances=circumstances,
            side=side,
            asides=self._asides(taken),
            wish=pick(plan[14], WISHES[self.queue])
            if "no_reply" not in circumstances and permille(plan[13], 400)
            else "",
            fillers=below(plan[28], 2) + hard,
            writer=first_last if permille(plan[16], 700) else "",
            forwarded=(first_last, self._old_address()) if forwarded else ("", ""),
            quoted=self._text("order_id", 1 + below(self.values[10], 400)) if quoted else "",
            order=plan[17:28] + self.values[20:],
        )

    def _side(self) -> str:
        """An issue of another queue."""
        other = (FAMILIES.index(self.queue) + 1 + below(self.plan[29], len(FAMILIES) - 1)) % len(FAMILIES)
        return pick(self.plan[30], ISSUES[FAMILIES[other]])

    def _subject(self, side: str) -> str:
        """What the subject line is on: the issue, hardly anything, or the side issue."""
        if permille(self.plan[31], 400 if self.hard else 200):
            return "vague"
        about_side = side and self.plan[31] & 1
        return next(queue for queue in FAMILIES if side in QUEUES[queue]) if about_side else self.queue

    def _asides(self, taken: str) -> tuple[tuple[str, tuple[str | int, str]], ...]:
        """Details that are mentioned and not meant."""
        most = 1 + (self.hard and permille(self.plan[12], 500)) if permille(self.plan[11], 700) else 0
        fields = [DETAILS[place] for place in distinct(self.plan[9:11], len(DETAILS), most)]
        return tuple((f"other_{field}", self._other(field)) for field in fields if field != taken)

    def _other(self, field: str) -> tuple[str | int, str]:
        values = self.values
        if field == "amount_cents":
            other, right = self._sum(values[12], values[13], False), self._sum(values[2], values[3], False)
            return other if other != right else self._sum(values[12] ^ 0x8000, values[13], False)
        text = self._old_address() if field == "email" else self._text(field, 1 + below(values[10], 15))
        return text, text

    def _old_address(self) -> str:
        return f"{self.person[1]}{below(self.values[11], 90) + 10}@{self._domain(self.values[14])}".lower()


def load(data: dict[str, Any]) -> Scene:
    """A user's own ticket: `{"subject", "body", "answer": {...}, "said": [...]}`; `said` may be left out."""
    try:
        scene = msgspec.convert(data, Scene)
        digest = hashlib.blake2b(msgspec.json.encode(data, order="deterministic"), digest_size=8).hexdigest()
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise BadScene(f"This is no ticket: {error}. A ticket reads like {EXAMPLE}.") from None
    faults = [*_unfounded(scene), *_unsaid(scene)]
    if faults:
        raise BadScene(f"The ticket {scene.subject!r} contradicts itself: {'; '.join(faults)}.")
    return msgspec.structs.replace(scene, name=scene.name or f"own/{digest}")


def _unfounded(scene: Scene) -> list[str]:
    """The details of the answer that no reader can find in the ticket."""
    answers = {field: getattr(scene.answer, field) for field in DETAILS}
    return [
        f"answer.{field} is {value!r}, which stands nowhere in the ticket: write it there, or leave it out here"
        for field, value in answers.items()
        if is_invented(value, scene)
    ]


def _unsaid(scene: Scene) -> list[str]:
    """What is said to be in the ticket and is not, and answers that the rule book does not give to it."""
    text = f"{scene.subject}\n{scene.body}"
    faults = [
        f"said[{place}].words {part.words!r} are not in the ticket: copy them from it"
        for place, part in enumerate(scene.said)
        if part.words not in text or not part.words
    ]
    if scene.said and not faults:
        faults = _misjudged(scene)
    return faults


def _misjudged(scene: Scene) -> list[str]:
    said = {part.field: part.value for part in scene.said}
    unknown = [
        f"said gives {part.field} {part.value!r}, not one of its kind: {why}"
        for part in scene.said
        if (why := _odd(part))
    ]
    if unknown or "issue" not in said:
        return unknown or ["said names no issue: add one, or leave said out altogether"]
    ruled = by_the_book(said)
    pairs = {field: (getattr(scene.answer, field), getattr(ruled, field)) for field in ("queue", "priority", *DETAILS)}
    return [
        f"answer.{field} is {mine!r}, and by what is said it is {right!r}: mend one"
        for field, (mine, right) in pairs.items()
        if clean(mine) != clean(right)
    ]


def _odd(part: Said) -> str:
    """Why a part that is said makes no sense to the rule book, or nothing."""
    if part.field == "issue":
        known = [issue for issues in QUEUES.values() for issue in issues]
        return "" if part.value in known else f"choose one of {', '.join(known)}"
    if part.field == "amount_cents":
        fits = type(part.value) is int and part.value in amounts(part.words)
        return "" if fits else f"{part.words!r} says another amount"
    fits = part.field not in DETAILS or (type(part.value) is str and clean(part.value) == clean(part.words))
    return "" if fits else f"{part.words!r} says another thing"


EXAMPLE = (
    '{"subject": "Charge", "body": "You charged me $9.90 twice!", "answer": {"queue": "billing", "priority": "normal", '
    '"amount_cents": 990}, "said": [{"field": "issue", "value": "charged_twice", "words": "charged me $9.90 twice"}, '
    '{"field": "amount_cents", "value": 990, "words": "$9.90"}]}'
)
SCENE_SCHEMA = msgspec.json.schema(Scene)

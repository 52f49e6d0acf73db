"""Scenes of CustomerService: a name, or a user's own JSON, becomes a store, a customer, and the ends that count."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..actions import Action
from ..errors import BadArgument, BadScene
from ..scenes import SceneName
from .check import StoreFile
from .check_scene import problems
from .goals import DETAILS, Plot, Request
from .mentions import NOBODY, People, people_of
from .plots import plotted_from, plotted_over
from .requests import turns
from .store import BadStore, Base, Refused, Store

TRIES = 8
"""How many draws a scene over a user's own store has to find room in it."""
LIMITS = {"easy": 16, "normal": 32, "hard": 60}
"""The turns that a scene has."""

# How many of 24 scenes in a row are of each kind.
SHARES = {
    "easy": {
        "order_question": 2, "product_question": 3, "cancel_order": 4, "change_items": 3, "change_address": 2,
        "change_payment": 1, "change_profile_address": 1, "return_items": 3, "exchange_items": 2, "not_your_order": 1,
        "not_pending": 1, "not_delivered": 1,
    },
    "normal": {
        "order_question": 1, "product_question": 1, "cancel_order": 2, "change_items": 3, "change_address": 2,
        "change_payment": 1, "change_profile_address": 1, "return_items": 2, "exchange_items": 2, "several": 2,
        "not_your_order": 1, "not_pending": 1, "not_delivered": 1, "unavailable": 1, "gift_card_too_small": 1,
        "refund_method": 1, "out_of_scope": 1,
    },
    "hard": {
        "order_question": 1, "product_question": 1, "cancel_order": 1, "change_items": 2, "change_address": 1,
        "change_payment": 1, "change_profile_address": 1, "return_items": 1, "exchange_items": 2, "several": 6,
        "not_your_order": 1, "not_pending": 1, "not_delivered": 1, "unavailable": 1, "gift_card_too_small": 1,
        "refund_method": 1, "out_of_scope": 1,
    },
}  # fmt: skip


def _cycle(shares: dict[str, int]) -> tuple[str, ...]:
    """The kinds, each as often as its share, spread evenly over the cycle."""
    size = sum(shares.values())
    places = [((turn + 0.5) * size / share, kind) for kind, share in shares.items() for turn in range(share)]
    return tuple(kind for _, kind in sorted(places))


CYCLES = {difficulty: _cycle(shares) for difficulty, shares in SHARES.items()}


class Scene:
    """A conversation to be had: plain data, shared by all that play it, never changed."""

    __slots__ = ("base", "difficulty", "ends", "goals", "kind", "limit", "name", "par", "people", "plot", "test")

    def __init__(
        self, name: str, kind: str, difficulty: str, test: bool, base: Base, plot: Plot, people: People = NOBODY
    ) -> None:
        self.name, self.kind, self.difficulty, self.test = name, kind, difficulty, test
        self.base, self.plot, self.people = base, plot, people
        self.par = par(plot, base)
        self.limit = LIMITS[difficulty]
        self.goals = [request.goal.action for request in plot.requests if request.goal.action is not None]
        self.ends: frozenset[Any] | None = None

    def accepted(self) -> frozenset[Any]:
        """The keys of the records' accepted ends, derived from what the customer wants."""
        if self.ends is None:
            self.ends = frozenset(_end(self.base, writes) for writes in self.plot.accepted_ends or (self.goals,))
        return self.ends


def _end(base: Base, writes: Iterable[Action]) -> Any:
    store = Store(base)
    for write in writes:
        outcome = store.apply(write)
        assert not isinstance(outcome, Refused), f"{write!r}: {outcome.reason}"  # a user's own were checked in `load`
    return store.key()


def par(plot: Plot, base: Base) -> int:
    """The turns that a flawless conversation can take."""
    person, temper = plot.person, plot.temper
    own, read = base.orders_of[plot.customer], set[str]()
    count, known, handed = len(plot.requests) + len(temper.drifts), True, False
    for request in plot.requests:
        count += turns(request, _searched(request, own, read), temper.push_backs)
        known = known and request.request == "product_question"
        handed = handed or request.goal.hand_over
    if not known:
        count += 1 + ("email" not in person.opens) + 2 * bool(person.mistakes) + 2 * ("email" in person.unknown)
    return count - handed


def _searched(request: Request, own: Sequence[str], read: set[str]) -> int:
    """The turns that finding an order by its product takes: the caller's are read one by one, but for those `read`."""
    goal, knows = request.goal, request.knows
    if "order_id" not in knows.unknown:
        read.update([found["order_id"] for found in (knows.values, knows.mistakes) if "order_id" in found])
        return 0
    asked = "product" not in knows.opens and "product" not in DETAILS[request.request]
    meant = goal.claims[0].about if goal.claims else getattr(goal.action, "order_id", None)
    if meant is None:
        return asked + len(own)  # to be refused, by what only the order itself shows
    if meant in read or meant not in own:
        return asked
    fresh = set(own[: own.index(meant) + 1]) - read
    read |= fresh
    return asked + len(fresh)


def build(name: str) -> Scene:
    """The scene of a name, over a small store of its own."""
    _, split, difficulty, index = name.split("/")
    cycle = CYCLES[difficulty]
    kind = cycle[int(index) % len(cycle)]
    base, plot = plotted_from(name, kind, split == "test", difficulty)
    return Scene(name, kind, difficulty, split == "test", base, plot)


class Shop:
    """A user's own store, loaded once, and the scenes that can be had over it."""

    def __init__(self, store: Store) -> None:
        encoded = msgspec.json.encode(store.to_dict(), order="deterministic")
        # What is drawn from the records depends on their order, and the name must not depend on how they were written.
        file = msgspec.json.decode(encoded, type=StoreFile)
        self.base = Base(file.products, file.customers, file.orders)
        self.suffix = f"@{hashlib.blake2b(encoded, digest_size=4).hexdigest()}"
        self.people = people_of(self.base)
        self._feasible: dict[tuple[str, bool], dict[str, Plot]] = {}

    def feasible(self, difficulty: str, test: bool) -> dict[str, Plot]:
        """The scene kinds that this store has room for, each with a plot that shows it."""
        found = self._feasible.get((difficulty, test))
        if found is None:
            names = [f"probe {turn}{self.suffix}" for turn in range(TRIES)]
            plots = {kind: self._plot(names, kind, test, difficulty) for kind in SHARES[difficulty]}
            found = self._feasible[difficulty, test] = {kind: plot for kind, plot in plots.items() if plot is not None}
        return found

    def cycle(self, difficulty: str, test: bool) -> tuple[str, ...]:
        """The kinds of a difficulty that can be had here, in the same shares."""
        kept = tuple(kind for kind in CYCLES[difficulty] if kind in self.feasible(difficulty, test))
        if not kept:
            raise BadStore(("/orders: no scene can be made over this store; give it customers with orders.",))
        return kept

    def build(self, name: str) -> Scene:
        """The scene of a name over this store."""
        parts = SceneName.parse(name)
        test = parts.split == "test"
        cycle = self.cycle(parts.difficulty, test)
        kind = cycle[parts.number % len(cycle)]
        names = [name, *(f"{name} again {turn}" for turn in range(1, TRIES))]
        # Where what is drawn finds no room in a small store, the plot that showed the kind to be possible serves again.
        plot = self._plot(names, kind, test, parts.difficulty) or self.feasible(parts.difficulty, test)[kind]
        return Scene(name, kind, parts.difficulty, test, self.base, plot, self.people)

    def _plot(self, names: list[str], kind: str, test: bool, difficulty: str) -> Plot | None:
        """The first plot that can be won: what a shop brings may hold more than the plots foresee."""
        plots = (plotted_over(self.base, name, kind, test, difficulty) for name in names)
        return next((plot for plot in plots if plot is not None and not any(problems(plot, self.base))), None)


class SceneFile(Plot, frozen=True, kw_only=True):
    """A user's own scene as JSON: a store, who calls, and with what."""

    store: dict[str, Any]
    difficulty: str = "hard"


def load(data: dict[str, Any]) -> Scene:
    """A scene from a user's own JSON (`SCENE_SCHEMA`); all that is wrong with it is told in one `BadScene`."""
    try:
        encoded = msgspec.json.encode(data, order="deterministic")
        # Read back, it is a function of its name, and shares nothing with the dict.
        file = msgspec.json.decode(encoded, type=SceneFile)
        base = Store.from_dict(file.store).base
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadScene(f"This is no scene of CustomerService: {error}. Its format is in docs/scenes.md.") from None
    found = list(problems(file, base))
    if file.difficulty not in LIMITS:
        found.insert(0, f"difficulty {file.difficulty!r} is not known: choose one of {', '.join(LIMITS)}.")
    if found:
        raise BadScene("\n".join([f"This scene cannot be played ({len(found)}):", *(f"- {each}" for each in found)]))
    name = f"own/{hashlib.blake2b(encoded, digest_size=8).hexdigest()}"
    return Scene(name, "own", file.difficulty, False, base, file, people_of(base))


SCENE_SCHEMA = msgspec.json.schema(SceneFile)


def shop(store: str | os.PathLike[str] | dict[str, Any] | Store) -> Shop:
    """A user's store with its scenes; a file is loaded once a process, and again when it has changed."""
    if isinstance(store, Store):
        return Shop(store)
    if isinstance(store, dict):
        return Shop(Store.from_dict(store))
    wanted = "give the path of a JSON file, a dict in its format (docs/store.md) or a Store"
    if not isinstance(store, str | os.PathLike):
        raise BadArgument(f"store={store!r} is no store: {wanted}.")
    path = Path(store).resolve()
    if not path.is_file():
        raise BadArgument(f"store={os.fspath(store)!r}: there is no file {path}; {wanted}.")
    return _shop_at(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _shop_at(path: Path, changed: int) -> Shop:
    return Shop(Store.load(path))

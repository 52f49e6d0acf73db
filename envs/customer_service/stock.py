"""Small stores for generated scenes: who shops there, what is sold, what was ordered.

Each record is a pure function of the scene's name and its place, so it is made when it is first looked at.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any, NamedTuple, TypeVar

from ..chance import below, block, paired
from .actions import Address
from .lexicon import FIRST_NAMES, GOODS, LAST_NAMES, MAIL_DOMAINS, PLACES, STREETS, STYLES
from .store import Base, Customer, Item, Order, Payment, PaymentMethod, Product, Variant

T = TypeVar("T")
Draws = tuple[int, ...]
EASY = 16
"""How many entries of each list of the lexicon the easy scenes know."""
EASY_PRICES = tuple(range(1000, 13000, 500))
EASY_NUMBERS = 24


class Level(NamedTuple):
    """How large the world of a scene is."""

    name: str
    low: int
    """The lowest number in an id."""
    span: int
    """How many numbers ids have; no multiple of 7."""
    people: int
    orders: int
    """The caller's orders, at least."""
    extras: int
    """Products beyond one for each order."""


LEVELS = {
    "easy": Level("easy", 10, 24, 2, 1, 1),
    "normal": Level("normal", 100, 900, 3, 2, 1),
    "hard": Level("hard", 1000, 9000, 3, 3, 2),
}


class Need(NamedTuple):
    """What a request needs of the order it is about."""

    status: str = ""
    foreign: bool = False


NOTHING = Need()


class Stock(NamedTuple):
    """A store, whose customer calls, and the orders that the requests are about."""

    base: Base
    caller: str
    targets: list[str]


class Shelf(dict[str, T]):
    """Records by id, each made when it is first looked at."""

    __slots__ = ("_ids", "_make")

    def __init__(self, ids: tuple[str, ...], make: Callable[[int], T]) -> None:
        self._ids, self._make = ids, make

    def __missing__(self, name: str) -> T:
        if name not in self._ids:
            raise KeyError(name)
        made = self[name] = self._make(self._ids.index(name))
        return made

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._ids else default

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return dict.fromkeys(self._ids).keys()

    def values(self) -> ValuesView[T]:  # type: ignore[override]
        return {name: self[name] for name in self._ids}.values()

    def items(self) -> ItemsView[str, T]:  # type: ignore[override]
        return {name: self[name] for name in self._ids}.items()


@functools.cache
def _ids(prefix: str, low: int, span: int) -> tuple[str, ...]:
    """All ids of a kind, in steps of seven, twice over: any run of them has no id twice."""
    return tuple(f"{prefix}{low + 7 * step % span}" for step in range(2 * span))


def numbered(prefix: str, draw: int, count: int, level: Level) -> tuple[str, ...]:
    """Different ids: a run from a drawn start."""
    start = draw * level.span >> 16
    return _ids(prefix, level.low, level.span)[start : start + count]


def _grids(axes: dict[str, tuple[str, ...]]) -> tuple[tuple[dict[str, str], ...], ...]:
    """The choices of four variants that a good can have: two values on each of two axes, or four on one."""
    names = list(axes)
    if len(names) == 1:
        return tuple(tuple({names[0]: v} for v in four) for four in itertools.combinations(axes[names[0]], 4))
    pairs = itertools.product(itertools.combinations(axes[names[0]], 2), itertools.combinations(axes[names[1]], 2))
    return tuple(tuple({names[0]: a, names[1]: b} for a in left for b in right) for left, right in pairs)


GRIDS = tuple(_grids(axes) for _, axes, _, _ in GOODS)


def address(draws: Draws, test: bool, level: Level) -> Address:
    """An address from four draws."""
    easy = level.name == "easy"
    one, two, three, four = draws
    street, place = paired(one, two, (EASY, EASY) if easy else (len(STREETS), len(PLACES)), test, easy)
    city, state, country = PLACES[place]
    if easy:
        number, code = 10 + below(three, EASY_NUMBERS), 10 + below(four, EASY_NUMBERS)
        return Address(f"{number} {STREETS[street]}", city, state, country, f"{code}{code}")
    flat = f"Flat {1 + three % 40}" if four & 3 == 0 else ""
    return Address(f"{1 + below(three, 240)} {STREETS[street]}", city, state, country, f"{10000 + four}", flat)


def _product(draws: Draws, item_ids: tuple[str, ...], place: int, test: bool, easy: bool) -> Product:
    """A product with four variants; no two of a store share a noun."""
    one, two, three, four = draws[4 * place : 4 * place + 4]
    if easy:
        good = (below(draws[30], EASY) + 5 * place) % EASY
        style = 2 * below(one, EASY // 2) + ((good + test) & 1)
    else:
        half = len(GOODS) // 2
        good = 2 * ((below(draws[30], half) + 5 * place) % half) + test
        style = 2 * below(one, len(STYLES) // 2) + test
    noun, _, low, high = GOODS[good]
    if easy:
        start = below(three, EASY_NUMBERS)
        prices = [EASY_PRICES[(start + step) % EASY_NUMBERS] for step in (0, 5, 10, 15)]
    else:
        price = low + below(three, (high - low) // 10) * 10
        rise = price // 20 + 55
        prices = [price, price + rise, price + 2 * rise, price + 3 * rise]
    gone = -1 if easy or four & 12 else four >> 4 & 3
    first, second, third, last = GRIDS[good][below(two, len(GRIDS[good]))]
    a, b, c, d = item_ids[4 * place : 4 * place + 4]
    variants = {
        a: Variant(first, prices[four & 3], gone != 0),
        b: Variant(second, prices[four + 1 & 3], gone != 1),
        c: Variant(third, prices[four + 2 & 3], gone != 2),
        d: Variant(last, prices[four + 3 & 3], gone != 3),
    }
    return Product(f"{STYLES[style]} {noun}", variants)


def _customer(
    draws: Draws, method_ids: tuple[str, ...], place: int, test: bool, level: Level, balance: int
) -> Customer:
    """A customer whose first name no other has; each has a card and PayPal, and beyond easy a gift card."""
    easy = level.name == "easy"
    two, three, *where = draws[9 * place : 9 * place + 6]
    if easy:
        first = (below(draws[27], EASY) + 5 * place) % EASY
        last = 2 * below(two, EASY // 2) + ((first + test) & 1)
    else:
        half = len(FIRST_NAMES) // 2
        first = 2 * ((below(draws[27], half) + 11 * place) % half) + test
        last = 2 * below(two, len(LAST_NAMES) // 2) + test
    given, family = FIRST_NAMES[first], LAST_NAMES[last]
    mail = f"{given}.{family}@{MAIL_DOMAINS[below(three, 2 if easy else len(MAIL_DOMAINS))]}".lower()
    if easy:
        card, wallet = method_ids[2 * place : 2 * place + 2]
        methods = {card: CARD, wallet: WALLET}
    else:
        card, wallet, gift = method_ids[3 * place : 3 * place + 3]
        methods = {card: CARD, wallet: WALLET, gift: PaymentMethod("gift_card", balance)}
    return Customer(given, family, mail, address(tuple(where), test, level), methods)


CARD = PaymentMethod("credit_card")
WALLET = PaymentMethod("paypal")
STATUSES = ("pending", "delivered", "processed", "cancelled")
"""What an order that no request is about can be; on easy none is cancelled."""


def stocked(name: str, test: bool, level: Level, needs: list[Need], balance: int, more: int) -> Stock:
    """The store of a scene: each need gets an order of its own, with a product that is in no other of the caller's."""
    own_needs = [need for need in needs if not need.foreign]
    easy = level.name == "easy"
    mine = max(len(own_needs), level.orders) + more
    total = mine + 1
    shelf = min(total + level.extras, 7)
    goods, people, draws = block(name, "goods"), block(name, "people"), block(name, "orders")
    product_ids = numbered("P", goods[29], shelf, level)
    item_ids = numbered("I", goods[31], 4 * shelf, level)
    customer_ids = numbered("C", people[30], level.people, level)
    method_ids = numbered("M", people[31], (2 if easy else 3) * level.people, level)
    order_ids = numbered("O", draws[31], total, level)
    products = Shelf(product_ids, lambda place: _product(goods, item_ids, place, test, easy))
    customers = Shelf(customer_ids, lambda place: _customer(people, method_ids, place, test, level, balance))
    caller, other = customer_ids[0], customer_ids[1]
    skip = below(draws[30], mine - len(own_needs) + 1)
    statuses = {skip + place: need.status for place, need in enumerate(own_needs)}

    def order(place: int) -> Order:
        """An order of the caller's, or the last one, which is somebody else's."""
        one, two, three, four, five = draws[5 * place : 5 * place + 5]
        contents = [product_ids[place % shelf]]
        if total < shelf and two & 1:
            contents.insert(two >> 1 & 1, product_ids[total + below(three, shelf - total)])
        items = tuple([_bought(products, product, four >> 2 * step) for step, product in enumerate(contents)])
        holder = caller if place < mine else other
        person = customers[holder]
        method = list(person.payment_methods)[five & 1]
        return _ordered(holder, person, statuses.get(place) or STATUSES[below(one, 3 if easy else 4)], items, method)

    base = Base(products, customers, Shelf(order_ids, order))
    base.__dict__["named_once"] = product_ids
    strangers: dict[str, tuple[str, ...]] = dict.fromkeys(customer_ids[2:], ())
    base.__dict__["orders_of"] = {caller: order_ids[:mine], other: order_ids[mine:], **strangers}
    free = iter(order_ids[skip:])
    return Stock(base, caller, [order_ids[mine] if need.foreign else next(free) for need in needs])


def _bought(products: dict[str, Product], product_id: str, draw: int) -> Item:
    item_id, variant = list(products[product_id].variants.items())[draw & 3]
    return Item(product_id, item_id, variant.price, variant.options)


def _ordered(holder: str, person: Customer, status: Any, items: tuple[Item, ...], method: str) -> Order:
    total = sum([item.price for item in items])
    paid = Payment("payment", total, method)
    if status == "cancelled":
        back = Payment("refund", total, method)
        return Order(holder, status, person.address, items, (paid, back), cancel_reason="no_longer_needed")
    return Order(holder, status, person.address, items, (paid,))

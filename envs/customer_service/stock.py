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

    __slots__ = ("_ids", "_make", "_maker")

    def __init__(self, ids: tuple[str, ...], maker: Maker, make: Callable[[Maker, int], T]) -> None:
        self._ids, self._maker, self._make = ids, maker, make

    def __missing__(self, name: str) -> T:
        if name not in self._ids:
            raise KeyError(name)
        made = self[name] = self._make(self._maker, self._ids.index(name))
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


CARD = PaymentMethod("credit_card")
WALLET = PaymentMethod("paypal")
STATUSES = ("pending", "delivered", "processed", "cancelled")
"""What an order that no request is about can be; on easy none is cancelled."""


class Maker:
    """Makes the records of one store: each from its place and the draws, whenever it is asked for."""

    __slots__ = (
        "balance", "customer_ids", "customers", "draws", "easy", "goods", "item_ids", "level", "method_ids", "mine",
        "people", "product_ids", "products", "statuses", "test", "total",
    )  # fmt: skip

    def __init__(self, name: str, test: bool, level: Level, mine: int, balance: int) -> None:
        self.test, self.level, self.easy = test, level, level.name == "easy"
        self.mine, self.total, self.balance = mine, mine + 1, balance
        self.goods, self.people, self.draws = block(name, "goods"), block(name, "people"), block(name, "orders")
        shelf = min(self.total + level.extras, 7)
        self.product_ids = numbered("P", self.goods[29], shelf, level)
        self.item_ids = numbered("I", self.goods[31], 4 * shelf, level)
        self.customer_ids = numbered("C", self.people[30], level.people, level)
        self.method_ids = numbered("M", self.people[31], (2 if self.easy else 3) * level.people, level)
        self.statuses: dict[int, str] = {}
        self.products = Shelf(self.product_ids, self, Maker.product)
        self.customers = Shelf(self.customer_ids, self, Maker.customer)

    def product(self, place: int) -> Product:
        """A product with four variants; no two of a store share a noun."""
        draws, test = self.goods, self.test
        one, two, three, four = draws[4 * place : 4 * place + 4]
        if self.easy:
            good = (below(draws[30], EASY) + 5 * place) % EASY
            style = 2 * below(one, EASY // 2) + ((good + test) & 1)
        else:
            half = len(GOODS) // 2
            good = 2 * ((below(draws[30], half) + 5 * place) % half) + test
            style = 2 * below(one, len(STYLES) // 2) + test
        noun, _, low, high = GOODS[good]
        prices = self._prices(three, low, high)
        gone = -1 if self.easy or four & 12 else four >> 4 & 3
        first, second, third, last = GRIDS[good][below(two, len(GRIDS[good]))]
        a, b, c, d = self.item_ids[4 * place : 4 * place + 4]
        variants = {
            a: Variant(first, prices[four & 3], gone != 0),
            b: Variant(second, prices[four + 1 & 3], gone != 1),
            c: Variant(third, prices[four + 2 & 3], gone != 2),
            d: Variant(last, prices[four + 3 & 3], gone != 3),
        }
        return Product(f"{STYLES[style]} {noun}", variants)

    def customer(self, place: int) -> Customer:
        """A customer whose first name no other has; each has a card and PayPal, and beyond easy a gift card."""
        draws, test = self.people, self.test
        two, three, *where = draws[9 * place : 9 * place + 6]
        if self.easy:
            first = (below(draws[27], EASY) + 5 * place) % EASY
            last = 2 * below(two, EASY // 2) + ((first + test) & 1)
        else:
            half = len(FIRST_NAMES) // 2
            first = 2 * ((below(draws[27], half) + 11 * place) % half) + test
            last = 2 * below(two, len(LAST_NAMES) // 2) + test
        given, family = FIRST_NAMES[first], LAST_NAMES[last]
        mail = f"{given}.{family}@{MAIL_DOMAINS[below(three, 2 if self.easy else len(MAIL_DOMAINS))]}".lower()
        if self.easy:
            card, wallet = self.method_ids[2 * place : 2 * place + 2]
            methods = {card: CARD, wallet: WALLET}
        else:
            card, wallet, gift = self.method_ids[3 * place : 3 * place + 3]
            methods = {card: CARD, wallet: WALLET, gift: PaymentMethod("gift_card", self.balance)}
        return Customer(given, family, mail, address(tuple(where), test, self.level), methods)

    def order(self, place: int) -> Order:
        """An order of the caller's, or the last one, which is somebody else's."""
        one, two, three, four, five = self.draws[5 * place : 5 * place + 5]
        ids, total = self.product_ids, self.total
        contents = [ids[place]]
        if total < len(ids) and two & 1:
            contents.insert(two >> 1 & 1, ids[total + below(three, len(ids) - total)])
        items = tuple([self._bought(product, four >> 2 * step) for step, product in enumerate(contents)])
        holder = self.customer_ids[place >= self.mine]
        person = self.customers[holder]
        method = list(person.payment_methods)[five & 1]
        status = self.statuses.get(place) or STATUSES[below(one, 3 if self.easy else 4)]
        return _ordered(holder, person, status, items, method)

    def _prices(self, draw: int, low: int, high: int) -> list[int]:
        """The prices of a product's variants, each another."""
        if self.easy:
            start = below(draw, EASY_NUMBERS)
            return [EASY_PRICES[(start + step) % EASY_NUMBERS] for step in (0, 5, 10, 15)]
        price = low + below(draw, (high - low) // 10) * 10
        rise = price // 20 + 55
        return [price, price + rise, price + 2 * rise, price + 3 * rise]

    def _bought(self, product_id: str, draw: int) -> Item:
        item_id, variant = list(self.products[product_id].variants.items())[draw & 3]
        return Item(product_id, item_id, variant.price, variant.options)


def stocked(name: str, test: bool, level: Level, needs: list[Need], balance: int, more: int) -> Stock:
    """The store of a scene: each need gets an order of its own, with a product that is in no other of the caller's."""
    own_needs = [need for need in needs if not need.foreign]
    mine = max(len(own_needs), level.orders) + more
    maker = Maker(name, test, level, mine, balance)
    order_ids = numbered("O", maker.draws[31], maker.total, level)
    skip = below(maker.draws[30], mine - len(own_needs) + 1)
    maker.statuses = {skip + place: need.status for place, need in enumerate(own_needs)}
    base = Base(maker.products, maker.customers, Shelf(order_ids, maker, Maker.order))
    caller, other, *strangers = maker.customer_ids
    base.__dict__["named_once"] = maker.product_ids
    base.__dict__["orders_of"] = {caller: order_ids[:mine], other: order_ids[mine:], **dict.fromkeys(strangers, ())}
    free = iter(order_ids[skip:])
    return Stock(base, caller, [order_ids[mine] if need.foreign else next(free) for need in needs])


def _ordered(holder: str, person: Customer, status: Any, items: tuple[Item, ...], method: str) -> Order:
    total = sum([item.price for item in items])
    paid = Payment("payment", total, method)
    if status == "cancelled":
        back = Payment("refund", total, method)
        return Order(holder, status, person.address, items, (paid, back), cancel_reason="no_longer_needed")
    return Order(holder, status, person.address, items, (paid,))

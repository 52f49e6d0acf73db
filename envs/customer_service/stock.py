"""Small stores for generated scenes: who shops there, what is sold, what was ordered.

Each record is a pure function of the scene's name and its place, so it is made when it is first looked at.
"""

from __future__ import annotations

import functools
import itertools
from abc import abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any, NamedTuple, TypeVar

from ..chance import below, block, paired, pick
from .actions import Address
from .lexicon import FIRST_NAMES, GOODS, LAST_NAMES, MAIL_DOMAINS, PLACES, STREETS, STYLES
from .store import Base, Customer, Item, Order, Payment, PaymentMethod, Product, Variant

T = TypeVar("T")
Draws = tuple[int, ...]
EASY = 16
"""How many entries of each list of the lexicon the easy scenes know."""
EASY_NUMBERS = 24
EASY_PRICES = tuple(
    tuple([1000 + 500 * ((start + step) % EASY_NUMBERS) for step in (0, 5, 10, 15)]) for start in range(EASY_NUMBERS)
)


class Level(NamedTuple):
    """How large the world of a scene is."""

    name: str
    easy: bool
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
    "easy": Level("easy", True, 10, 24, 2, 1, 1),
    "normal": Level("normal", False, 100, 900, 3, 2, 1),
    "hard": Level("hard", False, 1000, 9000, 3, 3, 2),
}


Need = str
"""The status that the order of a request must have; "" asks for an order of somebody else's."""


class Stock(NamedTuple):
    """A store, and whose customer calls."""

    base: Base
    orders: Orders
    caller: str
    targets: list[int]
    """The places of the orders that the requests are about."""


class Shelf(dict[str, T]):
    """Records by id, each made from its place when it is first looked at."""

    __slots__ = ("ids",)
    ids: tuple[str, ...]

    @abstractmethod
    def make(self, place: int) -> T:
        """The record at a place."""

    def __missing__(self, name: str) -> T:
        if name not in self.ids:
            raise KeyError(name)
        made = self[name] = self.make(self.ids.index(name))
        return made

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.ids else default

    def __contains__(self, name: object) -> bool:
        return name in self.ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return dict.fromkeys(self.ids).keys()

    def values(self) -> ValuesView[T]:  # type: ignore[override]
        return {name: self[name] for name in self.ids}.values()

    def items(self) -> ItemsView[str, T]:  # type: ignore[override]
        return {name: self[name] for name in self.ids}.items()


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


SHELVES = tuple((noun, _grids(axes), low, high) for noun, axes, low, high in GOODS)
"""Each good with the choices of variants that it can have."""


def address(draws: Draws, test: bool, level: Level) -> Address:
    """An address from four draws."""
    easy = level.easy
    one, two, three, four = draws
    street, place = paired(one, two, EASY_PLACES if easy else ALL_PLACES, test, easy)
    city, state, country = PLACES[place]
    if easy:
        number, code = 10 + below(three, EASY_NUMBERS), 10 + below(four, EASY_NUMBERS)
        return Address(f"{number} {STREETS[street]}", city, state, country, f"{code}{code}")
    flat = f"Flat {1 + three % 40}" if four & 3 == 0 else ""
    return Address(f"{1 + below(three, 240)} {STREETS[street]}", city, state, country, f"{10000 + four}", flat)


EASY_PLACES, ALL_PLACES = (EASY, EASY), (len(STREETS), len(PLACES))
CARD = PaymentMethod("credit_card")
WALLET = PaymentMethod("paypal")
STATUSES = ("pending", "delivered", "processed", "cancelled")
"""What an order that no request is about can be; on easy none is cancelled."""


class Products(Shelf[Product]):
    """What is sold: no two products of a store share a noun."""

    __slots__ = ("_draws", "_easy", "_item_ids", "_test")

    def __init__(self, draws: Draws, count: int, test: bool, level: Level) -> None:
        self._draws, self._test, self._easy = draws, test, level.easy
        self.ids = numbered("P", draws[29], count, level)
        self._item_ids = numbered("I", draws[31], 4 * count, level)

    def make(self, place: int) -> Product:
        """A product with four variants."""
        draws, test = self._draws, self._test
        one, two, three, four = draws[4 * place : 4 * place + 4]
        if self._easy:
            good = ((draws[30] * EASY >> 16) + 5 * place) % EASY
            style = 2 * (one * (EASY // 2) >> 16) + ((good + test) & 1)
        else:
            half = len(GOODS) // 2
            good = 2 * ((below(draws[30], half) + 5 * place) % half) + test
            style = 2 * below(one, len(STYLES) // 2) + test
        noun, grids, low, high = SHELVES[good]
        prices = EASY_PRICES[three * EASY_NUMBERS >> 16] if self._easy else _prices(three, low, high)
        gone = -1 if self._easy or four & 12 else four >> 4 & 3
        first, second, third, last = grids[two * len(grids) >> 16]
        a, b, c, d = self._item_ids[4 * place : 4 * place + 4]
        variants = {
            a: Variant(first, prices[four & 3], gone != 0),
            b: Variant(second, prices[four + 1 & 3], gone != 1),
            c: Variant(third, prices[four + 2 & 3], gone != 2),
            d: Variant(last, prices[four + 3 & 3], gone != 3),
        }
        return Product(f"{STYLES[style]} {noun}", variants)


class Customers(Shelf[Customer]):
    """Who shops here: no two share a first name; each has a card and PayPal, and beyond easy a gift card."""

    __slots__ = ("_balance", "_draws", "_level", "_method_ids", "_test")

    def __init__(self, draws: Draws, balance: int, test: bool, level: Level) -> None:
        self._draws, self._balance, self._test, self._level = draws, balance, test, level
        self.ids = numbered("C", draws[30], level.people, level)
        self._method_ids = numbered("M", draws[31], (2 if level.easy else 3) * level.people, level)

    def make(self, place: int) -> Customer:
        """A customer."""
        draws, test, level = self._draws, self._test, self._level
        at = 9 * place
        two, three = draws[at], draws[at + 1]
        if level.easy:
            first = ((draws[27] * EASY >> 16) + 5 * place) % EASY
            last = 2 * (two * (EASY // 2) >> 16) + ((first + test) & 1)
            domain = MAIL_DOMAINS[three >> 15]
            card, wallet = self._method_ids[2 * place : 2 * place + 2]
            methods = {card: CARD, wallet: WALLET}
        else:
            half = len(FIRST_NAMES) // 2
            first = 2 * ((below(draws[27], half) + 11 * place) % half) + test
            last = 2 * below(two, len(LAST_NAMES) // 2) + test
            domain = pick(three, MAIL_DOMAINS)
            card, wallet, gift = self._method_ids[3 * place : 3 * place + 3]
            methods = {card: CARD, wallet: WALLET, gift: PaymentMethod("gift_card", self._balance)}
        given, family = FIRST_NAMES[first], LAST_NAMES[last]
        mail = f"{given}.{family}@{domain}".lower()
        return Customer(given, family, mail, address(draws[at + 2 : at + 6], test, level), methods)


class Orders(Shelf[Order]):
    """The caller's orders, and last of all one of somebody else's."""

    __slots__ = ("_customers", "_draws", "_easy", "_products", "statuses")

    def __init__(self, draws: Draws, count: int, products: Products, customers: Customers, level: Level) -> None:
        self.ids = numbered("O", draws[31], count, level)
        self._draws, self._products, self._customers, self._easy = draws, products, customers, level.easy
        self.statuses: dict[int, str] = {}
        """Place -> the status that a request needs."""

    def make(self, place: int) -> Order:
        """An order; the product at its own place is in no other order of its customer."""
        one, two, three, four, five = self._draws[5 * place : 5 * place + 5]
        last, products = len(self.ids) - 1, self._products.ids
        own, free = products[place], len(products) - len(self.ids)
        if free and two & 1:
            other = products[len(self.ids) + below(three, free)]
            first, second = (own, other) if two & 2 else (other, own)
            items: tuple[Item, ...] = (self._bought(first, four), self._bought(second, four >> 2))
        else:
            items = (self._bought(own, four),)
        holder = self._customers.ids[place == last]
        person = self._customers[holder]
        method = list(person.payment_methods)[five & 1]
        status = self.statuses.get(place) or STATUSES[below(one, 3 if self._easy else 4)]
        return _ordered(holder, person, status, items, method)

    def own_item(self, place: int) -> Item:
        """The item of an order whose product stands at the order's own place."""
        product = self._products.ids[place]
        first, *others = self[self.ids[place]].items
        return first if first.product == product else others[0]

    def _bought(self, product_id: str, draw: int) -> Item:
        item_id, variant = list(self._products[product_id].variants.items())[draw & 3]
        return Item(product_id, item_id, variant.price, variant.options)


class SmallBase(Base, frozen=True, eq=False, dict=True):
    """The records of a store made for a scene."""

    def customer_with(self, email: str) -> str | None:
        """The id of the customer with an e-mail address: whoever calls stands first."""
        for customer_id in self.customers:
            if self.customers[customer_id].email == email:
                return customer_id
        return None


def stocked(name: str, test: bool, level: Level, needs: list[Need], balance: int, more: int) -> Stock:
    """The store of a scene: each need gets an order of its own, with a product that is in no other of the caller's."""
    own_needs = len(needs) - needs.count("")
    mine = max(own_needs, level.orders) + more
    products = Products(block(name, "goods"), min(mine + 1 + level.extras, 7), test, level)
    customers = Customers(block(name, "people"), balance, test, level)
    draws = block(name, "orders")
    orders = Orders(draws, mine + 1, products, customers, level)
    skip = below(draws[30], mine - own_needs + 1)
    base, ids = SmallBase(products, customers, orders), orders.ids
    caller, other, *strangers = customers.ids
    base.__dict__["named_once"] = products.ids
    base.__dict__["orders_of"] = {caller: ids[:mine], other: ids[mine:], **dict.fromkeys(strangers, ())}
    targets = []
    for need in needs:
        if need:
            orders.statuses[skip] = need
            targets.append(skip)
            skip += 1
        else:
            targets.append(mine)
    return Stock(base, orders, caller, targets)


def _prices(draw: int, low: int, high: int) -> tuple[int, ...]:
    """The prices of a product's variants, each another."""
    price = low + below(draw, (high - low) // 10) * 10
    rise = price // 20 + 55
    return price, price + rise, price + 2 * rise, price + 3 * rise


def _ordered(holder: str, person: Customer, status: Any, items: tuple[Item, ...], method: str) -> Order:
    total = sum([item.price for item in items])
    paid = Payment("payment", total, method)
    if status == "cancelled":
        back = Payment("refund", total, method)
        return Order(holder, status, person.address, items, (paid, back), cancel_reason="no_longer_needed")
    return Order(holder, status, person.address, items, (paid,))

"""Small stores for generated scenes: who shops there, what is sold, what was ordered."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from ..chance import below, block, paired
from .actions import Address
from .lexicon import FIRST_NAMES, GOODS, LAST_NAMES, MAIL_DOMAINS, PLACES, STREETS, STYLES
from .store import Base, Customer, Item, Order, Payment, PaymentMethod, Product, Variant

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


class Stock(NamedTuple):
    """A store, whose customer calls, and the orders that the requests are about."""

    base: Base
    caller: str
    targets: tuple[str, ...]
    spare: Address
    """An address that nobody has yet."""


def numbered(prefix: str, draw: int, count: int, level: Level) -> list[str]:
    """Different ids: a run of numbers in steps of seven from a drawn start."""
    start = below(draw, level.span)
    return [f"{prefix}{level.low + (start + 7 * step) % level.span}" for step in range(count)]


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
    sizes = (EASY, EASY) if easy else (len(STREETS), len(PLACES))
    street, place = paired(draws[0], draws[1], sizes, test, easy)
    city, state, country = PLACES[place]
    if easy:
        number, code = 10 + below(draws[2], EASY_NUMBERS), 10 + below(draws[3], EASY_NUMBERS)
        return Address(f"{number} {STREETS[street]}", city, state, country, f"{code}{code}")
    flat = f"Flat {1 + draws[2] % 40}" if draws[3] & 3 == 0 else ""
    number, code = 1 + below(draws[2], 240), 10000 + draws[3]
    return Address(f"{number} {STREETS[street]}", city, state, country, str(code), flat)


def products(draws: Draws, count: int, test: bool, level: Level) -> dict[str, Product]:
    """Products with four variants each; no two share a noun."""
    easy = level.name == "easy"
    item_ids = numbered("I", draws[31], 4 * count, level)
    first = below(draws[30], EASY if easy else len(GOODS) // 2)
    found = {}
    for place, product_id in enumerate(numbered("P", draws[29], count, level)):
        one, two, three, four = draws[4 * place : 4 * place + 4]
        if easy:
            good = (first + 5 * place) % EASY
            style = 2 * below(one, EASY // 2) + ((good + test) & 1)
        else:
            good = 2 * ((first + 5 * place) % (len(GOODS) // 2)) + test
            style = 2 * below(one, len(STYLES) // 2) + test
        noun, _, low, high = GOODS[good]
        grid = GRIDS[good][below(two, len(GRIDS[good]))]
        if easy:
            start = below(three, EASY_NUMBERS)
            prices = [EASY_PRICES[(start + step * 5) % EASY_NUMBERS] for step in range(4)]
        else:
            price = low + below(three, (high - low) // 10) * 10
            prices = [price + step * (price // 20 + 55) for step in range(4)]
        turn = four & 3
        gone = -1 if easy or four & 12 else (four >> 4) & 3
        ids = item_ids[4 * place : 4 * place + 4]
        variants = {
            ids[step]: Variant(options, prices[(step + turn) & 3], step != gone) for step, options in enumerate(grid)
        }
        found[product_id] = Product(f"{STYLES[style]} {noun}", variants)
    return found


def customers(draws: Draws, test: bool, level: Level, balance: int) -> dict[str, Customer]:
    """Customers with different first names; each has a card and PayPal, and beyond easy a gift card."""
    easy = level.name == "easy"
    sizes = (EASY, EASY) if easy else (len(FIRST_NAMES), len(LAST_NAMES))
    per_person = 2 if easy else 3
    method_ids = numbered("M", draws[31], per_person * level.people, level)
    found = {}
    for place, customer_id in enumerate(numbered("C", draws[30], level.people, level)):
        own = draws[9 * place : 9 * place + 9]
        first, last = paired((own[0] // level.people) + place * (65536 // level.people), own[1], sizes, test, easy)
        given, family = FIRST_NAMES[first], LAST_NAMES[last]
        mail = f"{given}.{family}@{MAIL_DOMAINS[below(own[2], 2 if easy else len(MAIL_DOMAINS))]}".lower()
        ids = method_ids[per_person * place : per_person * (place + 1)]
        methods = {ids[0]: PaymentMethod("credit_card"), ids[1]: PaymentMethod("paypal")}
        if not easy:
            methods[ids[2]] = PaymentMethod("gift_card", balance)
        found[customer_id] = Customer(given, family, mail, address(own[3:7], test, level), methods)
    return found


def stocked(name: str, test: bool, level: Level, needs: tuple[Need, ...], balance: int, more: int) -> Stock:
    """The store of a scene: each need gets an order of its own, whose first product no other order of the caller has."""
    own_needs = [need for need in needs if not need.foreign]
    mine = max(len(own_needs), level.orders) + more
    total = mine + max(1, len(needs) - len(own_needs))
    goods = block(name, "goods")
    catalog = products(goods, min(total + level.extras, 7), test, level)
    people_draws = block(name, "people")
    people = customers(people_draws, test, level, balance)
    caller, *others = people
    draws = block(name, "orders")
    shelf = list(catalog)
    pending = list(own_needs)
    orders: dict[str, Order] = {}
    targets: dict[Need, list[str]] = {}
    skip = below(draws[30], mine - len(own_needs) + 1)
    for place, order_id in enumerate(numbered("O", draws[31], total, level)):
        own = draws[5 * place : 5 * place + 5]
        if place < mine:
            holder = caller
            need = pending.pop(0) if pending and place >= skip else Need()
        else:
            holder = others[place % len(others)]
            need = Need(foreign=True)
        status = need.status or ("pending", "delivered", "processed", "cancelled")[own[0] & 3]
        contents = [shelf[place % len(shelf)]]
        if total < len(shelf) and own[1] & 1:
            contents.insert(own[1] >> 1 & 1, shelf[total + below(own[2], len(shelf) - total)])
        items = tuple(_bought(catalog, product, own[3] >> 2 * step) for step, product in enumerate(contents))
        person = people[holder]
        orders[order_id] = _ordered(holder, person, status, items, list(person.payment_methods)[own[4] & 1])
        targets.setdefault(need, []).append(order_id)
    wanted = tuple(targets[Need(foreign=True) if need.foreign else need].pop(0) for need in needs)
    return Stock(Base(catalog, people, orders), caller, wanted, address(people_draws[27:31], test, level))


def _bought(catalog: dict[str, Product], product_id: str, draw: int) -> Item:
    product = catalog[product_id]
    item_id = list(product.variants)[draw & 3]
    variant = product.variants[item_id]
    return Item(product_id, item_id, variant.price, variant.options)


def _ordered(holder: str, person: Customer, status: str, items: tuple[Item, ...], method: str) -> Order:
    total = sum(item.price for item in items)
    payments = (Payment("payment", total, method),)
    if status == "cancelled":
        payments = (*payments, Payment("refund", total, method))
        return Order(holder, status, person.address, items, payments, cancel_reason="no_longer_needed")
    return Order(holder, status, person.address, items, payments)

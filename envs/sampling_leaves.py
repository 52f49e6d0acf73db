"""Drawn strings, numbers and free JSON values: the leaves of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

_VOCABULARY = "a the my order shirt blue refund please address card hello Lee Ada lamp 12 no yes pending Mill Lane"
_SCRIPTS = "naïve Größe 東京 café 😀 привет שלום e\u0301 ½ \u2028 İ"
_WORDS, _LETTERS = _VOCABULARY.split(), _SCRIPTS.split(" ")
_ODD = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r\x00\x7f09azAZ"
_IDS = "CIMOP"
_SPAN = 40
"""Characters by which a drawn string is longer than it must be, at most."""


class Source(Protocol):
    """Where choices come from."""

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""


Node = Callable[[Source, int], Any]
"""Draws a value, with so many levels of nesting to draw freely; below them optional parts are left out."""


class Draw:
    """Choices from a NumPy generator, fetched by the block: a single one costs it two microseconds."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        if n > 2**62:
            return (self._word() << 126 | self._word() << 63 | self._word()) % n
        return self._word() % n

    def _word(self) -> int:
        if not self._words:
            self._words = self._rng.integers(0, 2**63, size=32).tolist()
        return self._words.pop()


class Least:
    """The first choice always: every generator here puts its smallest value first."""

    def below(self, n: int) -> int:
        """Always 0."""
        return 0


def string(draw: Source, least: int, most: float) -> str:
    """A string of `least` to `most` characters: words, an id, an address, digits, other scripts, odd characters."""
    drawn = _FORMS[draw.below(len(_FORMS))](draw)
    while len(drawn) < least:
        drawn += _WORDS[draw.below(len(_WORDS))] if least - len(drawn) < 1000 else drawn + " " * 1000
    return drawn[: int(min(most, least + _SPAN))]


def integer(draw: Source, low: float | int, high: float | int, step: int) -> int:
    """A multiple of `step` from `low` to `high`, small ones and the bounds more often."""
    least = -(-low // step) if low > -math.inf else None
    most = high // step if high < math.inf else None
    return _between(draw, None if least is None else int(least), None if most is None else int(most)) * step


def number(draw: Source, low: float | int, high: float | int, step: Fraction | None) -> float | int:
    """A multiple of `step` (if there is one) from `low` to `high`."""
    if step is not None:
        least = None if low == -math.inf else math.ceil(Fraction(low) / step)
        most = None if high == math.inf else math.floor(Fraction(high) / step)
        return _short(_between(draw, least, most) * step)
    bottom = low if low > -math.inf else min(-1000.0, high - 1000)
    top = high if high < math.inf else max(1000.0, bottom + 1000)
    if draw.below(3) == 0 and math.ceil(bottom) <= math.floor(top):
        return _between(draw, math.ceil(bottom), math.floor(top))
    drawn = bottom + (top - bottom) * (draw.below(2**53) / 2**53)
    rounded = round(drawn, 2)
    return rounded if bottom <= rounded <= top and draw.below(2) else drawn


def anything(draw: Source, room: int) -> Any:
    """A JSON value of any kind."""
    kind = draw.below(8 if room > 0 else 6)
    if kind == 6:
        return [anything(draw, room - 1) for _ in range(draw.below(4))]
    if kind == 7:
        return {string(draw, 0, 10): anything(draw, room - 1) for _ in range(draw.below(4))}
    leaves = (None, draw.below(2) == 1, integer(draw, -math.inf, math.inf, 1), string(draw, 0, math.inf))
    return number(draw, -math.inf, math.inf, None) if kind > 3 else leaves[kind]


def _between(draw: Source, least: int | None, most: int | None) -> int:
    """An integer from `least` to `most` (None: no bound); near zero first."""
    low = least if least is not None else min(-(10**6), (most or 0) - 10**6)
    high = most if most is not None else max(10**6, (least or 0) + 10**6)
    match draw.below(4):
        case 0:
            return max(low, min(high, draw.below(4)))
        case 1:
            return (low, high)[draw.below(2)] if least is not None and most is not None else max(low, min(high, 100))
        case 2:
            return max(low, min(high, draw.below(111) - 10))
    return low + draw.below(max(1, high - low + 1))  # what contradicts itself is seen when it is validated


def _short(value: Fraction) -> float | int:
    return int(value) if value.denominator == 1 else float(value)


def _phrase(draw: Source) -> str:
    return " ".join(_WORDS[draw.below(len(_WORDS))] for _ in range(1 + draw.below(5)))


def _id(draw: Source) -> str:
    return f"{_IDS[draw.below(len(_IDS))]}{1 + draw.below(99)}"


def _address(draw: Source) -> str:
    return f"{_WORDS[draw.below(len(_WORDS))]}.{draw.below(100)}@post.example".lower()


def _digits(draw: Source) -> str:
    return str(draw.below(10 ** (1 + draw.below(12))))


def _scripts(draw: Source) -> str:
    return " ".join(_LETTERS[draw.below(len(_LETTERS))] for _ in range(1 + draw.below(3)))


def _odd(draw: Source) -> str:
    return "".join(_ODD[draw.below(len(_ODD))] for _ in range(1 + draw.below(12)))


_FORMS = (lambda draw: "", _phrase, _phrase, _id, _id, _address, _digits, _scripts, _odd)


def _string(schema: dict[str, Any]) -> Node:
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength", math.inf)
    return lambda draw, room: string(draw, least, most)


def _integer(schema: dict[str, Any]) -> Node:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if "exclusiveMinimum" in schema:
        low = max(low, math.floor(schema["exclusiveMinimum"]) + 1)
    if "exclusiveMaximum" in schema:
        high = min(high, math.ceil(schema["exclusiveMaximum"]) - 1)
    step = Fraction(str(schema.get("multipleOf", 1))).numerator
    return lambda draw, room: integer(draw, low, high, step)


def _number(schema: dict[str, Any]) -> Node:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = Fraction(str(schema["multipleOf"])) if "multipleOf" in schema else None
    return lambda draw, room: number(draw, low, high, step)


def _boolean(schema: dict[str, Any]) -> Node:
    return lambda draw, room: draw.below(2) == 1


def _null(schema: dict[str, Any]) -> Node:
    return lambda draw, room: None


LEAVES: dict[str, Callable[[dict[str, Any]], Node]] = {
    "null": _null,
    "boolean": _boolean,
    "number": _number,
    "integer": _integer,
    "string": _string,
}
"""The generators of the types without parts, smallest first."""

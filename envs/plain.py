"""Plain JSON values: what counts as one, and their text."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

MAX_DEPTH = 100
"""Levels of nesting; the validator recurses, and overflows its stack far above this."""

MAX_VALUES = 1_000_000
"""Values in one document; lists that share their items can otherwise stand for more than any memory holds."""

_SEARCHED = 20_000
"""Values among which a fault is looked for by name."""

_HUGE = 10**4300
"""Python and msgspec both read and write integers of up to 4300 digits."""


def is_plain(value: Any) -> bool:
    """Whether a value is plain JSON: exact dicts, lists, strings, finite numbers, booleans and None; never raises."""
    return _is_plain(value, MAX_DEPTH, [MAX_VALUES])


def size(value: Any) -> int:
    """How many values a plain value holds."""
    left = [MAX_VALUES]
    _is_plain(value, MAX_DEPTH, left)
    return MAX_VALUES - left[0]


def _is_plain(value: Any, room: int, left: list[int]) -> bool:
    # Strings are judged where they lie: most of what is judged here is a dict of strings, in each step of an episode.
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str or not (key.isascii() or is_text(key)):
                return False
        items = value.values()
    elif kind is list:
        items = value
    else:
        return _is_leaf(value, kind)
    left[0] -= len(items)
    if room <= 0 or left[0] < 0:
        return False
    for item in items:
        if type(item) is str:
            if not (item.isascii() or is_text(item)):
                return False
        elif not _is_plain(item, room - 1, left):
            return False
    return True


def _is_leaf(value: Any, kind: type) -> bool:
    if kind is str:
        return is_text(value)
    if kind is int:
        return bool(-_HUGE < value < _HUGE)
    return value is None or kind is bool or (kind is float and math.isfinite(value))


def is_text(text: str) -> bool:
    """Whether a string has a UTF-8 form: lone surrogates have none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def dumps(value: Any) -> str:
    """The compact JSON text of a plain value, keys in the order given."""
    try:
        return msgspec.json.encode(value).decode()
    except OverflowError:  # msgspec writes integers of 64 bits only
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """The plain value of a JSON text; integers of any size stay exact."""
    return json.loads(text)


def why_not_plain(value: Any) -> str:
    """The first thing in a value that is not plain JSON, as a sentence."""
    pending: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    for _ in range(_SEARCHED):
        if not pending:
            break
        path, item = pending.pop()
        fault = "it is nested too deeply" if len(path) > MAX_DEPTH else _fault(item)
        if fault:
            return f"{place(path)} is not JSON: {fault}"
        pending += [((*path, key), child) for key, child in reversed(_children(item))]
    return (
        f"the value is not JSON: the fault is not among its first {_SEARCHED} values (at most {MAX_VALUES} are allowed)"
    )


def place(path: tuple[Any, ...] | list[Any]) -> str:
    """A path in a value as a reader writes it: `claims[0].value`."""
    text = "".join(f"[{key}]" if type(key) is int else f".{key}" for key in path).removeprefix(".")
    return f"`{clip(text, 60)}`" if text else "the value"


def clip(text: str, size: int) -> str:
    """A text cut to at most `size` characters, lone surrogates spelled out."""
    short = text if len(text) <= size else text[: size - 3] + "..."
    return short if is_text(short) else short.encode("utf-8", "backslashreplace").decode()[:size]


def type_name(value: Any) -> str:
    """The full name of a value's type, read past any metaclass: it runs no code of the value."""
    kind = type(value)
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return clip(name if type(module) is not str or module == "builtins" else f"{module}.{name}", 60)


def _fault(item: Any) -> str | None:
    if type(item) is str:
        return None if is_text(item) else "it holds a lone surrogate, which has no UTF-8 form"
    if type(item) is dict:
        return next((_key_fault(key) for key in item if type(key) is not str or not is_text(key)), None)
    if type(item) is int:
        return None if -_HUGE < item < _HUGE else "it is an integer of more than 4300 digits"
    if type(item) is float:
        return None if math.isfinite(item) else "it is not a finite number"
    if item is None or type(item) in (bool, list):
        return None
    return f"it is a Python {type_name(item)}"


def _key_fault(key: Any) -> str:
    return "a key holds a lone surrogate" if type(key) is str else f"a key is a Python {type_name(key)}, not a string"


def _children(item: Any) -> list[tuple[Any, Any]]:
    if type(item) is dict:
        return list(item.items())
    return list(enumerate(item)) if type(item) is list else []

"""The registration of a JSON space with the functions by which Gymnasium batches, shares, flattens and pads values."""

from __future__ import annotations

import copy
import multiprocessing
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Space, Tuple
from gymnasium.spaces import utils as flat
from gymnasium.vector.utils import shared_memory as shared
from gymnasium.vector.utils import space_utils as batched
from gymnasium.wrappers.utils import create_zero_array

from .plain import dumps, is_plain, loads, why_not_plain

_HEADER = struct.Struct("<I")
"""The length of the text, before the text."""

Bytes = npt.NDArray[np.uint8]


def register(kind: type[Space[Any]]) -> None:
    """Register a space class; `iterate` stays unregistered, else Gymnasium zips across the items of a batch."""
    functions: list[tuple[Any, Callable[..., Any]]] = [
        (batched.batch_space, batch_space),
        (batched.batch_differing_spaces, batch_differing_spaces),
        (batched.concatenate, concatenate),
        (batched.create_empty_array, create_empty_array),
        (shared.create_shared_memory, create_shared_memory),
        (shared.read_from_shared_memory, read_from_shared_memory),
        (shared.write_to_shared_memory, write_to_shared_memory),
        (flat.flatdim, flatdim),
        (flat.flatten, flatten),
        (flat.unflatten, unflatten),
        (flat.flatten_space, flatten_space),
        (flat.is_space_dtype_shape_equiv, is_space_dtype_shape_equiv),
        (create_zero_array, create_least),
    ]
    if hasattr(flat, "_flat_dtype"):  # Gymnasium 1.2 has none
        functions.append((flat._flat_dtype, flat_dtype))
    for dispatcher, function in functions:
        dispatcher.register(kind, function)


def batch_space(space: Any, n: int = 1) -> Tuple[Any]:
    """A tuple of n such spaces, each with a generator of its own, seeded as Gymnasium seeds its tuples."""
    batch = Tuple(tuple(copy.deepcopy(space) for _ in range(n)), seed=copy.deepcopy(space.np_random))
    batch.seed([int(seed) for seed in copy.deepcopy(space.np_random).integers(0, int(1e8), n)])
    return batch


def batch_differing_spaces(spaces: Sequence[Any]) -> Tuple[Any]:
    """A tuple of spaces of different schemas."""
    return Tuple([copy.deepcopy(space) for space in spaces], seed=copy.deepcopy(spaces[0].np_random))


def concatenate(space: Any, items: Iterable[Any], out: Any) -> tuple[Any, ...]:
    """A batch is the tuple of its values."""
    return tuple(items)


def create_empty_array(space: Any, n: int = 1, fn: Callable[..., Any] = np.zeros) -> tuple[Any, ...]:
    """A batch of smallest values; of None where the schema cannot be sampled, for they are place-holders only."""
    try:
        return tuple(space.least() for _ in range(n))
    except NotImplementedError:
        return (None,) * n


def create_least(space: Any) -> Any:
    """A smallest value that fits."""
    return space.least()


def create_shared_memory(space: Any, n: int = 1, ctx: Any = multiprocessing) -> Any:
    """A buffer for n texts."""
    return ctx.Array("B", n * flatdim(space))


def read_from_shared_memory(space: Any, shared_memory: Any, n: int = 1) -> SharedBatch:
    """A batch that is read when it is looked at: AsyncVectorEnv reads once, and copies that object at each step."""
    return SharedBatch(space, shared_memory, n)


def write_to_shared_memory(space: Any, index: int, value: Any, shared_memory: Any) -> None:
    """Write the text of one value."""
    text = _text(space, value)
    start = index * flatdim(space)
    view = memoryview(shared_memory.get_obj()).cast("B")
    view[start : start + len(text)] = text


def flatdim(space: Any) -> int:
    """The bytes of the longest text and its length."""
    return _HEADER.size + int(space.max_bytes)


def flatten(space: Any, x: Any) -> Bytes:
    """The text of a value as bytes: its length, the UTF-8 JSON, zeros."""
    text = _text(space, x)
    array = np.zeros(flatdim(space), dtype=np.uint8)
    array[: len(text)] = np.frombuffer(text, dtype=np.uint8)
    return array


def unflatten(space: Any, x: Any) -> Any:
    """The value of flattened text."""
    data = np.asarray(x).astype(np.uint8).tobytes()
    (size,) = _HEADER.unpack_from(data)
    try:
        return loads(data[_HEADER.size : _HEADER.size + size].decode())
    except ValueError as error:
        raise ValueError(f"unflatten: these bytes are not the text of a JSON value ({error}); use flatten's") from error


def flatten_space(space: Any) -> Box:
    """The box of flattened texts."""
    return Box(0, 255, (flatdim(space),), np.uint8)


def flat_dtype(space: Any) -> np.dtype[Any]:
    """The type of flattened texts."""
    return np.dtype(np.uint8)


def is_space_dtype_shape_equiv(space_1: Any, space_2: Any) -> bool:
    """Whether two spaces can share a buffer: any schemas, the same size."""
    return type(space_1) is type(space_2) and space_1.max_bytes == space_2.max_bytes


class SharedBatch(tuple[Any, ...]):
    """The values of a shared buffer as they are now; a copy of it holds still."""

    _read: Callable[[], tuple[Any, ...]]

    def __new__(cls, space: Any, buffer: Any, n: int) -> SharedBatch:
        batch = super().__new__(cls, (None,) * n)
        size, missing = flatdim(space), create_empty_array(space, 1)[0]
        view = memoryview(buffer.get_obj()).cast("B")
        batch._read = lambda: tuple(_value(view[i * size : (i + 1) * size], missing) for i in range(n))
        return batch

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __getitem__(self, index: Any) -> Any:
        return self._read()[index]

    def __contains__(self, item: object) -> bool:
        return item in self._read()

    def __eq__(self, other: object) -> bool:
        return self._read() == (other._read() if isinstance(other, SharedBatch) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Any:
        return self._read() + other

    def __radd__(self, other: Any) -> Any:
        return other + self._read()

    def count(self, value: Any) -> int:
        """How many of the values equal `value`."""
        return self._read().count(value)

    def index(self, value: Any, *bounds: Any) -> int:
        """Where `value` is."""
        return self._read().index(value, *bounds)

    def __repr__(self) -> str:
        return repr(self._read())

    def __copy__(self) -> tuple[Any, ...]:
        return self._read()

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[Any, ...]:
        return self._read()

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self._read()),)


def _value(view: memoryview, missing: Any) -> Any:
    """The value of one slot; before the first reset there is none."""
    (size,) = _HEADER.unpack_from(view)
    return loads(bytes(view[_HEADER.size : _HEADER.size + size])) if size else copy.deepcopy(missing)


def _text(space: Any, value: Any) -> bytes:
    """The length and the UTF-8 text of a value."""
    if not is_plain(value):
        raise ValueError(f"a value of a JSON space must be plain JSON: {why_not_plain(value)}")
    text = dumps(value).encode()
    if len(text) > space.max_bytes:
        raise ValueError(
            f"a JSON value takes {len(text)} bytes of text, more than the space's max_bytes={space.max_bytes}: "
            f"give the space a larger max_bytes, or the vector environment shared_memory=False"
        )
    return _HEADER.pack(len(text)) + text

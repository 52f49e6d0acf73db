"""The `JSON` space: plain JSON values under a JSON Schema (2020-12), as a first-class Gymnasium space."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterable
from typing import Any

import gymnasium
import msgspec
import numpy as np
import numpy.typing as npt
from jsonschema_rs import Draft202012Validator

from .explain import Explainer
from .plain import clip, dumps, is_plain, why_not_plain
from .sampling import Sampler
from .spaces_vector import register


class Compiled:
    """A schema and what is derived from it; spaces of one schema share it."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.schema: dict[str, Any] = json.loads(text)
        try:
            self.validator = Draft202012Validator(self.schema, offline=True)
        except ValueError as error:
            message = f"JSON(schema): not a JSON Schema of draft 2020-12: {clip(str(error).splitlines()[0], 200)}"
            raise ValueError(message) from error

    @functools.cached_property
    def canonical(self) -> str:
        """The schema's text with sorted keys: equal schemas have equal ones (Python has 1 == True, JSON has not)."""
        return json.dumps(self.schema, sort_keys=True)

    @functools.cached_property
    def sampler(self) -> Sampler:
        """The generator of values; raises NotImplementedError for a schema that it cannot serve."""
        return Sampler(self.schema, self.accepts)

    @functools.cached_property
    def explainer(self) -> Explainer:
        """Says why a value does not fit."""
        return Explainer(self.schema, self.validator)

    def accepts(self, value: Any) -> bool:
        """Whether a plain value fits the schema."""
        try:
            return self.validator.is_valid(value)
        except ValueError:  # a pattern that gives up on this string
            return False


@functools.lru_cache(maxsize=1024)
def compiled(text: bytes) -> Compiled:
    """The one `Compiled` of a schema's text; the order of keys is part of it, since sampling follows that order."""
    return Compiled(text)


class JSON(gymnasium.Space[Any]):
    """Plain JSON values that fit a JSON Schema (draft 2020-12).

    Args:
        schema: the schema; spaces of the same schema share its validator, so an instance is small.
        seed: seeds `sample`, as in every Gymnasium space.
        max_bytes: the size of a value's UTF-8 text in shared memory and when flattened; containment ignores it.

    A value is plain when it consists of exact dicts with string keys, lists, strings, finite numbers, booleans and
    None. Everything else - tuples, NumPy values, NaN, lone surrogates, other classes - is simply not contained.

    >>> space = JSON({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    >>> {"n": 1} in space, {"n": "1"} in space, {"n": np.int64(1)} in space
    (True, False, False)
    >>> space.explain({"n": "1"})
    '`n` is "1"; it must be an integer'
    """

    def __init__(
        self,
        schema: dict[str, Any],
        *,
        seed: int | np.random.Generator | None = None,
        max_bytes: int = 65536,
    ) -> None:
        if not isinstance(schema, dict):
            raise TypeError(f"JSON(schema): the schema must be a dict, not {schema!r}; {{}} allows every JSON value")
        if not isinstance(max_bytes, int) or not 1 <= max_bytes < 2**32:
            raise ValueError(f"JSON(max_bytes={max_bytes!r}): it must be an integer from 1 to 2**32 - 1")
        self.max_bytes = max_bytes
        self._compiled = compiled(_text(schema))
        super().__init__(None, None, seed)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema; it is shared by all spaces of this schema, so do not change it."""
        return self._compiled.schema

    @property
    def is_np_flattenable(self) -> bool:
        """True: a value flattens to its text, as bytes."""
        return True

    def contains(self, x: Any) -> bool:
        """Whether `x` is plain JSON and fits the schema; never raises."""
        return is_plain(x) and self._compiled.accepts(x)

    def explain(self, value: Any) -> str | None:
        """Why a value is not contained: the field, its value, what is allowed; None when it is contained."""
        if self.contains(value):
            return None
        if not is_plain(value):
            return why_not_plain(value)
        return self._compiled.explainer.explain(value) or "the value does not fit the schema"

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> Any:
        """A value that fits, drawn from `np_random`.

        `mask` (int8, 0 or 1) or `probability` (floats that sum to 1) has an entry for each branch of the schema's
        top-level `anyOf`: for actions, the action types in their order.
        """
        if mask is not None and probability is not None:
            raise ValueError(f"sample() takes a mask or a probability, not both: {mask=}, {probability=}")
        return self._compiled.sampler.sample(self.np_random, self._branch(mask, probability))

    def least(self) -> Any:
        """A smallest value that fits: what stands for "nothing yet" in delays, stacks and batches."""
        return self._compiled.sampler.least()

    def _branch(self, mask: Any | None, probability: Any | None) -> int | None:
        if mask is None and probability is None:
            return None
        branches = len(self.schema.get("anyOf", ()))
        if mask is None:
            weights = _weights("probability", probability, branches)
            if not np.isclose(weights.sum(), 1):
                raise ValueError(f"sample(probability=...): the entries must sum to 1, not {weights.sum()}")
            return int(self.np_random.choice(branches, p=weights))
        allowed = np.flatnonzero(_weights("mask", mask, branches))
        if not len(allowed):
            raise ValueError(f"sample(mask={mask!r}): no branch is allowed; set at least one entry to 1")
        return int(self.np_random.choice(allowed))

    def to_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        """The values as they are: they are JSON already."""
        return copy.deepcopy(list(sample_n))

    def from_jsonable(self, sample_n: list[Any]) -> list[Any]:
        """The values as they are."""
        return copy.deepcopy(sample_n)

    def __eq__(self, other: object) -> bool:
        """Equal schemas (the order of keys aside) and an equal `max_bytes`."""
        if not isinstance(other, JSON) or self.max_bytes != other.max_bytes:
            return False
        return self._compiled is other._compiled or self._compiled.canonical == other._compiled.canonical

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        size = "" if self.max_bytes == 65536 else f", max_bytes={self.max_bytes}"
        return f"JSON({clip(dumps(self.schema), 100)}{size})"

    def __getstate__(self) -> dict[str, Any]:
        """The validator does not pickle: the schema's text stands for it."""
        return self.__dict__ | {"_compiled": self._compiled.text}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(dict(state) | {"_compiled": compiled(dict(state)["_compiled"])})

    def __deepcopy__(self, memo: dict[int, Any]) -> JSON:
        """A space with a generator of its own; the schema and the validator stay shared."""
        twin = copy.copy(self)
        twin._np_random = copy.deepcopy(self._np_random, memo)
        return twin


def _text(schema: dict[str, Any]) -> bytes:
    """A schema's text, keys in the order given."""
    try:
        return msgspec.json.encode(schema)
    except OverflowError:  # msgspec writes integers of 64 bits only
        return json.dumps(schema).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"JSON(schema): the schema is not JSON: {error}") from error


def _weights(name: str, weights: Any, branches: int) -> npt.NDArray[Any]:
    """A mask or a probability, checked."""
    if not branches:
        raise ValueError(f"sample({name}=...): the schema has no top-level `anyOf` to choose from; leave {name} out")
    dtype = np.int8 if name == "mask" else np.float64
    if not isinstance(weights, np.ndarray) or weights.dtype != dtype or weights.shape != (branches,):
        raise ValueError(
            f"sample({name}={clip(repr(weights), 80)}): it must be a NumPy array of {branches} entries "
            f"(one for each branch of `anyOf`) and dtype {dtype.__name__}"
        )
    if (weights < 0).any() or (name == "mask" and (weights > 1).any()):
        raise ValueError(f"sample({name}={clip(repr(weights), 80)}): entries must be 0 or 1 (mask), or 0 and up")
    return weights


register(JSON)

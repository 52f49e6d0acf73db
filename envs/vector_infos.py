"""The infos of many conversations, as Gymnasium batches them: an array for each key, a mask under the key with `_`.

They are made from the turns, column by column. Their types never change: bool, int and float, and object for all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .memory import Fact
from .turns import Turn, tell

Mask = npt.NDArray[np.bool_]


def batch_infos(turns: Sequence[Turn], facts: Sequence[list[Fact]], where: Sequence[int], size: int) -> dict[str, Any]:
    """The infos of the turns of the conversations `where`, of `size` in all: `Turn.info` for many turns."""
    scenes = [turn.scene for turn in turns]
    silent = spread([""] * len(turns), where, size, object)
    infos: dict[str, Any] = {
        "scene": spread([scene.name for scene in scenes], where, size, object),
        "kind": spread([scene.kind for scene in scenes], where, size, object),
        "par": spread([scene.par for scene in scenes], where, size, int),
        "facts": spread(facts, where, size, object),
        "violations": spread([[] for _ in turns], where, size, object),
        "is_success": np.zeros(size, dtype=np.bool_),
        "malformed": silent,
        "refused": silent.copy(),
        "outcome": silent.copy(),
    }
    terms = {name: np.zeros(size) for name in turns[0].terms}
    for i, turn, told in zip(where, turns, facts, strict=True):
        if not turn.plain:
            _put(infos, terms, i, turn, told)
    mask = mask_of(where, size)
    infos["reward_terms"] = _masked(terms, mask)
    return _masked(infos, mask)


def spread(values: Sequence[Any], where: Sequence[int], size: int, dtype: Any) -> npt.NDArray[Any]:
    """An array of `size` with the values at `where`, and None or zero elsewhere."""
    if len(values) == size:
        return np.fromiter(values, dtype, size)  # not np.array(values): lists of one length would become a table
    whole = np.full(size, None, dtype) if dtype is object else np.zeros(size, dtype)
    for i, value in zip(where, values, strict=True):
        whole[i] = value
    return whole


def mask_of(where: Sequence[int], size: int) -> Mask:
    """True at `where`."""
    if len(where) == size:
        return np.ones(size, dtype=np.bool_)
    mask = np.zeros(size, dtype=np.bool_)
    mask[where] = True
    return mask


def _put(infos: dict[str, Any], terms: dict[str, Any], i: int, turn: Turn, facts: list[Fact]) -> None:
    """Put in what a turn pays, its faults and its end: most turns have none of them."""
    for name, value in turn.terms.items():
        if value:
            terms[name][i] = value
    told: dict[str, Any] = {"violations": infos["violations"][i]}  # which is added to where it lies
    tell(told, facts)
    del told["violations"]
    for key, value in told.items():
        infos[key][i] = value


def _masked(batch: dict[str, Any], mask: Mask) -> dict[str, Any]:
    return batch | {f"_{key}": mask.copy() for key in batch}

"""The infos of many conversations, as Gymnasium batches them: an array for each key, a mask under the key with `_`.

They are made from the turns, column by column. Their types never change: bool, int and float, and object for all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .turns import Turn
from .turns import _tell as tell

Mask = npt.NDArray[np.bool_]


def batch_infos(turns: Sequence[Turn], where: Sequence[int], size: int, nothing: Any) -> dict[str, Any]:
    """The infos of the turns of the conversations `where`, of `size` in all: `Turn.info` for many turns.

    `nothing` is the very dict of reward terms that turns without any share.
    """
    mask = mask_of(where, size)
    scenes = [turn.scene for turn in turns]
    infos: dict[str, Any] = {
        "scene": spread([scene.name for scene in scenes], where, size, object),
        "kind": spread([scene.kind for scene in scenes], where, size, object),
        "par": spread([scene.par for scene in scenes], where, size, int),
        "facts": spread([list(map(dict.copy, turn.facts)) for turn in turns], where, size, object),
        "violations": spread([[] for _ in turns], where, size, object),
        "is_success": np.zeros(size, dtype=np.bool_),
    }
    silent = np.where(mask, "", None).astype(object) if len(turns) < size else np.full(size, "", object)
    infos.update({key: silent.copy() for key in ("malformed", "refused", "outcome")})
    terms = {name: np.zeros(size) for name in turns[0].terms}
    for i, turn in zip(where, turns, strict=True):
        # Faults, ends and turns that pay are rare: they are put in one by one.
        if turn.terms is not nothing or not turn.plain:
            _put(infos, terms, i, turn)
    infos["reward_terms"] = _masked(terms, mask)
    return _masked(infos, mask)


def spread(values: Sequence[Any], where: Sequence[int], size: int, dtype: Any) -> npt.NDArray[Any]:
    """An array of `size` with the values at `where`, and None or zero elsewhere."""
    # Not np.array(values): lists of one length would become a table.
    column = np.fromiter(values, dtype, len(values))
    if len(values) == size:
        return column
    whole = np.full(size, None, dtype) if dtype is object else np.zeros(size, dtype)
    whole[where] = column
    return whole


def mask_of(where: Sequence[int], size: int) -> Mask:
    """True at `where`."""
    if len(where) == size:
        return np.ones(size, dtype=np.bool_)
    mask = np.zeros(size, dtype=np.bool_)
    mask[where] = True
    return mask


def _put(infos: dict[str, Any], terms: dict[str, Any], i: int, turn: Turn) -> None:
    for name, value in turn.terms.items():
        terms[name][i] = value
    if turn.plain:
        return
    told: dict[str, Any] = {"violations": []}
    tell(told, turn.facts)
    for key, value in told.items():
        infos[key][i] = value


def _masked(batch: dict[str, Any], mask: Mask) -> dict[str, Any]:
    return batch | {f"_{key}": mask.copy() for key in batch}

"""The infos of many conversations, as Gymnasium batches them: an array for each key, a mask under the key with `_`.

They are made from the turns, column by column. Their types never change: bool, int and float, and object for all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .turns import Turn

Mask = npt.NDArray[np.bool_]


def batch_infos(turns: Sequence[Turn], where: Sequence[int], size: int) -> dict[str, Any]:
    """The infos of the turns of the conversations `where`, of `size` in all: `Turn.info` for many turns."""
    infos: dict[str, Any] = {
        "scene": spread([turn.scene.name for turn in turns], where, size, object),
        "kind": spread([turn.scene.kind for turn in turns], where, size, object),
        "par": spread([turn.scene.par for turn in turns], where, size, int),
        "facts": spread([[fact.copy() for fact in turn.facts] for turn in turns], where, size, object),
        "malformed": spread([""] * len(turns), where, size, object),
        "refused": spread([""] * len(turns), where, size, object),
        "violations": spread([[] for _ in turns], where, size, object),
        "outcome": spread([""] * len(turns), where, size, object),
        "is_success": np.zeros(size, dtype=np.bool_),
    }
    for i, turn in zip(where, turns, strict=True):
        if not turn.plain:
            _tell(infos, i, turn)
    infos["reward_terms"] = _terms(turns, where, size)
    return _masked(infos, mask_of(where, size))


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


def _tell(infos: dict[str, Any], i: int, turn: Turn) -> None:
    """Faults and the end are rare: they are put in one by one."""
    info = turn.info()
    for key in ("malformed", "refused", "violations", "outcome", "is_success"):
        infos[key][i] = info[key]


def _terms(turns: Sequence[Turn], where: Sequence[int], size: int) -> dict[str, Any]:
    """The reward terms: a batch of their own, as Gymnasium has it for a dict within an info."""
    terms: dict[str, Any] = {
        name: spread([turn.terms[name] for turn in turns], where, size, float) for name in turns[0].terms
    }
    return _masked(terms, mask_of(where, size))


def _masked(batch: dict[str, Any], mask: Mask) -> dict[str, Any]:
    masks = {f"_{key}": mask.copy() for key in batch}
    return batch | masks

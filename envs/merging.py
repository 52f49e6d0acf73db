"""Merging the states of a table that no player can ever tell apart: what is left plays the same, and is smaller.

Two states are one if they show and offer the same, and every action has the same outcome and leads to states that
are one. Names are gone then, and so is the order of discovery: scenes that play alike have equal tables.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from .table import Ints, Table

Places = npt.NDArray[np.intp]


def merged(table: Table) -> Table:
    """The smallest table that plays the same, in an order that follows from it alone.

    States that were not explored are never merged, since nothing is known of what follows them.
    """
    blocks = _refined(table)
    order = _discovered(table.next_state, blocks)
    place = np.empty(len(order), np.int32)
    place[blocks[order]] = np.arange(len(order), dtype=np.int32)
    next_state = np.where(table.known[order], place[blocks[table.next_state[order]]], -1).astype(np.int32)
    parent, via = _paths(next_state)
    first, row = distinct(table.rows[table.row[order]])
    return dataclasses.replace(
        table,
        next_state=next_state,
        rows=table.rows[table.row[order[first]]],
        row=row.astype(np.int32),
        parent=parent,
        via=via,
        **{name: getattr(table, name)[order] for name in ("outcome", "mask", "cut", "ended", "explored")},
    )


def distinct(rows: npt.NDArray[np.generic]) -> tuple[Places, Places]:
    """Where each different row stands first, in an order that follows from the rows, and which of them each row is."""
    rows = np.ascontiguousarray(rows).reshape(len(rows), -1)
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return first, which


def _refined(table: Table) -> Places:
    """State -> its block: first by what it is itself, then, again and again, by the blocks that it leads to."""
    unexplored = np.where(table.explored, -1, np.arange(table.states))
    own = (table.features, table.mask, table.outcome, table.cut, table.ended, unexplored)
    _, blocks = distinct(np.column_stack([distinct(each)[1] for each in own]))
    while True:
        after = np.where(table.known, blocks[table.next_state], -1)
        _, finer = distinct(np.column_stack([blocks, after]).astype(np.int32))
        if finer.max() == blocks.max():
            return finer
        blocks = finer


def _discovered(next_state: Ints, blocks: Places) -> Places:
    """A state of each block, in the order in which a breadth-first search from the start meets the blocks."""
    met = np.zeros(blocks.max() + 1, np.bool_)
    met[blocks[0]] = True
    level = np.zeros(1, np.intp)
    levels = []
    while len(level):
        levels.append(level)
        after = next_state[level].ravel()
        after = after[after >= 0]
        after = after[~met[blocks[after]]]
        _, first = np.unique(blocks[after], return_index=True)
        level = after[np.sort(first)].astype(np.intp)
        met[blocks[level]] = True
    return np.concatenate(levels)


def _paths(next_state: Ints) -> tuple[Ints, Ints]:
    """The state and the action by which each state is met first; states stand in the order of their discovery."""
    count, size = next_state.shape
    parent, via = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    after, first = np.unique(next_state, return_index=True)
    states, edges = after[after > 0], first[after > 0]
    parent[states], via[states] = edges // size, edges % size
    return parent, via

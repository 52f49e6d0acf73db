"""Tables of scenes that there are not, for properties of whatever plays a table."""

import numpy as np
from hypothesis import strategies as st

from stateset_gym.envs.table import Table

FEW = st.integers(0, 1)
COLUMNS = st.tuples(FEW, FEW, FEW, FEW, st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))


@st.composite
def small_tables(draw: st.DrawFn, unknown: bool = True) -> Table:
    """Tables of scenes that there are not: anything may lead anywhere, to what was not explored if `unknown`."""
    states, actions = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    cells = states * actions
    outcomes = np.array([(0, 0, 1, 0, 0, 0), *draw(st.lists(COLUMNS, min_size=1, max_size=4))], np.float64)
    outcomes[:, 5] *= outcomes[:, 4]
    to = np.array(draw(st.lists(st.integers(0, states - 1), min_size=cells, max_size=cells)), np.int32)
    number = np.array(draw(st.lists(st.integers(0, len(outcomes) - 1), min_size=cells, max_size=cells)), np.uint16)
    mask = np.array(draw(st.lists(st.booleans(), min_size=cells, max_size=cells)))
    shape = states, actions
    to, number, mask = to.reshape(shape), number.reshape(shape), mask.reshape(shape)
    to[~mask], number[~mask] = np.nonzero(~mask)[0], 0
    explored = np.array([True, *draw(st.lists(st.booleans(), min_size=states - 1, max_size=states - 1))])
    explored |= not unknown
    to[~explored], mask[~explored] = -1, False
    cut = np.array(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=states, max_size=states)))
    return Table(
        name="x", kind="x", par=draw(st.integers(1, 3)), limit=draw(st.integers(1, 4)), found=states,
        expanded=int(explored.sum()), action_names=("a",) * actions, feature_names=("f",), next_state=to,
        outcome=number, outcomes=outcomes, mask=mask, rows=np.zeros((1, 1), np.float32),
        row=np.zeros(states, np.int32), cut=cut,
        ended=np.zeros(states, np.bool_), explored=explored, parent=np.full(states, -1, np.int32),
        via=np.full(states, -1, np.int32),
    )  # fmt: skip

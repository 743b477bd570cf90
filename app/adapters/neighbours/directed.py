"""What people turn to next: directed counts, read from the ordered postings.

F_ij = sum over users of the weight of g, where item j is g places after item i in the user's
list; s_ij = F_ij / (d_i^.9 d_j^.1 + 20), d how many users have an item; and an item j is worth
sum_k 2^(-k / 2) s_(i_k) j to someone whose newest items are i_0, i_1, …

No matrix is kept: the rows that a query needs are counted when it comes, in integers, so there is
nothing to forget but the postings.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.query import Query
from app.adapters.neighbours.state import State

_REACH: Final = 10
"""Places after an item that count; the weight of each falls by a fifth."""
_WEIGHTS: Final = np.array([round(32 * 0.8**gap) for gap in range(_REACH)], dtype=np.float64)
_NEWEST: Final = 12
"""Items of a history that are asked; the next would count a sixty-fourth."""
_MOST_USERS: Final = 20_000
"""Users whose lists are read for a query at most. Everything comes after an item that more have."""
_POWER: Final = 0.9
_SHRINK: Final = 20.0


def successors(state: State, query: Query) -> NDArray[np.float64]:
    """Return how much speaks for each slot as what comes next, >= 0, shape (n_slots,)."""
    number, degrees = state.items.number, state.postings.items.length
    lowered = _lowered(int(degrees.max(initial=0)).bit_length())
    scores, left = np.zeros(len(state.items.key)), _MOST_USERS
    for k, item in enumerate(query.items[:_NEWEST]):
        slot = number.get(item)
        if slot is None or degrees[slot] > left:
            continue
        left -= int(degrees[slot])
        counts = _counts(state, slot)
        found = np.flatnonzero(counts > 0)
        held_back = float(degrees[slot]) ** _POWER
        scores[found] += 2 ** (-k / 2) * (
            counts[found] / (held_back * lowered[degrees[found]] + _SHRINK)
        )
    return scores


def _counts(state: State, slot: int) -> NDArray[np.float64]:
    """Return F of one item by slot; sums of integers, so the order of the users cannot show."""
    users, items = state.postings.users, state.postings.items
    who, place = (column[items.places(slot)] for column in items.columns)
    cells, ends = users.start[who] + place, users.start[who] + users.length[who]
    found = []
    for _ in range(_REACH):
        cells = cells + 1
        is_within = cells < ends
        cells, ends = cells[is_within], ends[is_within]
        found.append(users.columns[0][cells])
    weights = np.repeat(_WEIGHTS, [len(one) for one in found])
    counts: NDArray[np.float64] = np.bincount(
        np.concatenate(found), weights=weights, minlength=len(state.items.key)
    ).astype(np.float64, copy=False)
    return counts


@cache
def _lowered(n_bits: int) -> NDArray[np.float64]:
    """Return d^.1 for each d below 2^n_bits.

    By one scalar power each: vectorised powers may differ in the last bit with the place.
    """
    return np.array([degree ** (1 - _POWER) for degree in range(2**n_bits)])

"""The head of a catalogue that is too large for the counts of all its pairs.

EASE covers the items that most users have; the neighbours of the moment speak for the others.
Both are pure functions of the state, so a removal leaves neither with anything of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csc_matrix

from app.adapters.neighbours.ease import Floats
from app.adapters.neighbours.lists import Cells, Ints
from app.adapters.neighbours.ranking import shortlist
from app.adapters.neighbours.state import State
from app.adapters.neighbours.weighing import UNIT, Weighing
from app.domain.models import ItemId

_BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Head:
    """A copy of who has the most common items, to be counted while the state moves on.

    Memory: 4 bytes a pair.

    Args:
        items: ids, ascending.
        degrees: how many users have each, shape (n,).
        users: theirs, by number, one item's after another's.
        weighing: how a user with so many items of the head counts.
    """

    items: list[ItemId]
    degrees: Ints
    users: Cells
    weighing: Weighing

    @classmethod
    def of(cls, state: State, *, limit: int) -> Head:
        """Copy the ``limit`` items that most users have; ties go to the smaller id."""
        degrees = state.postings.items.length[: len(state.items.key)].astype(np.float64)
        degrees[degrees == 0] = -np.inf
        listed = shortlist(degrees, top_n=limit).tolist()
        chosen = sorted((-degrees[slot], state.items.name(slot)) for slot in listed)[:limit]
        items = sorted(item for _, item in chosen)
        slots = np.array([state.items.number[item] for item in items], dtype=np.int64)
        return cls(
            items,
            state.postings.items.length[slots].astype(np.int64),
            state.postings.items.gather(slots),
            state.weighing,
        )

    def ordered(self) -> Floats:
        """Return the weighted counts of pairs in the order of ``items``, shape (n, n).

        Integers until the end, so the numbers of the users do not matter.
        """
        users = self.users.astype(np.int64)
        lengths, which = np.unique(np.bincount(users), return_inverse=True)
        weights = np.array([self.weighing.of_user(n) if n else 0 for n in lengths.tolist()])[which]
        ends = np.concatenate([[0], np.cumsum(self.degrees)])
        ones = np.ones(len(users), dtype=np.int64)
        has = csc_matrix((ones, users, ends), shape=(len(weights), len(self.items))).tocsr()
        weighed = has.T.multiply(weights).tocsr()
        counts = np.empty((len(self.items), len(self.items)), dtype=np.float64)
        for begin in range(0, len(self.items), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            counts[block] = (weighed[block] @ has).toarray()
        counts /= UNIT
        return counts

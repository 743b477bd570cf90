"""The head of a catalogue that is too large for the counts of all its pairs.

EASE covers the items that most users have; the neighbours of the moment speak for the others.
Both are pure functions of the state, so a removal leaves neither with anything of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csc_matrix

from app.adapters.neighbours.ease import Floats
from app.adapters.neighbours.lists import Cells, Ints
from app.adapters.neighbours.ranking import shortlist
from app.adapters.neighbours.state import State
from app.adapters.neighbours.weighing import UNIT, Weighing
from app.domain.models import ItemId, Scored

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
        has = csc_matrix((ones, users, ends), shape=(len(weights), len(self.items)))
        weighed = has.T.multiply(weights).tocsr()
        counts = np.empty((len(self.items), len(self.items)), dtype=np.float64)
        for begin in range(0, len(self.items), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            counts[:, block] = (weighed @ has[:, block]).toarray()
        counts /= UNIT
        return counts


def joined(
    items: Sequence[ItemId],
    ease: Floats,
    near: Floats,
    *,
    state: State,
    top_n: int,
) -> list[Scored]:
    """Return the best of head and tail: EASE's scores, and the neighbours' on its scale.

    The scale is the one under which the neighbours' scores of the head come nearest to EASE's
    (least squares through zero over what EASE is for). Without common ground there is no scale,
    and the tail stays out.

    Args:
        items: of the head, ascending.
        ease: their scores, shape (n,); -inf for what must not be listed.
        near: the neighbours' scores by slot of the state, >= 0; 0 for what must not be listed.
        state: the slots' names.
        top_n: how many.
    """
    slots = np.array([state.items.number.get(item, -1) for item in items], dtype=np.int64)
    shared = np.append(near, 0.0)[slots]  # -1, the last: an item that nobody has any more
    wanted = np.maximum(ease, 0.0)
    mass = float((shared * shared).sum())
    scale = float((shared * wanted).sum()) / mass if mass else 0.0
    tail = near * scale
    tail[slots[slots >= 0]] = 0
    tail[tail == 0] = -np.inf
    found = [(-ease[at], items[at]) for at in shortlist(ease, top_n=top_n).tolist()]
    found += [(-tail[at], state.items.name(at)) for at in shortlist(tail, top_n=top_n).tolist()]
    return [Scored(item, -float(score)) for score, item in sorted(found)[:top_n]]

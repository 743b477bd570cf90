"""Recommendations straight from the posting lists: what the nearest users have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.query import UNIT, Query
from app.adapters.neighbours.ranking import shortlist
from app.adapters.neighbours.state import State

_WEIGHT_UNIT = 2**32
"""Similarities are integers in this unit, so that a sum does not depend on its order."""


@dataclass(frozen=True, slots=True)
class UserKnn:
    """User-based nearest neighbours at query time: no derived state at all.

    A neighbour v weighs (c / (h^(1 - p) n_v^p))^4: the fourth power of the asymmetric cosine, h
    what the history's items count together, c what those count that v has, too, n_v how many
    items v has, and p the length penalty. An item's score is the sum of the weights of the
    neighbours who have it.

    Source: Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated
    Datasets", RecSys 2013; there too a power sharpens the similarity.

    Args:
        n_neighbours: how many users to listen to, ties by pseudonym.
        length_penalty: p, 0 to 1; how much a long list counts against a neighbour; 0.5 is
            the plain cosine.
        max_cells: how many posting-list entries to read for a history, rarest items first;
            always at least one item's. Bounds the time of a request.
    """

    n_neighbours: int
    length_penalty: float
    max_cells: int

    def scores(self, state: State, query: Query) -> NDArray[np.float64]:
        """Return a score >= 0 for every slot of the state, 0 for what must not be listed."""
        number = state.items.number
        known, counts = query.known(number)
        if not len(known):
            return np.zeros(len(state.items.key))
        neighbours, weights = self._nearest(state, known, counts)
        items = state.postings.users.gather(neighbours)
        spread = np.repeat(weights, state.postings.users.length[neighbours])
        # float64 sums of integers below 2^53 are exact, in any order.
        sums = np.bincount(items, weights=spread, minlength=len(state.items.key))
        scores = sums.astype(np.float64, copy=False)
        scores[[number[item] for item in {*query.items, *query.never} if item in number]] = 0
        return scores

    def _nearest(self, state: State, history: Ints, counts: Ints) -> tuple[Ints, Ints]:
        """Return the slots of the nearest users and their weights, both shape (k,)."""
        degrees = state.postings.items.length[history].astype(np.int64)
        rarest = self._rarest(state, history, degrees)
        users, common = _in_common(state, history[rarest], counts[rarest])
        lengths = state.postings.users.length[users]
        # One scalar power for each distinct length: vectorised powers may differ in the
        # last bit with the place in the array.
        distinct = np.flatnonzero(np.bincount(lengths))
        lowered = np.zeros(int(distinct[-1]) + 1)
        lowered[distinct] = [n ** (-2 * self.length_penalty) for n in distinct.tolist()]
        lowered = lowered[lengths]
        squared = common**2 * lowered * float(counts.sum() / UNIT) ** (2 * self.length_penalty - 2)
        weights = np.rint(_WEIGHT_UNIT * (squared * squared)).astype(np.int64)
        listed = shortlist(weights.astype(np.float64), top_n=self.n_neighbours)
        if len(listed) > self.n_neighbours:
            by_rank = sorted(
                listed.tolist(), key=lambda at: (-weights[at], state.users.name(int(users[at])))
            )
            listed = np.array(by_rank[: self.n_neighbours])
        return users[listed].astype(np.int64), weights[listed]

    def _rarest(self, state: State, history: Ints, degrees: Ints) -> Ints:
        """Return which items of a history are read: the rarest, ties by id, within ``max_cells``.

        Ties go by id and not by slot, because slots depend on the order of the calls.
        """
        if degrees.sum() <= self.max_cells:
            return np.arange(len(history), dtype=np.int64)
        by_rank = sorted(
            range(len(history)), key=lambda at: (degrees[at], state.items.name(int(history[at])))
        )
        order = np.array(by_rank, dtype=np.int64)
        within = np.cumsum(degrees[order]) <= self.max_cells
        within[0] = True
        return order[within]


def _in_common(state: State, history: Ints, counts: Ints) -> tuple[Ints, NDArray[np.float64]]:
    """Return who has any of these items, ascending, and what those count that each has.

    One number for everybody: to sort those who are found takes ten times as long.
    """
    lists = state.postings.items
    common = np.zeros(len(state.postings.users.length), dtype=np.int32)
    for item, count in zip(history.tolist(), counts.tolist(), strict=True):
        common[lists.columns[0][lists.places(item)]] += count  # nobody is in a list twice
    users = np.flatnonzero(common > 0)  # of booleans, in a third of the time
    return users, common[users] / UNIT

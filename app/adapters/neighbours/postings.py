"""Who has what, from both sides."""

from __future__ import annotations

import numpy as np

from app.adapters.neighbours.lists import Cells, Ints, Lists


class Postings:
    """Posting lists user -> items and item -> users, each entry knowing its twin.

    Users and items are slot numbers. Adding or removing a user touches only that user's
    own entries and one cell in each of the user's items: the cost is O(n_u), whatever the
    number of users. The order within a list depends on the order of the calls and is never
    shown: readers must not let it matter.
    """

    def __init__(self) -> None:
        self.users = Lists()
        self.items = Lists()

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self.users.nbytes + self.items.nbytes

    def load(self, items: Cells, *, lengths: Ints, n_items: int) -> None:
        """Replace everything.

        Args:
            items: the users' items, users 0, 1, … one after another, distinct within a user.
            lengths: shape (n_users,), how many items each user has.
            n_items: items are below it.
        """
        owner = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        index = _indices_within(lengths)
        by_item = np.argsort(items, kind="stable")
        per_item = np.bincount(items, minlength=n_items).astype(np.int64)
        index_in_item = np.empty(len(items), dtype=np.int32)
        index_in_item[by_item] = _indices_within(per_item)
        self.users = Lists.filled(items, index_in_item, lengths=lengths)
        self.items = Lists.filled(owner[by_item], index[by_item], lengths=per_item)

    def ensure(self, *, n_users: int, n_items: int) -> None:
        """Have slots up to these numbers."""
        self.users.ensure(n_users)
        self.items.ensure(n_items)

    def add(self, user: int, items: Ints) -> None:
        """Give ``user`` these items, distinct and not yet there."""
        users, postings = self.users, self.items
        users.reserve(np.array([user]), extra=len(items))
        postings.reserve(items, extra=1)
        first = users.length[user]
        mine = slice(users.start[user] + first, users.start[user] + first + len(items))
        theirs = postings.start[items] + postings.length[items]
        users.cell[mine], users.back[mine] = items, postings.length[items]
        postings.cell[theirs] = user
        postings.back[theirs] = first + np.arange(len(items))
        users.length[user] += len(items)
        postings.length[items] += 1

    def remove(self, user: int, items: Ints) -> None:
        """Take these items, all of them there, away from ``user``."""
        users = self.users
        mine = slice(users.start[user], users.start[user] + users.length[user])
        doomed = np.isin(users.cell[mine], items)
        self._drop(users.cell[mine][doomed], users.back[mine][doomed])
        kept, kept_back = users.cell[mine][~doomed], users.back[mine][~doomed]
        users.cell[mine], users.back[mine] = 0, 0
        users.length[user] = len(kept)
        left = slice(mine.start, mine.start + len(kept))
        users.cell[left], users.back[left] = kept, kept_back
        self.items.back[self.items.start[kept] + kept_back] = np.arange(len(kept))

    def _drop(self, items: Cells, holes: Cells) -> None:
        """Remove the entry at ``holes`` of each of ``items``; the last entry moves there."""
        users, postings = self.users, self.items
        hole = postings.start[items] + holes
        last = postings.start[items] + postings.length[items] - 1
        mover, mover_back = postings.cell[last], postings.back[last]
        postings.cell[hole], postings.back[hole] = mover, mover_back
        users.back[users.start[mover] + mover_back] = holes
        postings.cell[last], postings.back[last] = 0, 0
        postings.length[items] -= 1


def _indices_within(lengths: Ints) -> Cells:
    starts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    return (np.arange(total, dtype=np.int64) - np.repeat(starts, lengths)).astype(np.int32)

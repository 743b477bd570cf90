"""Who has what, from both sides, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Cells, Ints, Lists, width

_CHUNK: Final = 100_000
"""Users whose pairs are put under their items at once, so that a build needs little beside."""


class Postings:
    """Posting lists user -> items, oldest first, and item -> (user, place in that user's list).

    Users and items are slot numbers. The order of an item's users depends on the order of the
    calls and is never shown: readers must not let it matter.

    Replacing a user's list costs a search in the list of each item that leaves it or moves in
    it, a comparison of 4 bytes an entry, and nothing for those before the first difference: an
    item that is added at the end costs the same whatever the history.

    Memory: 8 bytes a pair: 2 for the item, 4 for the user, 2 for the place. 10 with more than
    65,536 items, 2 more with a list as long.
    """

    def __init__(self) -> None:
        self.users = Lists.empty(n_columns=1)
        self.items = Lists.empty(n_columns=2)

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
        per_item = np.zeros(n_items, dtype=np.int64)
        for cells, _ in chunks(items, lengths):
            per_item += np.bincount(cells, minlength=n_items)
        ends = np.cumsum(per_item) - per_item
        owners = np.empty(len(items), dtype=np.int32)
        places = np.empty(len(items), dtype=width(int(lengths.max(initial=1)) - 1))
        for cells, users in chunks(items, lengths):
            order = np.argsort(cells, kind="stable")
            here = np.bincount(cells, minlength=n_items)
            before = np.cumsum(here) - here
            # What an item has of this chunk comes after what it has of those before.
            to = np.arange(len(cells)) + np.repeat(ends - before, here)
            counts = lengths[users]
            owners[to] = np.repeat(users, counts)[order]
            places[to] = _indices_within(counts)[order]
            ends += here
        self.users = Lists(items.astype(width(n_items - 1)), lengths=lengths)
        self.items = Lists(owners, places, lengths=per_item)

    def ensure(self, *, n_users: int, n_items: int) -> None:
        """Have slots up to these numbers."""
        self.users.ensure(n_users)
        self.users.hold(0, largest=n_items - 1)
        self.items.ensure(n_items)
        self.items.hold(0, largest=n_users - 1)

    def replace(self, user: int, items: Ints) -> None:
        """Let a user have exactly these items, distinct, oldest first."""
        self.items.hold(1, largest=len(items) - 1)
        had = self.users.of(user)
        shorter = min(len(had), len(items))
        differs = np.flatnonzero(had[:shorter] != items[:shorter])
        same = int(differs[0]) if len(differs) else shorter
        before, after = had[same:], items[same:]
        self._drop(user, before[np.isin(before, after, invert=True)])
        is_new = np.isin(after, before, invert=True)
        moved = np.flatnonzero(~is_new)
        self.items.columns[1][self._entries(user, after[moved])] = same + moved
        self._append(user, after[is_new], same + np.flatnonzero(is_new))
        self._write(user, items)

    def _entries(self, user: int, items: Cells | Ints) -> list[int]:
        """Return where the user's pairs lie in the columns of the items' lists."""
        users = self.items.columns[0]
        begins = self.items.start[items]
        ends = (begins + self.items.length[items]).tolist()
        return [
            begin + int((users[begin:end] == user).argmax())
            for begin, end in zip(begins.tolist(), ends, strict=True)
        ]

    def _drop(self, user: int, items: Cells) -> None:
        """Take a user out of the lists of these items; the last entry of each moves there."""
        holes = self._entries(user, items)
        last = self.items.start[items] + self.items.length[items] - 1
        for column in self.items.columns:
            column[holes] = column[last]
            column[last] = 0
        self.items.length[items] -= 1

    def _append(self, user: int, items: Ints, places: Ints) -> None:
        """Put a user into the lists of items that the user had not."""
        self.items.reserve(items, extra=1)
        ends = self.items.start[items] + self.items.length[items]
        self.items.columns[0][ends] = user
        self.items.columns[1][ends] = places
        self.items.length[items] += 1

    def _write(self, user: int, items: Ints) -> None:
        users = self.users
        longer = len(items) - int(users.length[user])
        if longer > 0:
            users.reserve(np.array([user]), extra=longer)
        users.columns[0][users.places(user)] = 0
        users.length[user] = len(items)
        users.columns[0][users.places(user)] = items


def chunks(items: Cells, lengths: Ints | NDArray[np.int32]) -> Iterator[tuple[Cells, Ints]]:
    """Yield users' items, one user's after another's, and the users, some at a time."""
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    for begin in range(0, len(lengths), _CHUNK):
        users = np.arange(begin, min(begin + _CHUNK, len(lengths)))
        yield items[ends[begin] : ends[users[-1] + 1]], users


def _indices_within(lengths: Ints) -> Ints:
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(starts, lengths)

"""The exact state: who has what, and how much two items are had together."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.gram import Gram, Sums, in_order
from app.adapters.neighbours.lists import Cells, Ints, width
from app.adapters.neighbours.postings import Postings, chunks
from app.adapters.neighbours.rows_hash import RowsHash
from app.adapters.neighbours.slots import Slots
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Pseudonym
from app.domain.recommendation.everybody import Histories
from app.domain.recommendation.numbers import Ids
from app.domain.recommendation.users import Users, told

_PLAIN = Weighing(regularisation=600.0, is_graded=False)
_HASH_FORMAT = b"lethe-neighbours-4-in-full\n"
_AT_ONCE: Final = 100_000
_FEW: Final = 8
_Few = tuple[set[ItemId], set[ItemId]] | tuple[None, None]


@dataclass(frozen=True, slots=True)
class Counts:
    """A copy of the counts: items ascending, how many users have each, cells in slot order."""

    items: list[ItemId]
    order: Ints
    degrees: Ints
    cells: Sums

    def ordered(self) -> NDArray[np.float64]:
        """Return the weighted counts in the order of ``items``, shape (n, n)."""
        return in_order(self.cells, self.order)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A copy of the state, to be hashed while the state itself moves on.

    Memory: 2 or 4 bytes a pair.

    Args:
        users: ascending, shape (n, 32).
        items: ascending.
        lengths: how many items each user has.
        ranks: where in ``items`` theirs stand, one user's after another's.
        counts: None above the limit.
    """

    users: Ids
    items: list[ItemId]
    lengths: NDArray[np.int32]
    ranks: Cells
    counts: Counts | None

    def digest(self) -> str:
        """Return 64 hex digits of SHA-256 over ids, item lists and counts, users by id."""
        digest = hashlib.sha256(_HASH_FORMAT)
        for count, keys in ((len(self.users), told(self.users)), (len(self.items), self.items)):
            digest.update(b"%d\n" % count)
            for key in keys:
                encoded = key.encode("utf-8", "surrogatepass")
                digest.update(b"%d:" % len(encoded) + encoded)
        digest.update(self.lengths.astype("<i8").tobytes())
        for ranks, users in chunks(self.ranks, self.lengths):
            owner = np.repeat(users, self.lengths[users])
            digest.update((owner * len(self.items) + ranks).astype("<i8").tobytes())
        if self.counts is not None:
            order = self.counts.order
            for row in order.tolist():
                digest.update(self.counts.cells[row, order].astype("<i8").tobytes())
        return digest.hexdigest()


class State:
    """Posting lists, and up to ``dense_limit`` items the dense, weighted counts of pairs.

    A pure function of who has which items in which order: users without items and items without
    users are not in it, and ``frozen`` shows it in the order of the ids. Not thread-safe.

    Memory: 8 to 12 bytes a pair (see ``Postings``) and up to a half more after growth, 53 to 59
    bytes a user, 250 an item, and 4 bytes a cell of the counts: 55 MB at 3,695 items, 400 MB at
    10,000.
    """

    def __init__(self, *, dense_limit: int, weighing: Weighing = _PLAIN) -> None:
        self._dense_limit = dense_limit
        self.weighing = weighing
        self.users = Users()
        self.items = Slots()
        self.postings = Postings()
        self.rows = RowsHash()
        self._hashed: int | None = None
        """Below which number users are in the hash of the rows; None for all."""
        self._gram: Gram | None = Gram(limit=dense_limit)

    @property
    def is_dense(self) -> bool:
        """Whether the counts of pairs are held."""
        return self._gram is not None

    @property
    def may_be_dense(self) -> bool:
        """Whether the catalogue is small enough for the counts of pairs."""
        return len(self.items.number) <= self._dense_limit

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays, without the ids of the items."""
        gram = self._gram.nbytes if self._gram else 0
        return self.users.nbytes + self.postings.nbytes + gram

    def load(self, histories: Iterable[tuple[Pseudonym, Sequence[ItemId]]]) -> None:
        """Fill an empty state. Items come newest first; of a user given twice the first counts.

        Who comes in columns leaves them to the state.
        """
        told = Histories.of(histories)
        self.users = told.users
        self.items.fill(told.items)
        n_items = len(told.items)
        cells: Cells = told.cells.astype(width(n_items - 1))
        self.postings.load(cells, lengths=told.lengths, n_items=n_items)
        self._hashed = 0
        self._count()

    def hash_some(self, n_users: int) -> bool:
        """Put the next of the users that were loaded into the hash; return whether all are in it.

        It takes longer than all else of a load, so it is done in parts, between others' changes.
        """
        if self._hashed is None:
            return True
        begin, end = self._hashed, min(self._hashed + n_users, self.users.n_numbers)
        users = [user for user in range(begin, end) if self.postings.users.length[user]]
        told = self.items.told()
        self.rows.add_many(
            (self.users.name(user), map(told.__getitem__, self._newest_first(user)))
            for user in users
        )
        self._hashed = end if end < self.users.n_numbers else None
        return self._hashed is None

    def _is_hashed(self, user: int | None) -> bool:
        return self._hashed is None or (user is not None and user < self._hashed)

    def _count(self) -> None:
        """Count the pairs of all users, if the catalogue is small enough."""
        self._gram = Gram(limit=self._dense_limit) if self.may_be_dense else None
        if self._gram:
            self._gram.ensure(len(self.items.key))
            for user in self.users.numbers().tolist():
                self._weigh(user, sign=1)

    def _weigh(self, user: int, *, sign: int, only: Collection[ItemId] | None = None) -> None:
        """Put all pairs of a user into the counts, or those with some items, or take them out."""
        items = self.postings.users.of(user).astype(np.int64)
        if self._gram and len(items):
            weight = sign * self.weighing.of_user(len(items))
            if only is None:
                self._gram.add(items, weight=weight)
            else:
                self._gram.add_some(self.items.known(only), items, weight=weight)

    def _few(self, had: Sequence[ItemId], wanted: Sequence[ItemId]) -> _Few:
        """Return the items that a user loses and gets, if no other pairs of the user change.

        A user's weight goes by the length of the list, so all may; None twice then, and where it
        costs no more to count all anew.
        """
        before, after = set(had), set(wanted)
        lost, new = before - after, after - before
        if len(lost) + len(new) > min(len(had), len(wanted)) / _FEW:
            return None, None
        weights = {self.weighing.of_user(len(items)) for items in (had, wanted)}
        return (lost, new) if len(weights) == 1 else (None, None)

    def had(self, pseudonym: Pseudonym) -> tuple[ItemId, ...]:
        """Return the user's items, newest first."""
        user = self.users.find(pseudonym)
        return () if user is None else tuple(map(self.items.name, self._newest_first(user)))

    def _newest_first(self, user: int) -> list[int]:
        slots: list[int] = self.postings.users.of(user)[::-1].tolist()
        return slots

    def set_user(self, pseudonym: Pseudonym, items: Sequence[ItemId]) -> tuple[ItemId, ...]:
        """Let a user have exactly these items, newest first; none takes the user out.

        Returns:
            What the user had before.
        """
        had, wanted = self.had(pseudonym), _oldest_first(items)
        if tuple(wanted[::-1]) == had:
            return had
        if had and self._is_hashed(self.users.find(pseudonym)):
            self.rows.remove(pseudonym, had)
        user = self.users.take(pseudonym)
        if self._is_hashed(user):
            self.rows.add(pseudonym, wanted[::-1])
        self.postings.ensure(n_users=user + 1, n_items=0)
        is_reordered = set(had) == set(wanted)
        if is_reordered:
            self._place(user, wanted)
        else:
            lost, new = self._few(had, wanted)
            self._weigh(user, sign=-1, only=lost)
            self._leave(user, had, kept=set(wanted))
            self._place(user, wanted)
            self._fit_gram()
            self._weigh(user, sign=1, only=new)
        if not wanted:
            self.users.drop(user)
        return had

    def _leave(self, user: int, had: Sequence[ItemId], *, kept: Collection[ItemId]) -> None:
        """Take away items; before others are given, so that no more slots are used than needed."""
        left = [item for item in had[::-1] if item in kept]
        if len(left) < len(had):
            self._place(user, left)
            for slot in [self.items.number[item] for item in had if item not in kept]:
                if not self.postings.items.length[slot]:
                    self.items.drop(slot)

    def _place(self, user: int, oldest_first: Sequence[ItemId]) -> None:
        slots = np.array([self.items.take(item) for item in oldest_first], dtype=np.int64)
        self.postings.ensure(n_users=0, n_items=len(self.items.key))
        self.postings.replace(user, slots)

    def _fit_gram(self) -> None:
        if not self.may_be_dense:
            self._gram = None
        if self._gram:
            self._gram.ensure(len(self.items.key))

    def histories(self) -> Iterable[tuple[Pseudonym, tuple[ItemId, ...]]]:
        """Yield every user's items, newest first."""
        for user in self.users.numbers().tolist():
            pseudonym = self.users.name(user)
            yield pseudonym, self.had(pseudonym)

    def counts(self) -> Counts | None:
        """Return a copy of the counts of pairs; None above the limit."""
        if self._gram is None:
            return None
        items, order = self.items.in_order()
        degrees = self.postings.items.length[order].astype(np.int64)
        return Counts(items, order, degrees, self._gram.copied(len(self.items.key)))

    def frozen(self) -> Frozen:
        """Return a copy of the state in the order of the ids."""
        users, user_order = self.users.in_order()
        items, item_order = self.items.in_order()
        rank = np.zeros(len(self.items.key), dtype=width(len(items) - 1))
        rank[item_order] = np.arange(len(items))
        parts = np.array_split(user_order, len(user_order) // _AT_ONCE + 1)
        ranks = np.concatenate([rank[self.postings.users.gather(part)] for part in parts])
        return Frozen(users, items, self.postings.users.length[user_order], ranks, self.counts())


def _oldest_first(items: Sequence[ItemId]) -> list[ItemId]:
    """Return what comes newest first in the order of the postings; of two the newer counts."""
    return list(dict.fromkeys(items))[::-1]

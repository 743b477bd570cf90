"""Everybody's evidence in columns, and what it speaks for.

A start reads millions of rows: an object for each, or a look at each user, takes minutes. Here a
batch of rows is a few arrays, and the opinions are those of ``OpinionRule.liked``, to the last
one, at a hundredth of the cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Pseudonym
from app.domain.recommendation.numbers import Ids, Ints, Numbers, unpacked
from app.domain.recommendation.opinion import OpinionRule
from app.domain.recommendation.opinions_of_many import Columns, liked
from app.domain.recommendation.users import Users

_AT_ONCE: Final = 1_000_000
"""Rows whose opinions are looked at together."""
_THREADS: Final = 2
_FEWEST: Final = 1_000_000
"""Rows that there is room for from the first on."""


class Rows(NamedTuple):
    """Some rows of evidence.

    Args:
        users: packed pseudonyms, shape (n, 32).
        items: ids, as ``packed_items`` packs them, shape (n, bytes).
        kinds: places in ``opinions_of_many.KINDS``, shape (n,).
        values: ratings, shape (n,); what stands where no rating has a value is not a number.
        moments: microseconds since 1970, shape (n,).
    """

    users: Ids
    items: Ids
    kinds: NDArray[np.uint8]
    values: NDArray[np.float64]
    moments: Ints


@dataclass(frozen=True, slots=True)
class Histories:
    """Users and the items that their evidence speaks for.

    Args:
        users: numbered from 0; each has an item.
        items: ids; each has a user.
        lengths: how many items each user has, shape (n_users,).
        cells: places in ``items``, one user's after another's, oldest first.
    """

    users: Users
    items: Sequence[ItemId]
    lengths: Ints
    cells: NDArray[np.int32]

    @classmethod
    def of(cls, histories: Iterable[tuple[Pseudonym, Sequence[ItemId]]]) -> Self:
        """Return histories told one by one, newest first; of a user given twice the first count."""
        if isinstance(histories, cls):
            return histories
        users, number = Users(), dict[ItemId, int]()
        lengths, cells = list[int](), list[list[int]]()
        for pseudonym, items in histories:
            if items and users.take(pseudonym) == len(lengths):
                distinct = list(dict.fromkeys(items))[::-1]
                cells.append([number.setdefault(item, len(number)) for item in distinct])
                lengths.append(len(distinct))
        return cls(
            users,
            list(number),
            np.array(lengths, dtype=np.int64),
            np.fromiter(chain.from_iterable(cells), dtype=np.int32, count=sum(lengths)),
        )

    def __iter__(self) -> Iterator[tuple[Pseudonym, list[ItemId]]]:
        """Yield each user's items, newest first."""
        ends = np.cumsum(self.lengths).tolist()
        for user, (begin, end) in enumerate(pairwise([0, *ends])):
            cells = self.cells[begin:end][::-1].tolist()
            yield self.users.name(user), [self.items[cell] for cell in cells]

    @classmethod
    def compact(
        cls, users: Users, items: Sequence[ItemId], lengths: Ints, cells: NDArray[np.int32]
    ) -> Self:
        """Return histories of users and items of which some may have none."""
        who = np.flatnonzero(lengths)
        is_had = np.bincount(cells, minlength=len(items)) > 0
        if len(who) < len(users):
            users, lengths = users.only(who), lengths[who]
        if not is_had.all():
            cells = (np.cumsum(is_had, dtype=np.int32) - 1)[cells]
            items = [item for item, had in zip(items, is_had.tolist(), strict=True) if had]
        return cls(users, items, lengths, cells)

    def without(self, pseudonym: Pseudonym) -> Self:
        """Return the histories of the others."""
        user = self.users.find(pseudonym)
        if user is None:
            return self
        begin = int(self.lengths[:user].sum())
        cells = np.delete(self.cells, slice(begin, begin + int(self.lengths[user])))
        lengths = self.lengths.copy()
        lengths[user] = 0
        return self.compact(self.users, self.items, lengths, cells)


class Everybody:
    """All rows of evidence, with numbers for users and items.

    Memory: 25 bytes a row and some 45 a user, and half as much again while opinions are made.
    """

    def __init__(self) -> None:
        self._users = Users()
        self._items = Numbers()
        self._columns, self._n_rows = Columns.empty(0), 0

    @classmethod
    def of(cls, read: Iterable[Rows]) -> Self:
        """Take in all rows, in any order."""
        everybody = cls()
        for rows in read:
            everybody.add(rows)
        return everybody

    def add(self, rows: Rows) -> None:
        """Take in more rows."""
        told = Columns(
            self._users.take_all(rows.users).astype(np.int32),
            self._items.take_all(rows.items).astype(np.int32),
            rows.kinds,
            rows.values,
            rows.moments,
        )
        begin, self._n_rows = self._n_rows, self._n_rows + len(rows.items)
        if self._n_rows > len(self._columns.users):
            # Few large arrays go back to the system at the end; many small ones would not.
            larger = Columns.empty(max(_FEWEST, self._n_rows * 3 // 2))
            larger.put(0, self._columns.of(slice(begin)))
            self._columns = larger
        self._columns.put(begin, told)

    def histories(self, rule: OpinionRule) -> Histories:
        """Return what each user's rows speak for, and keep none of them."""
        names = unpacked(self._items.ids)
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.zeros(len(names), dtype=np.int32)
        rank[order] = np.arange(len(names))
        columns = self._columns.of(slice(self._n_rows))
        self._columns, self._n_rows = Columns.empty(0), 0
        columns = columns._replace(items=rank[columns.items])
        with ThreadPoolExecutor(_THREADS) as threads:
            parts = _parts_of(columns.users)
            judged = threads.map(lambda rows: liked(rule, columns.of(rows)), parts)
            found = [liked(rule, Columns.empty(0)), *judged]
        owners, cells = map(np.concatenate, zip(*found, strict=True))
        lengths = np.bincount(owners, minlength=len(self._users))
        return Histories.compact(self._users, [names[item] for item in order], lengths, cells)


def _parts_of(users: NDArray[np.int32]) -> Iterator[NDArray[np.uint32]]:
    """Yield the places of rows in the order of users, all rows of some users at a time."""
    # Numbers are sorted five times as fast as places by numbers.
    order = users.astype(np.uint64) << np.uint64(32) | np.arange(len(users), dtype=np.uint64)
    order.sort()
    begin = 0
    while begin < len(order):
        last = order[min(begin + _AT_ONCE, len(order)) - 1] >> np.uint64(32)
        end = int(np.searchsorted(order, (last + np.uint64(1)) << np.uint64(32)))
        yield order[begin:end].astype(np.uint32)
        begin = end

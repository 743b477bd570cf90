"""Many growable lists of integers in one block of memory."""

from __future__ import annotations

from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Cells = NDArray[np.int32]

_Integer = TypeVar("_Integer", np.int32, np.int64)

_SMALLEST_CAPACITY = 4


class Lists:
    """Lists of entries, numbered from 0, each column of them in one int32 array.

    Indices within a list survive when the list moves to a larger place. Cells that are not
    in use are 0: what was removed does not linger.

    Memory: 4 bytes a column of an entry and 24 bytes a list; up to a half more while lists grow.
    """

    def __init__(self, *columns: Cells, lengths: Ints) -> None:
        """Take lists that lie in ``columns`` one after another."""
        self.columns = list(columns)
        self.length: Ints = lengths.astype(np.int64)
        self.start: Ints = np.cumsum(self.length) - self.length
        self._capacity: Ints = self.length.copy()
        self._used = len(columns[0])
        self._abandoned = 0

    @classmethod
    def empty(cls, *, n_columns: int) -> Self:
        """Return no lists yet."""
        none = np.zeros(0, dtype=np.int32)
        return cls(*[none] * n_columns, lengths=np.zeros(0, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        numbers = self.start.nbytes + self.length.nbytes + self._capacity.nbytes
        return numbers + sum(column.nbytes for column in self.columns)

    def ensure(self, n_lists: int) -> None:
        """Have at least ``n_lists`` lists; new ones are empty."""
        if n_lists > len(self.length):
            size = max(n_lists, len(self.length) + len(self.length) // 8)
            self.start = _grown(self.start, size)
            self.length = _grown(self.length, size)
            self._capacity = _grown(self._capacity, size)

    def reserve(self, numbers: Ints, *, extra: int) -> None:
        """Make room for ``extra`` more entries in each of these lists."""
        # Before room is made: writing all lists close together takes all room away.
        if self._abandoned > max(self._used // 4, 1024):
            self._compact()
        needed = self.length[numbers] + extra
        short = needed > self._capacity[numbers]
        for number, size in zip(numbers[short].tolist(), needed[short].tolist(), strict=True):
            self._move(number, capacity=max(_SMALLEST_CAPACITY, size + size // 4))

    def places(self, number: int) -> slice:
        """Return where a list's entries lie in the columns."""
        begin = int(self.start[number])
        return slice(begin, begin + int(self.length[number]))

    def of(self, number: int) -> Cells:
        """Return a copy of the first column of a list."""
        return self.columns[0][self.places(number)].copy()

    def gather(self, numbers: Ints) -> Cells:
        """Return the first columns of these lists, one after another."""
        return self.columns[0][self._places(numbers)]

    def _places(self, numbers: Ints) -> Ints:
        lengths = self.length[numbers]
        shift = self.start[numbers] - (np.cumsum(lengths) - lengths)
        return np.repeat(shift, lengths) + np.arange(lengths.sum(), dtype=np.int64)

    def _move(self, number: int, *, capacity: int) -> None:
        if self._used + capacity > len(self.columns[0]):
            size = self._used + capacity + self._used // 8
            self.columns = [_grown(column, size) for column in self.columns]
        old = self.places(number)
        new = slice(self._used, self._used + int(self.length[number]))
        for column in self.columns:
            column[new] = column[old]
            column[old] = 0
        self._abandoned += int(self._capacity[number])
        self.start[number], self._capacity[number] = self._used, capacity
        self._used += capacity

    def _compact(self) -> None:
        """Write all lists anew, close together, so that abandoned places are given back."""
        places = self._places(np.arange(len(self.length), dtype=np.int64))
        self.columns = [column[places] for column in self.columns]
        self._capacity = self.length.copy()
        self.start = np.cumsum(self.length) - self.length
        self._used, self._abandoned = len(places), 0


def _grown(array: NDArray[_Integer], size: int) -> NDArray[_Integer]:
    bigger: NDArray[_Integer] = np.zeros(size, dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger

"""Many growable lists of integers in one block of memory."""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Cells = NDArray[np.integer[Any]]
"""Numbers >= 0, in two bytes each or in four."""

_Numbers = TypeVar("_Numbers", bound=np.integer[Any])

_SMALLEST_CAPACITY = 4
_NARROW: Final = np.uint16
_WIDE: Final = np.int32


class Lists:
    """Lists of entries, numbered from 0, each column of them in one array.

    Indices within a list survive when the list moves to a larger place. Cells that are not
    in use are 0: what was removed does not linger.

    Memory: 2 bytes a column of an entry, 4 from the first number on that needs them, and 16 bytes
    a list; up to a half more while lists grow.
    """

    def __init__(self, *columns: Cells, lengths: Ints) -> None:
        """Take lists that lie in ``columns`` one after another."""
        self.columns = list(columns)
        self.length: NDArray[np.int32] = lengths.astype(np.int32)
        self.start: Ints = _starts(self.length)
        self._capacity = self.length.copy()
        self._used = len(columns[0])
        self._abandoned = 0

    @classmethod
    def empty(cls, *, n_columns: int) -> Self:
        """Return no lists yet."""
        none: Cells = np.zeros(0, dtype=_NARROW)
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
            self.start = grown(self.start, size)
            self.length = grown(self.length, size)
            self._capacity = grown(self._capacity, size)

    def hold(self, column: int, *, largest: int) -> None:
        """Let a column hold numbers up to ``largest``."""
        if not _fits(self.columns[column].dtype, largest):
            self.columns[column] = self.columns[column].astype(_WIDE)

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
            self.columns = [grown(column, size) for column in self.columns]
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
        self.start = _starts(self.length)
        self._used, self._abandoned = len(places), 0


def width(largest: int) -> type[np.uint16 | np.int32]:
    """Return the numbers that a column is made of which holds 0 to ``largest``."""
    return _NARROW if _fits(np.dtype(_NARROW), largest) else _WIDE


def grown(array: NDArray[_Numbers], size: int) -> NDArray[_Numbers]:
    """Return a longer copy, with 0 at the end."""
    bigger: NDArray[_Numbers] = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger


def _fits(numbers: np.dtype[Any], largest: int) -> bool:
    return largest <= np.iinfo(numbers).max


def _starts(lengths: NDArray[np.int32]) -> Ints:
    return np.cumsum(lengths, dtype=np.int64) - lengths

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
    """Lists of (cell, back) pairs, numbered from 0, all in two int32 arrays.

    ``cell`` is a list's content. ``back`` is for the owner: the index at which the mirrored
    pair stands in its own list, so that a pair is removed from both sides without a search.
    Indices within a list survive when the list moves to a larger place. Cells that are not
    in use are 0: what was removed does not linger.

    Memory: 8 bytes a cell, 24 bytes a list, up to twice that while lists grow.
    """

    def __init__(self) -> None:
        self.start: Ints = np.zeros(0, dtype=np.int64)
        self.length: Ints = np.zeros(0, dtype=np.int64)
        self._capacity: Ints = np.zeros(0, dtype=np.int64)
        self.cell: Cells = np.zeros(0, dtype=np.int32)
        self.back: Cells = np.zeros(0, dtype=np.int32)
        self._used = 0
        self._abandoned = 0

    @classmethod
    def filled(cls, cell: Cells, back: Cells, *, lengths: Ints) -> Self:
        """Return lists that lie in ``cell`` and ``back`` one after another."""
        lists = cls()
        lists.length = lengths.astype(np.int64)
        lists.start = np.cumsum(lists.length) - lists.length
        lists._capacity = lists.length.copy()
        lists.cell, lists.back = cell, back
        lists._used = len(cell)
        return lists

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        arrays = (self.start, self.length, self._capacity, self.cell, self.back)
        return sum(array.nbytes for array in arrays)

    def ensure(self, n_lists: int) -> None:
        """Have at least ``n_lists`` lists; new ones are empty."""
        if n_lists > len(self.length):
            size = max(n_lists, 2 * len(self.length))
            self.start = _grown(self.start, size)
            self.length = _grown(self.length, size)
            self._capacity = _grown(self._capacity, size)

    def reserve(self, numbers: Ints, *, extra: int) -> None:
        """Make room for ``extra`` more cells in each of these lists."""
        needed = self.length[numbers] + extra
        short = needed > self._capacity[numbers]
        for number, size in zip(numbers[short].tolist(), needed[short].tolist(), strict=True):
            self._move(number, capacity=max(_SMALLEST_CAPACITY, 2 * size))
        if self._abandoned > max(self._used // 2, 1024):
            self._compact()

    def of(self, number: int) -> Cells:
        """Return a copy of a list's content."""
        begin = self.start[number]
        return self.cell[begin : begin + self.length[number]].copy()

    def gather(self, numbers: Ints) -> Cells:
        """Return the contents of these lists, one after another."""
        return self.cell[self._places(numbers)]

    def _places(self, numbers: Ints) -> Ints:
        lengths = self.length[numbers]
        shift = self.start[numbers] - (np.cumsum(lengths) - lengths)
        return np.repeat(shift, lengths) + np.arange(lengths.sum(), dtype=np.int64)

    def _move(self, number: int, *, capacity: int) -> None:
        if self._used + capacity > len(self.cell):
            size = max(self._used + capacity, 2 * len(self.cell))
            self.cell, self.back = _grown(self.cell, size), _grown(self.back, size)
        old = slice(self.start[number], self.start[number] + self.length[number])
        new = slice(self._used, self._used + self.length[number])
        for array in (self.cell, self.back):
            array[new] = array[old]
            array[old] = 0
        self._abandoned += int(self._capacity[number])
        self.start[number], self._capacity[number] = self._used, capacity
        self._used += capacity

    def _compact(self) -> None:
        """Write all lists anew, close together, so that abandoned places are given back."""
        places = self._places(np.arange(len(self.length), dtype=np.int64))
        self.cell, self.back = self.cell[places], self.back[places]
        self._capacity = self.length.copy()
        self.start = np.cumsum(self.length) - self.length
        self._used, self._abandoned = len(self.cell), 0


def _grown(array: NDArray[_Integer], size: int) -> NDArray[_Integer]:
    bigger: NDArray[_Integer] = np.zeros(size, dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger

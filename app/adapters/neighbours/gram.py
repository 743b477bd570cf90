"""The dense matrix of co-occurrence, in integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.weighing import UNIT

Sums = NDArray[np.int32] | NDArray[np.int64]

_SMALLEST_SIDE = 64
_BLOCK = 256
# Adding a whole row costs a tenth per cell of adding at an index: measured at 3,695 items.
_DENSE_FACTOR = 10


class Gram:
    """Cell (i, j) is the sum of the weights of the users who have both item i and item j.

    Integers do not care for order, so adding and later subtracting a user's pairs leaves
    every cell as if the user had never been there.

    Memory: 4 bytes a cell; the side doubles when it must, up to ``limit`` slots. 8 bytes a
    cell once the weights of all users together could overflow one: some 50 million users.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._cells: Sums = np.zeros((0, 0), dtype=np.int32)
        self._mass = 0

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self._cells.nbytes

    def ensure(self, n_items: int) -> None:
        """Have slots up to ``n_items``, at most the limit."""
        side = len(self._cells)
        if n_items > side:
            new = min(self._limit, max(n_items, 2 * side, _SMALLEST_SIDE))
            cells = np.zeros((new, new), dtype=self._cells.dtype)
            cells[:side, :side] = self._cells
            self._cells = cells

    def add(self, items: Ints, *, weight: int) -> None:
        """Add ``weight`` to all pairs of a user's items, distinct; negative takes them out."""
        self._mass += weight
        if self._mass > np.iinfo(self._cells.dtype).max:
            self._cells = self._cells.astype(np.int64)
        items = np.sort(items)
        side = len(self._cells)
        if len(items) * _DENSE_FACTOR > side:
            mask = np.zeros(side, dtype=self._cells.dtype)
            mask[items] = weight
            for item in items.tolist():
                self._cells[item] += mask
            return
        flat = self._cells.reshape(-1)
        # In blocks, so that a heavy user needs no n_u x n_u index at once.
        for begin in range(0, len(items), _BLOCK):
            places = (items[begin : begin + _BLOCK, None] * side + items).reshape(-1)
            flat[places] += self._cells.dtype.type(weight)

    def add_some(self, some: Ints, items: Ints, *, weight: int) -> None:
        """Add ``weight`` to those pairs of a user's items, distinct, that hold one of ``some``.

        The user keeps other pairs of the same weight, so the sum of all weights stays.
        """
        for item in some.tolist():
            self._cells[item, items] += weight
            items = items[items != item]
            self._cells[items, item] += weight

    def copied(self, n_items: int) -> Sums:
        """Return a copy of the first ``n_items`` rows and columns."""
        return self._cells[:n_items, :n_items].copy()


def in_order(cells: Sums, order: Ints) -> NDArray[np.float64]:
    """Return ``cells[order][:, order]`` in whole users, float64, without a copy in between."""
    ordered = np.empty((len(order), len(order)), dtype=np.float64)
    for begin in range(0, len(order), _BLOCK):
        ordered[begin : begin + _BLOCK] = cells[order[begin : begin + _BLOCK]][:, order]
    ordered /= UNIT
    return ordered

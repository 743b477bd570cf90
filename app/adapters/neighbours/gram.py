"""The dense integer co-occurrence matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Cells, Ints

_SMALLEST_SIDE = 64
_BLOCK = 256
# Adding a whole row costs a tenth per cell of adding at an index: measured at 3,695 items.
_DENSE_FACTOR = 10


class Gram:
    """Counts: cell (i, j) is how many users have both item i and item j; (i, i) the degree.

    Integers do not care for order, so adding and later subtracting a user's pairs leaves
    every cell as if the user had never been there.

    Memory: 4 bytes a cell; the side doubles when it must, up to ``limit`` slots.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._cells: Cells = np.zeros((0, 0), dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self._cells.nbytes

    def ensure(self, n_items: int) -> None:
        """Have slots up to ``n_items``, at most the limit."""
        side = len(self._cells)
        if n_items > side:
            new = min(self._limit, max(n_items, 2 * side, _SMALLEST_SIDE))
            cells = np.zeros((new, new), dtype=np.int32)
            cells[:side, :side] = self._cells
            self._cells = cells

    def add(self, added: Ints, *, kept: Ints) -> None:
        """Count the pairs that a user gains who has ``kept`` and now also ``added``."""
        self._change(added, kept, by=1)

    def remove(self, removed: Ints, *, kept: Ints) -> None:
        """Take back the pairs that a user loses who keeps only ``kept``."""
        self._change(removed, kept, by=-1)

    def _change(self, moved: Ints, kept: Ints, *, by: int) -> None:
        self._step(moved, np.concatenate([moved, kept]), by=by)
        if len(kept):
            self._step(kept, moved, by=by)

    def _step(self, rows: Ints, columns: Ints, *, by: int) -> None:
        """Add ``by`` at rows x columns, both distinct."""
        rows, columns = np.sort(rows), np.sort(columns)
        side = len(self._cells)
        if len(columns) * _DENSE_FACTOR > side:
            mask = np.zeros(side, dtype=np.int32)
            mask[columns] = by
            for row in rows.tolist():
                self._cells[row] += mask
            return
        flat = self._cells.reshape(-1)
        # In blocks, so that a heavy user needs no n_u x n_u index at once.
        for begin in range(0, len(rows), _BLOCK):
            places = (rows[begin : begin + _BLOCK, None] * side + columns).reshape(-1)
            flat[places] += np.int32(by)

    def copied(self, n_items: int) -> Cells:
        """Return a copy of the first ``n_items`` rows and columns."""
        return self._cells[:n_items, :n_items].copy()


def in_order(cells: Cells, order: Ints) -> NDArray[np.float64]:
    """Return ``cells[order][:, order]`` as float64, without a second copy in between."""
    ordered = np.empty((len(order), len(order)), dtype=np.float64)
    for begin in range(0, len(order), _BLOCK):
        ordered[begin : begin + _BLOCK] = cells[order[begin : begin + _BLOCK]][:, order]
    return ordered

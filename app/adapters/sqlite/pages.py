"""The pages of a SQLite file, and which of their bytes nobody reads.

Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.adapters.sqlite.fts5_structure import varint

PORTION: Final = 4_096
"""Pages that are looked at under one lock; 16 MB take some 30 ms."""
_HEADER_BYTES: Final = 100
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_HEADER_OF: Final = {_INDEX_INTERIOR: 12, _TABLE_INTERIOR: 12, _INDEX_LEAF: 8, _TABLE_LEAF: 8}
_MALFORMED: Final = "a page of the database is malformed"
_WAL: Final = 2
"""Version of the format of a file in WAL mode; 1 is that of the others."""
_AMBIGUOUS: Final = 1 << 24
"""From so many pages on, the first byte of a chain's page is no longer 0."""
Pages = NDArray[np.uint8]
Indices = NDArray[np.int64]


class UnknownLayoutError(Exception):
    """The file is not laid out as this module knows it; only ``VACUUM`` can clean it."""


class Layout(NamedTuple):
    """Of a file: bytes of a page, those SQLite uses of it, and how many pages there are."""

    page: int
    usable: int
    n_pages: int


def layout_of(descriptor: int) -> Layout:
    """Read how a file is laid out.

    Raises:
        UnknownLayoutError: this module does not know it.
    """
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    page = int.from_bytes(header[16:18], "big")
    page = 65_536 if page == 1 else page
    n_pages = os.fstat(descriptor).st_size // page
    vacuums_itself = any(header[52:56])
    if header[18] > _WAL or vacuums_itself or n_pages >= _AMBIGUOUS:
        raise UnknownLayoutError
    return Layout(page, page - header[20], n_pages)


def _u16(rows: Pages, at: int) -> NDArray[np.int64]:
    return (rows[:, at].astype(np.int64) << 8) | rows[:, at + 1]


class Portion:
    """Some pages in a row, read as they are; nobody writes meanwhile."""

    def __init__(self, descriptor: int, layout: Layout, *, first: int) -> None:
        self._descriptor = descriptor
        self._layout = layout
        self._first = first
        self._data = bytearray(min(PORTION, layout.n_pages - first + 1) * layout.page)
        os.preadv(descriptor, [self._data], (first - 1) * layout.page)
        self._pages = np.frombuffer(self._data, dtype=np.uint8).reshape(-1, layout.page)
        self._zeros = bytes(layout.page)
        self._changed: set[int] = set()

    def clean(self) -> int:
        """Write zeros over the free bytes of these pages, and of chains that begin in them."""
        kinds = np.where(self._clean_free_pages(), 0, self._pages[:, 0])
        rows = np.flatnonzero(np.isin(kinds, list(_HEADER_OF)))
        self._clean_gaps(rows)
        self._clean_blocks(rows)
        size = self._layout.page
        for row in sorted(self._changed):
            self._write(self._first + row, self._data[row * size : (row + 1) * size])
        return len(self._changed) + sum(self._clean_chain(*one) for one in self._chains(kinds))

    def _blank(self, rows: Indices, starts: Indices, ends: Indices) -> None:
        """Set [start, end) of each of these rows to zeros, and note the rows that changed."""
        data, zeros, size = self._data, self._zeros, self._layout.page
        for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
            begin, stop = row * size + start, row * size + end
            if data[begin:stop] != zeros[: stop - begin]:
                data[begin:stop] = zeros[: stop - begin]
                self._changed.add(row)

    def _read(self, number: int) -> bytes:
        if not 0 < number <= self._layout.n_pages:
            raise sqlite3.DatabaseError(_MALFORMED)
        return os.pread(self._descriptor, self._layout.page, (number - 1) * self._layout.page)

    def _write(self, number: int, page: bytes | bytearray) -> None:
        os.pwrite(self._descriptor, page, (number - 1) * self._layout.page)

    def _clean_free_pages(self) -> NDArray[np.bool_]:
        """Blank what free pages hold beyond the list of them; return which pages are free."""
        is_free = np.zeros(len(self._pages), dtype=np.bool_)
        trunk, seen = int.from_bytes(os.pread(self._descriptor, 4, 32), "big"), 0
        while trunk:
            page = self._read(trunk)
            n_leaves, seen = int.from_bytes(page[4:8], "big"), seen + 1
            if n_leaves > self._layout.usable // 4 - 2 or seen > self._layout.n_pages:
                raise sqlite3.DatabaseError(_MALFORMED)
            leaves = np.frombuffer(page, dtype=">u4", count=n_leaves, offset=8).astype(np.int64)
            rows = leaves[(leaves >= self._first) & (leaves < self._first + len(self._pages))]
            rows -= self._first
            self._blank(rows, np.zeros_like(rows), np.full_like(rows, self._layout.page))
            is_free[rows] = True
            row = trunk - self._first
            if 0 <= row < len(self._pages):
                ends = (row, 8 + 4 * n_leaves, self._layout.page)
                self._blank(*(np.array([number]) for number in ends))
                is_free[row] = True
            trunk = int.from_bytes(page[:4], "big")
        return is_free

    def _clean_gaps(self, rows: Indices) -> None:
        """Blank what lies between the list of a page's cells and the first of them."""
        pages = self._pages[rows]
        starts = np.where(pages[:, 0] <= _TABLE_INTERIOR, 12, 8) + 2 * _u16(pages, 3)
        ends = _u16(pages, 5)
        ends = np.where(ends == 0, 65_536, ends)
        if (starts > ends).any() or (ends > self._layout.usable).any():
            raise sqlite3.DatabaseError(_MALFORMED)
        self._blank(rows, starts, ends)

    def _clean_blocks(self, rows: Indices) -> None:
        """Blank the blocks that cells have left; each begins with where the next is, and its size.

        Pieces of less than four bytes are in no list; SQLite counts them only.
        """
        at = _u16(self._pages[rows], 1)
        last = np.zeros_like(at)
        while True:
            is_block = at > 0
            rows, at, last = rows[is_block], at[is_block], last[is_block]
            if not len(rows):
                return
            if (at <= last).any() or (at > self._layout.usable - 4).any():
                raise sqlite3.DatabaseError(_MALFORMED)
            following = self._u16_at(rows, at)
            ends = at + self._u16_at(rows, at + 2)
            if (ends > self._layout.usable).any() or (ends < at + 4).any():
                raise sqlite3.DatabaseError(_MALFORMED)
            self._blank(rows, at + 4, ends)
            last, at = at, following

    def _u16_at(self, rows: Indices, at: Indices) -> NDArray[np.int64]:
        return (self._pages[rows, at].astype(np.int64) << 8) | self._pages[rows, at + 1]

    def _chains(self, kinds: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        """Yield (first page, bytes) of what cells of these pages keep in pages of their own."""
        usable = self._layout.usable
        of_index = (usable - 12) * 64 // 255 - 23
        for kind, before, most in (
            (_TABLE_LEAF, 0, usable - 35),
            (_INDEX_LEAF, 0, of_index),
            (_INDEX_INTERIOR, 4, of_index),
        ):
            rows = np.flatnonzero(kinds == kind)
            for row, cell in self._long_cells(rows, before=before, most=most, kind=kind):
                page = self._pages[row].tobytes()
                size, at = varint(page, cell + before)
                if kind == _TABLE_LEAF:
                    _rowid, at = varint(page, at)
                least = (usable - 12) * 32 // 255 - 23
                local = least + (size - least) % (usable - 4)
                local = local if local <= most else least
                at += local
                yield int.from_bytes(page[at : at + 4], "big"), size - local

    def _long_cells(
        self, rows: NDArray[np.intp], *, before: int, most: int, kind: int
    ) -> Iterator[tuple[int, int]]:
        """Yield (row, offset) of the cells of more than ``most`` bytes."""
        counts = _u16(self._pages[rows], 3)
        of_row = np.repeat(rows, counts)
        order = np.arange(len(of_row)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = _HEADER_OF[kind] + 2 * order
        cells = self._u16_at(of_row, places)
        if (cells > self._layout.usable - 4).any():
            raise sqlite3.DatabaseError(_MALFORMED)
        size = np.zeros(len(cells), dtype=np.int64)
        goes_on = np.ones(len(cells), dtype=np.bool_)
        for step in range(4):  # 28 bits; a longer one is longer than any cell
            byte = self._pages[of_row, np.minimum(cells + before + step, self._layout.page - 1)]
            size = np.where(goes_on, (size << 7) | (byte & 0x7F), size)
            goes_on &= byte >= 0x80  # noqa: PLR2004 - the bit that says that more follow
        is_long = (size > most) | goes_on
        yield from zip(of_row[is_long].tolist(), cells[is_long].tolist(), strict=True)

    def _clean_chain(self, number: int, left: int) -> int:
        """Write zeros behind the end of a chain; return whether there was anything else."""
        each = self._layout.usable - 4
        while left > each:
            number = int.from_bytes(self._read(number)[:4], "big")
            left -= each
        page, usable = self._read(number), self._layout.usable
        rest = usable - 4 - left
        if not any(page[4 + left : usable]):
            return 0
        self._write(number, page[: 4 + left] + bytes(rest) + page[usable:])
        return 1

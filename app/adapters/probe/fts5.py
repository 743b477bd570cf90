"""Read the postings that really lie in an FTS5 index, those of deleted rows included.

SQLite's own queries and ``fts5vocab`` hide what a delete marker covers; a search for whole texts
cannot see it either, because the index holds trigrams. So the segments are read as they are.
Format: the comment at the head of ``fts5_index.c`` and https://www.sqlite.org/fts5.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.sqlite.fts5_structure import STRUCTURE_ROW, Segment, levels, varint

_SEGMENT_SHIFT: Final = 37
_MAIN_INDEX: Final = b"0"
_LEAF_HEADER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A decoded page: of each term [begin, end) of its list; where the first term begins.

    Args:
        terms: in the order of the page.
        last: the term whose list may go on over the next page; None where no term begins here.
        first_rowid: where the first row number stands that no term precedes, 0 for none.
        first_term: end of what belongs to the list of an earlier page.
    """

    data: bytes
    terms: dict[bytes, tuple[int, int]]
    last: bytes | None
    first_rowid: int
    first_term: int


class FullTextIndex:
    """Raw reader of one FTS5 table. Each read is short, so writers do not wait.

    Args:
        connection: read-only, and of a process that has no Chroma client open.
        table: name of the FTS5 table.
    """

    def __init__(self, connection: sqlite3.Connection, *, table: str) -> None:
        self._connection = connection
        leaf = f"SELECT block FROM {table}_data WHERE id = ?"  # noqa: S608 - a table of ours
        page = f"SELECT pgno >> 1 FROM {table}_idx WHERE segid = ?"  # noqa: S608 - the same
        live = f"SELECT 1 FROM {table}_content WHERE id = ?"  # noqa: S608 - the same
        self._leaf_sql, self._live_sql = leaf, live
        self._page_sql = f"{page} AND term <= ? ORDER BY term DESC LIMIT 1"
        self._leaves: dict[int, _Leaf] = {}
        self._rowids: dict[str, NDArray[np.int64]] = {}
        self._segments: list[Segment] | None = None

    def segments(self) -> list[Segment]:
        """Return the segments there are now."""
        structure = self._block(STRUCTURE_ROW)
        return [segment for level in levels(structure) for segment in level]

    def is_live(self, rowid: int) -> bool:
        """Whether the table has a row of that number."""
        return self._connection.execute(self._live_sql, (rowid,)).fetchone() is not None

    def rowids(self, term: str) -> NDArray[np.int64]:
        """Return every row that some segment lists under ``term``, delete markers too; ascending.

        Each page and each term is read once, so the answers are of one moment or a little later.
        """
        if self._segments is None:
            self._segments = self.segments()
        if term not in self._rowids:
            key = _MAIN_INDEX + term.encode()
            rows = (row for segment in self._segments for row in self._postings(segment, key=key))
            self._rowids[term] = np.unique(np.fromiter(rows, dtype=np.int64))
        return self._rowids[term]

    def _block(self, block_id: int) -> bytes:
        row = self._connection.execute(self._leaf_sql, (block_id,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def _leaf(self, segment: Segment, *, page: int) -> _Leaf:
        block_id = (segment.segment_id << _SEGMENT_SHIFT) + page
        if block_id not in self._leaves:
            self._leaves[block_id] = _leaf(self._block(block_id))
        return self._leaves[block_id]

    def _postings(self, segment: Segment, *, key: bytes) -> Iterator[int]:
        row = self._connection.execute(self._page_sql, (segment.segment_id, key)).fetchone()
        page = segment.first_page if row is None else int(row[0])
        leaf = self._leaf(segment, page=page)
        if key not in leaf.terms:
            return
        start, end = leaf.terms[key]
        yield from _decode(leaf.data, start=start, end=end)
        goes_on = key == leaf.last
        while goes_on and page < segment.last_page:
            page += 1
            leaf = self._leaf(segment, page=page)
            if leaf.first_rowid:
                yield from _decode(leaf.data, start=leaf.first_rowid, end=leaf.first_term)
            goes_on = leaf.last is None


def _term_offsets(leaf: bytes) -> list[int]:
    """Return where terms begin on the page: its footer, first absolute, then differences."""
    at, offset, offsets = int.from_bytes(leaf[2:4], "big"), 0, []
    while at < len(leaf):
        step, at = varint(leaf, at)
        offset += step
        offsets.append(offset)
    return offsets


def _leaf(data: bytes) -> _Leaf:
    """Decode a page; a term but the first is written as its difference to the one before."""
    if len(data) <= _LEAF_HEADER_BYTES:
        return _Leaf(b"", {}, None, 0, 0)
    footer = int.from_bytes(data[2:4], "big")
    offsets = _term_offsets(data)
    terms: dict[bytes, tuple[int, int]] = {}
    term = b""
    for number, (offset, end) in enumerate(pairwise([*offsets, footer])):
        kept, at = (0, offset) if number == 0 else varint(data, offset)
        n_new, at = varint(data, at)
        term = term[:kept] + data[at : at + n_new]
        terms[term] = (at + n_new, end)
    first_rowid = int.from_bytes(data[:2], "big")
    return _Leaf(data, terms, term or None, first_rowid, offsets[0] if offsets else footer)


def _decode(leaf: bytes, *, start: int, end: int) -> Iterator[int]:
    """Yield the row numbers of a list; the first is absolute, then differences."""
    at, rowid = start, 0
    while at < end:
        step, at = varint(leaf, at)
        rowid += step
        yield rowid
        if at >= end:
            return
        size, at = varint(leaf, at)
        at += size >> 1  # the lowest bit marks a delete

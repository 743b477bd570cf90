"""Which segments an FTS5 index has, level by level.

Format: the comment at the head of SQLite's ``fts5_index.c``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STRUCTURE_ROW: Final = 10
"""Number of the structure's row in the table ``…_data``."""
_V2_MAGIC: Final = b"\xff\x00\x00\x01"
_COOKIE_BYTES: Final = 4
_VARINT_LAST: Final = 9


@dataclass(frozen=True, slots=True)
class Segment:
    """A sorted run of terms: its id and the numbers of its first and last leaf page."""

    segment_id: int
    first_page: int
    last_page: int


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return SQLite's variable-length integer at ``at``, and where it ends.

    Seven bits a byte, the highest says that more follow; a ninth byte has all eight.
    """
    value = 0
    for _ in range(_VARINT_LAST - 1):
        byte = data[at]
        at += 1
        value = (value << 7) | (byte & 0x7F)
        if not byte & 0x80:
            return value, at
    return (value << 8) | data[at], at + 1


def levels(structure: bytes) -> list[list[Segment]]:
    """Return the segments of each level, the youngest level first; levels may be empty."""
    if not structure:
        return []
    at = _COOKIE_BYTES
    is_v2 = structure[at : at + len(_V2_MAGIC)] == _V2_MAGIC
    at += len(_V2_MAGIC) if is_v2 else 0
    n_levels, at = varint(structure, at)
    _n_segments, at = varint(structure, at)
    _write_counter, at = varint(structure, at)
    found: list[list[Segment]] = []
    for _ in range(n_levels):
        _n_merge, at = varint(structure, at)
        n_segments, at = varint(structure, at)
        level: list[Segment] = []
        for _ in range(n_segments):
            numbers = []
            for _ in range(8 if is_v2 else 3):
                number, at = varint(structure, at)
                numbers.append(number)
            level.append(Segment(*numbers[:3]))
        found.append(level)
    return found


def is_purged(structure: bytes) -> bool:
    """Whether a merge of all segments has dropped the delete markers, too.

    SQLite drops them only when it merges into the last level. If levels above were emptied before,
    it merges into a level below, and every marker stays, together with the deleted term.
    """
    found = levels(structure)
    n_segments = sum(map(len, found))
    return n_segments == 0 or (n_segments == 1 and bool(found[-1]))

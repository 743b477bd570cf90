"""Finds damaged indexes of Chroma: ``python -m app.adapters.chroma.index_check PATH``.

Chroma loads an index with overwritten slots without an error. A link that leads out of the graph
then crashes the process at the next write. This program names the damaged collections; it opens
the database itself, so it must not run in a process that has Chroma open.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from app.adapters.chroma.hnsw_header import HEADER_FILE, SLOTS_FILE, HnswHeader, read_header
from app.adapters.chroma.maintenance import DATABASE_FILE

_COUNT_BYTES: Final = 4
"""Bytes before the links of a slot: how many links, 2 bytes, then flags."""
_UPPER_FILE: Final = "link_lists.bin"
_BLOCK_SLOTS: Final = 4_096
_NORM_ERROR: Final = 0.01
_SEGMENTS: Final = """
    SELECT collections.name, segments.id FROM segments
    JOIN collections ON segments.collection = collections.id WHERE segments.scope = 'VECTOR'
"""


def unsound_segments(directory: Path) -> list[str]:
    """Return the names of damaged index directories. Opens no database."""
    headers = directory.glob(f"*/{HEADER_FILE}")
    return sorted(one.parent.name for one in headers if not is_sound(one.parent))


def is_sound(segment: Path) -> bool:
    """Whether the slots of an index are as its header says; True if there is no index yet.

    Nothing may write to it meanwhile.
    """
    try:
        header = read_header(segment)
    except ValueError:
        return False
    if header is None:
        return True
    path = segment / SLOTS_FILE
    if not path.is_file() or path.stat().st_size < header.count * header.slot_size:
        return False
    if not all(_are_sound(block, header=header) for block in _blocks(path, header=header)):
        return False
    return _is_upper_sound(segment / _UPPER_FILE, header=header)


def _is_upper_sound(path: Path, *, header: HnswHeader) -> bool:
    """Check the graph's upper levels: for each slot, a length in bytes and so many bytes of links.

    Every 32-bit word there is the number of a slot or a number of links, so both bound it.
    """
    words = np.fromfile(path, "<u4") if path.is_file() else np.empty(0, "<u4")
    most, at = max(header.count, header.data_offset), 0
    for _ in range(header.count):
        if at >= len(words):
            return False
        n_words = int(words[at]) // _COUNT_BYTES
        if at + 1 + n_words > len(words) or (words[at + 1 : at + 1 + n_words] >= most).any():
            return False
        at += 1 + n_words
    return True


def _blocks(path: Path, *, header: HnswHeader) -> Iterator[bytes]:
    """Yield the used slots in blocks of some thousands."""
    with path.open("rb") as stream:
        for start in range(0, header.count, _BLOCK_SLOTS):
            yield stream.read(min(_BLOCK_SLOTS, header.count - start) * header.slot_size)


def _are_sound(block: bytes, *, header: HnswHeader) -> bool:
    """Check that each slot's links lead to slots, and that its vector has norm 1 (or is 0)."""
    slots = np.frombuffer(block, np.uint8).reshape(-1, header.slot_size)
    n_links = np.ascontiguousarray(slots[:, :2]).view("<u2")[:, 0]
    links = np.ascontiguousarray(slots[:, _COUNT_BYTES : header.data_offset]).view("<u4")
    if (n_links > links.shape[1]).any():
        return False
    is_used = np.arange(links.shape[1]) < n_links[:, np.newaxis]
    if (links[is_used] >= header.count).any():
        return False
    vectors = np.ascontiguousarray(slots[:, header.data_offset : header.label_offset]).view("<f4")
    with np.errstate(all="ignore"):  # damaged bytes may be any number, or none
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        return bool(((norms == 0) | (np.abs(norms - 1) < _NORM_ERROR)).all())


def main(arguments: list[str]) -> int:
    """Print the names of damaged collections as JSON; return 0."""
    directory = Path(arguments[0])
    uri = f"{(directory / DATABASE_FILE).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = connection.execute(_SEGMENTS).fetchall()
    damaged = set(unsound_segments(directory))
    sys.stdout.write(json.dumps([name for name, segment in rows if segment in damaged]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

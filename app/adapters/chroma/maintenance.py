"""Cleans the files of a Chroma database: ``python -m app.adapters.chroma.maintenance PATH``.

A program of its own, because Python's sqlite3 and Chroma's own SQLite in one process do not
see each other's POSIX locks: "disk I/O error", then a corrupted database. So no process that has
a Chroma client open may call anything in here; ``maintenance_process`` starts it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from app.adapters.chroma.fts5_structure import STRUCTURE_ROW, is_purged
from app.adapters.chroma.hnsw_header import read_header

DATABASE_FILE: Final = "chroma.sqlite3"
LOCK_FILE: Final = "lethe-maintenance.lock"
FILL_FILE: Final = "lethe-fill.json"
"""File with the last maintenance's report, for the metrics of any process."""
_BUSY_TIMEOUT_S: Final = 5.0
"""Short, because while it waits for a reader to finish, new readers have to wait, too."""
_SPACE_FACTOR: Final = 2  # VACUUM writes a copy and a journal of it
_SEGMENT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ZEROS: Final = bytes(1 << 20)

_FULL_TEXT: Final = "INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES(?)"
_STRUCTURE: Final = "SELECT block FROM embedding_fulltext_search_data WHERE id = ?"
_FILL: Final = """
    SELECT collections.name, vectors.id, COALESCE(live.n, 0)
    FROM collections
    JOIN segments AS vectors ON vectors.collection = collections.id AND vectors.scope = 'VECTOR'
    JOIN segments AS rows ON rows.collection = collections.id AND rows.scope = 'METADATA'
    LEFT JOIN (SELECT segment_id, COUNT(*) AS n FROM embeddings GROUP BY segment_id) AS live
        ON live.segment_id = rows.id
"""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` (created if missing); wait for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def clean(directory: Path) -> dict[str, object]:
    """Clear full-text tombstones and free pages; remove directories of dropped collections.

    Returns:
        ``bytes_freed``, ``directories_removed``, ``fill``: of each collection [name, slots in
        its index, live records, bytes of its files], and ``damaged``: names of those whose index
        cannot be read.

    Raises:
        OSError: no database there, or too little space for VACUUM's copy.
        sqlite3.Error: the database stayed busy, or is damaged.
    """
    database = directory / DATABASE_FILE
    with locked(directory / LOCK_FILE):
        before = database.stat().st_size
        _require_space(directory, n_bytes=_SPACE_FACTOR * before)
        segments = [d for d in directory.iterdir() if d.is_dir() and _SEGMENT.fullmatch(d.name)]
        with closing(_open(database)) as connection:
            _purge_full_text(connection)
            connection.execute("VACUUM")
            # Read after the directories were listed: a directory's row is older than the directory.
            owned = {row[0] for row in connection.execute("SELECT id FROM segments")}
            rows = connection.execute(_FILL).fetchall()
        orphans = [segment for segment in segments if segment.name not in owned]
        freed = before - database.stat().st_size + sum(_shred(orphan) for orphan in orphans)
    cleaned = {"bytes_freed": max(0, freed), "directories_removed": len(orphans)}
    return cleaned | _fill(directory, rows)


def _purge_full_text(connection: sqlite3.Connection) -> None:
    """Merge the full-text index's segments; rebuild it if the merge has kept deleted terms.

    In one transaction, because a write in between would look like a deleted term that was kept. A
    rebuild costs 3.5 times a merge.
    """
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_FULL_TEXT, ("optimize",))
    (structure,) = connection.execute(_STRUCTURE, (STRUCTURE_ROW,)).fetchone()
    if not is_purged(bytes(structure)):
        connection.execute(_FULL_TEXT, ("rebuild",))
    connection.execute("COMMIT")


def _fill(directory: Path, rows: Sequence[tuple[str, str, int]]) -> dict[str, object]:
    fill, damaged = [], []
    for name, segment, live in rows:
        try:
            fill.append([name, _slots(directory / segment), live, _bytes(directory / segment)])
        except ValueError:
            damaged.append(name)
    _keep(directory / FILL_FILE, json.dumps(fill))
    return {"fill": fill, "damaged": damaged}


def _bytes(segment: Path) -> int:
    return sum(file.stat().st_size for file in segment.iterdir()) if segment.is_dir() else 0


def _keep(file: Path, text: str) -> None:
    """Replace a file atomically, because other processes read it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def _open(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _require_space(directory: Path, *, n_bytes: int) -> None:
    if shutil.disk_usage(directory).free < n_bytes:
        message = "too little space for VACUUM's copy"
        raise OSError(message)


def _slots(segment: Path) -> int:
    header = read_header(segment)
    return 0 if header is None else header.count


def _shred(segment: Path) -> int:
    """Overwrite the files of an index directory with zeros and remove it; return its size."""
    freed = 0
    for file in segment.iterdir():
        size = file.stat().st_size
        with file.open("r+b") as stream:
            for start in range(0, size, len(_ZEROS)):
                stream.write(_ZEROS[: min(len(_ZEROS), size - start)])
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()
        freed += size
    segment.rmdir()
    return freed


def main(arguments: list[str]) -> int:
    """Clean the database in the given directory; print the report as JSON; return 0."""
    (directory,) = arguments
    sys.stdout.write(json.dumps(clean(Path(directory))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

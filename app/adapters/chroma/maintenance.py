"""Cleans the files of a Chroma database.

``python -m app.adapters.chroma.maintenance PATH [--compacted]``

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
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.adapters.chroma.hnsw_header import read_header
from app.adapters.sqlite.free_space import overwrite_free_space
from app.adapters.sqlite.fts5_structure import STRUCTURE_ROW, is_purged
from app.adapters.sqlite.pages import UnknownLayoutError

DATABASE_FILE: Final = "chroma.sqlite3"
LOCK_FILE: Final = "lethe-maintenance.lock"
TURN_FILE: Final = "lethe-turn.lock"
"""Locked by who is about to write, cleaner or not. Chroma's own way of waiting for SQLite's lock
holds Python's: a whole process would stand still until a portion is clean, and longer."""
FILL_FILE: Final = "lethe-fill.json"
"""File with the last maintenance's report, for the metrics of any process."""
COMPACTED: Final = "--compacted"
_BUSY_TIMEOUT_S: Final = 5.0
"""Short, because while it waits for a reader to finish, new readers have to wait, too."""
_SPACE_FACTOR: Final = 2  # VACUUM writes a copy and a journal of it
_SEGMENT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ZEROS: Final = bytes(1 << 20)

_FULL_TEXT: Final = "INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES(?)"
_STRUCTURE: Final = "SELECT block FROM embedding_fulltext_search_data WHERE id = ?"
_SEGMENTS: Final = """
    SELECT collections.name, vectors.id, rows.id
    FROM collections
    JOIN segments AS vectors ON vectors.collection = collections.id AND vectors.scope = 'VECTOR'
    JOIN segments AS rows ON rows.collection = collections.id AND rows.scope = 'METADATA'
"""
_LIVE: Final = "SELECT COUNT(*) FROM embeddings WHERE segment_id = ?"


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Wait for an exclusive lock on ``path`` (created if missing); yield its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def clean(directory: Path, *, is_compacted: bool = False) -> dict[str, object]:
    """Clear full-text tombstones and free bytes; remove directories of dropped collections.

    Whoever waited while another one began and ended is served by that one.

    Args:
        directory: the database's.
        is_compacted: whether to give free pages back, too. Nobody can read or write meanwhile.

    Returns:
        ``bytes_freed``, ``directories_removed``, ``fill``: of each collection [name, slots in
        its index, live records, bytes of its files], and ``damaged``: names of those whose index
        cannot be read.

    Raises:
        OSError: no database there, or too little space for VACUUM's copy.
        sqlite3.Error: the database stayed busy, or is damaged.
    """
    database, asked_s = directory / DATABASE_FILE, time.monotonic()
    with locked(directory / LOCK_FILE) as lock:
        last = _last(lock)
        if not is_compacted and asked_s <= last["began_s"] <= time.monotonic():
            return dict(last["report"])
        began_s, before = time.monotonic(), database.stat().st_size
        segments = [d for d in directory.iterdir() if d.is_dir() and _SEGMENT.fullmatch(d.name)]
        _clean_database(database, is_compacted=is_compacted)
        with closing(_open(database)) as connection:
            # Read after the directories were listed: a directory's row is older than the directory.
            owned = {row[0] for row in connection.execute("SELECT id FROM segments")}
            # One by one: a writer that waits for a long look keeps all other readers waiting.
            rows = [
                (name, vectors, *connection.execute(_LIVE, (facts,)).fetchone())
                for name, vectors, facts in connection.execute(_SEGMENTS).fetchall()
            ]
        orphans = [segment for segment in segments if segment.name not in owned]
        freed = before - database.stat().st_size + sum(_shred(orphan) for orphan in orphans)
        cleaned = {"bytes_freed": max(0, freed), "directories_removed": len(orphans)}
        report = cleaned | _fill(directory, rows)
        _note(lock, {"began_s": began_s, "report": report})
    return report


def _clean_database(database: Path, *, is_compacted: bool) -> None:
    turn = partial(locked, database.with_name(TURN_FILE))
    with database.open("r+b") as file, closing(_open(database)) as connection:
        with turn():
            _purge_full_text(connection)
        if not is_compacted:
            with suppress(UnknownLayoutError):
                overwrite_free_space(connection, file.fileno(), turn=turn)
                return
        _require_space(database.parent, n_bytes=_SPACE_FACTOR * database.stat().st_size)
        with turn():
            connection.execute("VACUUM")


def _last(lock: int) -> dict[str, Any]:
    """Return when the last cleaning began, by the machine's clock since its start, and its report.

    A number from before a restart of the machine lies in no later interval but by chance, and then
    the search that follows finds what was not cleaned.
    """
    kept = os.pread(lock, os.fstat(lock).st_size, 0)
    try:
        found: dict[str, Any] = json.loads(kept)
    except ValueError:  # the first one here, or one that was cut off
        return {"began_s": -1.0, "report": {}}
    return found


def _note(lock: int, last: dict[str, Any]) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(last).encode(), 0)


def _purge_full_text(connection: sqlite3.Connection) -> None:
    """Merge the full-text index's segments; rebuild it if the merge has kept deleted terms.

    In one transaction, because a write in between would look like a deleted term that was kept. A
    rebuild costs 3.5 times a merge. Memories have no words there since their text is a fact of the
    record, so mostly there is nothing to merge.
    """
    connection.execute("BEGIN IMMEDIATE")
    if not _is_purged(connection):
        connection.execute(_FULL_TEXT, ("optimize",))
        if not _is_purged(connection):
            connection.execute(_FULL_TEXT, ("rebuild",))
    connection.execute("COMMIT")


def _is_purged(connection: sqlite3.Connection) -> bool:
    (structure,) = connection.execute(_STRUCTURE, (STRUCTURE_ROW,)).fetchone()
    return is_purged(bytes(structure))


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
    directory, *options = arguments
    report = clean(Path(directory), is_compacted=COMPACTED in options)
    sys.stdout.write(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

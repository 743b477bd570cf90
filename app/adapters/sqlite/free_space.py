"""Overwrites what a SQLite file still holds of deleted rows, while others read and write.

``python -m app.adapters.sqlite.free_space PATH``

A program of its own, because a process that has a database open would drop its locks by closing
the file.

Deleting a row only gives its bytes back: to the page's free space, to the list of free pages, to
the end of a chain's last page. SQLite reads none of these, so zeros may be written there past it
and a reader does not notice. Only another writer would, so each portion holds the one lock that
writers need; readers wait for the commit alone, which changes a counter in the first page. It tells
every connection to drop the pages it has cached: it would write the old bytes back with them.

In WAL mode the newest version of a page may stand in the log, and who writes it next would start
from there. So each portion begins with an empty log, and ends before anybody else writes to it.

A ``VACUUM`` keeps everybody out for as long as it takes to copy the file, twice; in WAL mode only
writers.

Formats: https://www.sqlite.org/fileformat2.html, https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Final

from app.adapters.sqlite.pages import PORTION, Portion, layout_of

_PAUSE_S: Final = 0.03
"""Seconds between two portions, for writers that wait: about as long as a portion takes."""
_BUSY_TIMEOUT_S: Final = 5.0
_LOOKS: Final = 100
"""Times that another writer may come between emptying the log and having the lock."""
MOST_BYTES: Final = 1 << 36
"""From 64 GB on this does not know a file of pages of 4 KiB."""


def overwrite_free_space(
    connection: sqlite3.Connection,
    descriptor: int,
    *,
    turn: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Write zeros over all free bytes of a database; return how many pages had others.

    The first page is left alone: it says which tables there are. Bytes that become free meanwhile
    stay, as do those that a table's root hands to another page at that moment; a search finds them.

    Args:
        connection: to the database, in autocommit mode, of a process that has it open only here.
        descriptor: of its file, open for reading and writing. Not to be closed before the
            connection: that would drop the connection's locks.
        turn: held for each portion, and asked for before the lock that writers need.

    Raises:
        UnknownLayoutError: vacuuming itself, or of 16 million pages and more.
        sqlite3.Error: the database stayed busy, or is malformed.
    """
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    # What is committed is what was there, but for a counter in one sector of the first page: there
    # is nothing that a power cut could tear, so readers need not wait for the disk. A log, though,
    # holds what others committed, and is emptied only when that is on the disk.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'OFF'}")
    n_changed, first = 0, 2
    try:
        while True:
            with turn():
                n_now = _clean(connection, descriptor, first=first)
            if n_now is None:
                break
            n_changed, first = n_changed + n_now, first + PORTION
            time.sleep(_PAUSE_S)
    finally:
        connection.execute("PRAGMA synchronous = FULL")
    with turn():  # else the next writer's own would wait for it
        os.fsync(descriptor)
    return n_changed


def _clean(connection: sqlite3.Connection, descriptor: int, *, first: int) -> int | None:
    """Clean a portion while nobody else writes; return how many pages changed, None at the end."""
    _begin(connection)
    with connection:  # commits, and rolls back after an error
        layout = layout_of(descriptor)
        n_changed = None
        if first <= layout.n_pages:
            n_changed = Portion(descriptor, layout, first=first).clean()
        if n_changed:
            # Set to what it is: that counts as a change, so all caches are dropped.
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(number)}")
    return n_changed


def _begin(connection: sqlite3.Connection) -> None:
    """Take the lock that writers need, with nothing in a log that a page could be read from."""
    (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
    log = Path(f"{file}-wal")
    for _ in range(_LOOKS):
        blocked, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if blocked:
            break
        connection.execute("BEGIN IMMEDIATE")
        if not (log.exists() and log.stat().st_size):
            return
        connection.execute("ROLLBACK")
    raise sqlite3.OperationalError("others keep the write-ahead log from being emptied")


def main(path: Path) -> None:
    """Clean a database, whatever its mode; its log is empty then."""
    with (
        path.open("r+b") as file,
        closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)) as connection,
    ):
        overwrite_free_space(connection, file.fileno())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

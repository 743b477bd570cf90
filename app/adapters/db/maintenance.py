"""Removes deleted rows from the files of the database, too.

SQLite: ``secure_delete`` zeroes freed bytes in the pages, but the write-ahead log keeps old pages,
and a page that was split keeps copies of rows that moved (in 22 of 60 random histories). VACUUM
writes every live row anew (0 of 60), and the checkpoint moves the result into the database file
and cuts the log to nothing. Readers go on meanwhile, writers wait: for minutes where the file has
gigabytes, so from some size on free bytes are overwritten where they lie, a portion at a time.

PostgreSQL: VACUUM only marks the space of dead rows as free; their bytes stay in the pages (190 of
200 copies of a canary did). VACUUM FULL writes table and indexes anew and drops the old files. It
keeps everybody from a table meanwhile, so it is for a batch of erasures, not for each, and what
grows with the number of users lies in partitions by their hash: only those of the erased are
written. A person's rows never leave their partition, so old versions of them lie there, too.
The server's own log keeps old bytes as well: ``postgres_files`` says what can be done there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

import app
from app.adapters.db import engine as engines
from app.adapters.db import postgres_files
from app.adapters.sqlite import free_space
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Pseudonym

PERSONAL_TABLES: Final = (
    "subject",
    "interaction",
    "erasure_request",
    "tombstone",
    "change",
    "suppression",
    "erasure_document",
    "watch",
)
"""Tables with rows that belong to a person: what maintenance cleans and probes look into."""
_CATALOGUE: Final = ("item", "item_removal")
_VACUUMED: Final = 32 << 20
"""Bytes; below, a VACUUM is done in the time that a process takes to start, or a little more."""
_CLEANED_S: Final = 900.0
_ROOT: Final = Path(next(iter(app.__path__))).parent


def scrub(
    engine: Engine,
    people: Collection[Pseudonym] | None = None,
    *,
    has_items: bool = False,
    vacuumed_bytes: int = _VACUUMED,
) -> None:
    """Remove from the files what was deleted from the tables. Idempotent; runs in no transaction.

    Args:
        engine: of the database.
        people: whose rows were deleted or changed; None where that is not known.
        has_items: whether items were deleted, too.
        vacuumed_bytes: SQLite files below this size are written anew.

    Raises:
        DependencyUnavailableError: the database does not answer, or somebody still reads or
            writes; nothing is broken, call again.
    """
    if engine.dialect.name == "postgresql":
        tables = (*PERSONAL_TABLES, *(_CATALOGUE if has_items else ()))
        postgres_files.rewrite(engine, tables, people=people)
    else:
        file = Path(str(engine.url.database))
        if vacuumed_bytes <= file.stat().st_size < free_space.MOST_BYTES:
            _clean_sqlite(file)
        else:
            _vacuum_sqlite(engine)


def _clean_sqlite(file: Path) -> None:
    """Overwrite what is free in a file, in a process that has no database open."""
    command = [sys.executable, "-m", free_space.__name__, str(file.absolute())]
    try:
        subprocess.run(  # noqa: S603 - our own interpreter and module
            command, cwd=_ROOT, capture_output=True, timeout=_CLEANED_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        # What it printed may show a path, and no more than that it was busy.
        raise DependencyUnavailableError("the database's files could not be cleaned") from None


def _vacuum_sqlite(engine: Engine) -> None:
    options = {engines.BEGIN_OPTION: engines.NO_TRANSACTION}
    with engine.connect().execution_options(**options) as connection:
        connection.exec_driver_sql("VACUUM")
        blocked, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if blocked:
        raise DependencyUnavailableError("a reader keeps the write-ahead log from being emptied")

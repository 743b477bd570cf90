"""Makes deleted rows leave the files of the database, too.

SQLite: ``secure_delete`` zeroes freed bytes in the pages, but old pages stay in the write-ahead
log, and a rebalanced page may keep a copy of a moved cell. VACUUM writes every live row anew, and
the checkpoint moves the result into the database file and cuts the log to nothing.

PostgreSQL: VACUUM removes dead rows from tables and indexes.
"""

from __future__ import annotations

from sqlalchemy import Engine

from app.adapters.db import engine as engines
from app.adapters.db.tables import PERSONAL_TABLES
from app.domain.errors import DependencyUnavailableError


def scrub(engine: Engine) -> None:
    """Remove from the files what was deleted from the tables. Idempotent; runs in no transaction.

    Raises:
        DependencyUnavailableError: the database does not answer, or a reader still needs the
            old pages; nothing is broken, call again.
    """
    if engine.dialect.name == "postgresql":
        _vacuum_postgres(engine)
    else:
        _vacuum_sqlite(engine)


def _vacuum_sqlite(engine: Engine) -> None:
    options = {engines.BEGIN_OPTION: engines.NO_TRANSACTION}
    with engine.connect().execution_options(**options) as connection:
        connection.exec_driver_sql("VACUUM")
        blocked, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if blocked:
        raise DependencyUnavailableError("a reader keeps the write-ahead log from being emptied")


def _vacuum_postgres(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM {', '.join(PERSONAL_TABLES)}")

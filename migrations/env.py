"""Alembic's entry: which database, in which transaction."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from app.adapters.db.audit_tables import metadata
from app.adapters.db.engine import open_engine

_LOCK = 0x4C657468  # "Leth": any number that nobody else takes a lock on


def _url() -> str:
    """Return the address given by the caller, by ``-x url=``, or by the environment."""
    given = (
        context.config.attributes.get("url"),
        context.get_x_argument(as_dictionary=True).get("url"),
        os.environ.get("LETHE_DATABASE__URL"),
    )
    for url in given:
        if isinstance(url, str) and url:
            return url
    message = "no database: give -x url=... or set LETHE_DATABASE__URL"
    raise RuntimeError(message)


def _migrate(connection: Connection) -> None:
    # DDL is transactional in both databases, so a revision happens wholly or not at all.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Waiting for a table's lock makes everyone else wait behind us: rather give up.
            connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        context.run_migrations()


def main() -> None:
    """Run what was asked for, online."""
    if context.is_offline_mode():
        message = "the schema differs between databases: run online"
        raise RuntimeError(message)
    engine = open_engine(_url(), pool_size=1, statement_timeout_s=0)
    try:
        with engine.connect() as connection:
            _migrate(connection)
    finally:
        engine.dispose()


main()

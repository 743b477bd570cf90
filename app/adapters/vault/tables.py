"""The vault's own tables. They are not part of the service's schema, nor of its migrations."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.schema import CreateTable

from app.adapters.db.session import Session
from app.adapters.db.types import UtcDateTime

metadata: Final = MetaData()

data_key: Final = Table(
    "data_key",
    metadata,
    Column("pseudonym", String(64), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("kek_id", String(64), nullable=False),
    # One tree instead of a table and an index: one place fewer that a key's owner is named in.
    sqlite_with_rowid=False,
)

vault_state: Final = Table(
    "vault_state",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("n_shreds", BigInteger, nullable=False),
)

# The ledger of erasures: copies of tombstones, which a restored backup of the data may lack.
witness: Final = Table(
    "witness",
    metadata,
    Column("request_id", String(32), primary_key=True),
    Column("token", String(64), primary_key=True),
    Column("erased_from", UtcDateTime, primary_key=True),
    Column("erased_before", UtcDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

# The newest signed checkpoint of the audit log, and of those that it succeeds.
log_head: Final = Table(
    "log_head",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)

_LOCK: Final = 0x1E7E_0008
"""PostgreSQL: processes that start at once make the tables one after the other."""


def create_tables(session: Session) -> None:
    """Make what is missing, in the caller's transaction."""
    if session.is_postgres:
        session.first(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    for table in metadata.sorted_tables:
        session.connection.execute(CreateTable(table, if_not_exists=True))
    if session.is_postgres:
        # ANALYZE keeps a sample of the values in pg_statistic, where no deletion reaches them.
        for column in data_key.columns:
            session.connection.exec_driver_sql(
                f"ALTER TABLE data_key ALTER COLUMN {column.name} SET STATISTICS 0"
            )
    insert = session.insert(vault_state).values(only=1, n_shreds=0)
    session.changed(insert.on_conflict_do_nothing())

"""The tables of the audit log, and of the keys of those who act; none has a column of a user."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from app.adapters.db.tables import CODE, HASH, RANDOM_ID, metadata
from app.adapters.db.types import UtcDateTime

__all__ = [
    "access_key",
    "audit_checkpoint",
    "audit_cosignature",
    "audit_leaf",
    "audit_node",
    "ended_session",
    "metadata",
]
# ``metadata`` taken from here has all tables: these, and those of the module that they follow.

audit_leaf: Final = Table(
    "audit_leaf",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(CODE), nullable=False, index=True),
    Column("request_id", String(RANDOM_ID), index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

# Inner nodes of the Merkle tree over audit_leaf; level 0 is audit_leaf.leaf_hash.
audit_node: Final = Table(
    "audit_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_checkpoint: Final = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

audit_cosignature: Final = Table(
    "audit_cosignature",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", String(128), primary_key=True),
    Column("line", Text, nullable=False),
)

# Keys of calling systems and of staff, without their secrets.
access_key: Final = Table(
    "access_key",
    metadata,
    Column("key_id", String(12), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("digest", String(HASH), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
)

# Sessions of the console that somebody signed out of, until their cookies are worth nothing.
ended_session: Final = Table(
    "ended_session",
    metadata,
    Column("session_id", String(RANDOM_ID), primary_key=True),
    Column("until", UtcDateTime, nullable=False),
)

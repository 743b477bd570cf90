"""Every table of the relational side, as SQLAlchemy Core metadata.

A person appears in these columns only: ``pseudonym`` and the keyed hashes derived from it,
``interaction.text``, ``erasure_request.scope`` and ``suppression.topic_text``. The migrations
are the schema; a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from app.adapters.db.types import UtcDateTime

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_HASH: Final = 64  # hex digits of SHA-256
_RANDOM_ID: Final = 32  # hex digits of 16 random bytes
_ITEM_ID: Final = 128  # app.domain.models.ItemId
_CODE: Final = 32  # the longest of our own codes is shorter


def _index_few(name: str, *columns: Column[Any], where: str) -> None:
    """Index those rows that meet a condition, where they are few."""
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


subject: Final = Table(
    "subject",
    metadata,
    Column("pseudonym", String(_HASH), primary_key=True),
    Column("status", String(_CODE), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("rights", String(_CODE)),
    Column("consent_at", UtcDateTime),
    Column("consent_source", String(_CODE)),
)
# Few users have a right in force, and every read of evidence asks which.
_index_few("ix_subject_rights", subject.c.pseudonym, where="rights IS NOT NULL")

interaction: Final = Table(
    "interaction",
    metadata,
    # SQLite numbers rows by itself only in a column of exactly this type.
    Column("interaction_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pseudonym", String(_HASH), nullable=False),
    Column("event_key", String(_HASH), nullable=False),
    Column("item_id", String(_ITEM_ID)),
    Column("kind", String(_CODE), nullable=False),
    Column("value", Float),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("text", Text),
    Column("record_id", String(_RANDOM_ID), nullable=False, unique=True),
    Column("pending_until", UtcDateTime),
    Column("erased_by", String(_RANDOM_ID)),
    Column("event_id", Text),
    UniqueConstraint("pseudonym", "event_key"),
    Index(None, "item_id"),
)
# Serves history() in its order, without a sort.
Index(
    "ix_interaction_history",
    interaction.c.pseudonym,
    interaction.c.occurred_at.desc(),
    interaction.c.record_id,
)
# Nearly all rows are neither pending nor flagged, so the two indexes stay tiny.
_index_few("ix_interaction_pending", interaction.c.pending_until, where="pending_until IS NOT NULL")
_index_few("ix_interaction_erased_by", interaction.c.erased_by, where="erased_by IS NOT NULL")

item: Final = Table(
    "item",
    metadata,
    Column("item_id", String(_ITEM_ID), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("content_hash", String(_HASH), nullable=False),
    Column("indexed_hash", String(_HASH)),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("changed_seq", BigInteger, nullable=False, server_default="0"),
    Column("available", Boolean, nullable=False, server_default=true()),
    Column("is_stub", Boolean, nullable=False, server_default=false()),
)
Index("ix_item_changed_seq", item.c.changed_seq)
_index_few("ix_item_unindexed", item.c.item_id, where="indexed_hash IS NULL")

# Items that were deleted, until their words are gone from every file.
item_removal: Final = Table(
    "item_removal",
    metadata,
    Column("removal_id", String(_RANDOM_ID), primary_key=True),
    Column("item_id", String(_ITEM_ID), nullable=False),
    Column("needles", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
)

erasure_request: Final = Table(
    "erasure_request",
    metadata,
    Column("request_id", String(_RANDOM_ID), primary_key=True),
    Column("pseudonym", String(_HASH), index=True),
    Column("scope_kind", String(_CODE), nullable=False),
    Column("scope", Text),
    Column("state", String(_CODE), nullable=False),
    Column("reason", String(_CODE)),
    Column("ground", String(_CODE)),
    Column("error_code", String(64)),
    Column("received_at", UtcDateTime, nullable=False, index=True),
    Column("due_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("epoch", BigInteger, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("idempotency_hash", String(_HASH), unique=True),
    Column("subject_request_hash", String(_HASH), unique=True),
    Column("body_hash", String(_HASH)),
    Column("lease_owner", String(128)),
    Column("lease_until", UtcDateTime),
    Column("not_before", UtcDateTime),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outages", Integer, nullable=False),
    Column("n_records", BigInteger),
    Column("requested_at", UtcDateTime),
    Column("extension", String(_CODE)),
    Column("told_at", UtcDateTime),
    Index(None, "state", "due_at"),
)

erasure_step: Final = Table(
    "erasure_step",
    metadata,
    Column(
        "request_id", String(_RANDOM_ID), ForeignKey("erasure_request.request_id"), primary_key=True
    ),
    Column("step", String(_CODE), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("touched", BigInteger, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
)

# Written by triggers on erasure_request only: the database's own record of every transition.
erasure_move: Final = Table(
    "erasure_move",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("request_id", String(_RANDOM_ID), nullable=False, index=True),
    Column("source", String(_CODE)),
    Column("target", String(_CODE), nullable=False),
)

tombstone: Final = Table(
    "tombstone",
    metadata,
    # One row a request, so that taking back a rejected one leaves the others' bounds alone.
    Column("token", String(_HASH), primary_key=True),
    Column("request_id", String(_RANDOM_ID), primary_key=True, index=True),
    Column("erased_from", UtcDateTime, primary_key=True),
    Column("erased_before", UtcDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

change: Final = Table(
    "change",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("pseudonym", String(_HASH), nullable=False),
)

counter: Final = Table(
    "counter",
    metadata,
    Column("name", String(_CODE), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

process: Final = Table(
    "process",
    metadata,
    Column("process_id", String(128), primary_key=True),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("acked_seq", BigInteger, nullable=False),
    Column("state_hash", String(_HASH)),
)

audit_leaf: Final = Table(
    "audit_leaf",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(_CODE), nullable=False, index=True),
    Column("request_id", String(_RANDOM_ID), index=True),
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

erasure_document: Final = Table(
    "erasure_document",
    metadata,
    Column("request_id", String(_RANDOM_ID), primary_key=True),
    Column("receipt", Text, nullable=False),
    Column("salt", String(_HASH)),
    Column("state_before", String(_HASH)),
    Column("needles", Text),
    Column("certificate", Text),
)

suppression: Final = Table(
    "suppression",
    metadata,
    Column("pseudonym", String(_HASH), primary_key=True),
    Column("topic_id", String(_HASH), primary_key=True),
    Column("topic_text", Text, nullable=False),
    Column("request_id", String(_RANDOM_ID), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# Requests that repeat an erasure after a restore; the service waits for them.
replay: Final = Table(
    "replay",
    metadata,
    Column("request_id", String(_RANDOM_ID), primary_key=True),
)

# Keyed fingerprints that a finished erasure is rechecked by, until the last recheck.
watch: Final = Table(
    "watch",
    metadata,
    Column("request_id", String(_RANDOM_ID), primary_key=True),
    Column("completed_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("looks", Integer, nullable=False),
    Column("prints", Text, nullable=False),
)

load_progress: Final = Table(
    "load_progress",
    metadata,
    Column("dataset", String(128), primary_key=True),
    Column("line", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

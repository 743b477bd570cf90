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

HASH: Final = 64  # hex digits of SHA-256
RANDOM_ID: Final = 32  # hex digits of 16 random bytes
ITEM_ID: Final = 128  # app.domain.models.ItemId
CODE: Final = 32  # the longest of our own codes is shorter


def _partial(name: str, condition: str, *columns: Column[Any]) -> None:
    """Add an index of the rows that a condition holds for."""
    Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


subject: Final = Table(
    "subject",
    metadata,
    Column("pseudonym", String(HASH), primary_key=True),
    Column("status", String(CODE), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("rights", String(CODE)),
    Column("consent_at", UtcDateTime),
    Column("consent_source", String(CODE)),
    Column("hold", String(CODE)),
)
# Few users have a right in force, and every read of evidence asks which.
_partial("ix_subject_rights", "rights IS NOT NULL", subject.c.pseudonym)

interaction: Final = Table(
    "interaction",
    metadata,
    # SQLite numbers rows by itself only in a column of exactly this type.
    Column("interaction_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pseudonym", String(HASH), nullable=False),
    Column("event_key", String(HASH), nullable=False),
    Column("item_id", String(ITEM_ID)),
    Column("kind", String(CODE), nullable=False),
    Column("value", Float),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("text", Text),
    Column("record_id", String(RANDOM_ID), nullable=False, unique=True),
    Column("pending_until", UtcDateTime),
    Column("erased_by", String(RANDOM_ID)),
    Column("event_id", Text),
    Column("list_id", String(16)),
    Column("list_scenario", String(64)),
    Column("list_variant", String(CODE)),
    Column("list_position", Integer),
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
_partial("ix_interaction_pending", "pending_until IS NOT NULL", interaction.c.pending_until)
_partial("ix_interaction_erased_by", "erased_by IS NOT NULL", interaction.c.erased_by)
# Answers to lists are counted by it.
_partial(
    "ix_interaction_answered",
    "list_variant IS NOT NULL",
    interaction.c.list_scenario,
    interaction.c.list_variant,
)

item: Final = Table(
    "item",
    metadata,
    Column("item_id", String(ITEM_ID), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("content_hash", String(HASH), nullable=False),
    Column("indexed_hash", String(HASH)),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("changed_seq", BigInteger, nullable=False, server_default="0"),
    Column("available", Boolean, nullable=False, server_default=true()),
    Column("is_stub", Boolean, nullable=False, server_default=false()),
)
Index("ix_item_changed_seq", item.c.changed_seq)
_partial("ix_item_unindexed", "indexed_hash IS NULL", item.c.item_id)

# Items that were deleted, until their words are gone from every file.
item_removal: Final = Table(
    "item_removal",
    metadata,
    Column("removal_id", String(RANDOM_ID), primary_key=True),
    Column("item_id", String(ITEM_ID), nullable=False),
    Column("needles", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
)

erasure_request: Final = Table(
    "erasure_request",
    metadata,
    Column("request_id", String(RANDOM_ID), primary_key=True),
    Column("pseudonym", String(HASH), index=True),
    Column("scope_kind", String(CODE), nullable=False),
    Column("scope", Text),
    Column("state", String(CODE), nullable=False),
    Column("reason", String(CODE)),
    Column("ground", String(CODE)),
    Column("error_code", String(64)),
    Column("received_at", UtcDateTime, nullable=False, index=True),
    Column("due_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("epoch", BigInteger, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("idempotency_hash", String(HASH), unique=True),
    Column("subject_request_hash", String(HASH), unique=True),
    Column("body_hash", String(HASH)),
    Column("lease_owner", String(128)),
    Column("lease_until", UtcDateTime),
    Column("not_before", UtcDateTime),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outages", Integer, nullable=False),
    Column("n_records", BigInteger),
    Column("requested_at", UtcDateTime),
    Column("extension", String(CODE)),
    Column("told_at", UtcDateTime),
    Column("ticket", Text, index=True),
    Column("note", Text),
    Index(None, "state", "due_at"),
)

erasure_step: Final = Table(
    "erasure_step",
    metadata,
    Column(
        "request_id", String(RANDOM_ID), ForeignKey("erasure_request.request_id"), primary_key=True
    ),
    Column("step", String(CODE), primary_key=True),
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
    Column("request_id", String(RANDOM_ID), nullable=False, index=True),
    Column("source", String(CODE)),
    Column("target", String(CODE), nullable=False),
)

tombstone: Final = Table(
    "tombstone",
    metadata,
    # One row a request, so that taking back a rejected one leaves the others' bounds alone.
    Column("token", String(HASH), primary_key=True),
    Column("request_id", String(RANDOM_ID), primary_key=True, index=True),
    Column("erased_from", UtcDateTime, primary_key=True),
    Column("erased_before", UtcDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

change: Final = Table(
    "change",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("pseudonym", String(HASH), nullable=False),
    Column("at_once", Boolean),
)

counter: Final = Table(
    "counter",
    metadata,
    Column("name", String(CODE), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

process: Final = Table(
    "process",
    metadata,
    Column("process_id", String(128), primary_key=True),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("acked_seq", BigInteger, nullable=False),
    Column("state_hash", String(HASH)),
)

erasure_document: Final = Table(
    "erasure_document",
    metadata,
    Column("request_id", String(RANDOM_ID), primary_key=True),
    Column("receipt", Text, nullable=False),
    Column("salt", String(HASH)),
    Column("state_before", String(HASH)),
    Column("needles", Text),
    Column("certificate", Text),
)

suppression: Final = Table(
    "suppression",
    metadata,
    Column("pseudonym", String(HASH), primary_key=True),
    Column("topic_id", String(HASH), primary_key=True),
    Column("topic_text", Text, nullable=False),
    Column("request_id", String(RANDOM_ID), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# Requests that repeat an erasure after a restore; the service waits for them.
replay: Final = Table(
    "replay",
    metadata,
    Column("request_id", String(RANDOM_ID), primary_key=True),
)

# Keyed fingerprints that a finished erasure is rechecked by, until the last recheck.
watch: Final = Table(
    "watch",
    metadata,
    Column("request_id", String(RANDOM_ID), primary_key=True),
    Column("completed_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("looks", Integer, nullable=False),
    Column("prints", Text, nullable=False),
)

# How far each registered address has been told of the audit log, and what it was not told.
webhook: Final = Table(
    "webhook",
    metadata,
    Column("target", String(HASH), primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error_code", String(64)),
    Column("not_before", UtcDateTime, nullable=False),
)

dead_letter: Final = Table(
    "dead_letter",
    metadata,
    Column("target", String(HASH), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", String(RANDOM_ID), nullable=False),
    Column("kind", String(CODE), nullable=False),
    Column("failed_at", UtcDateTime, nullable=False),
)

load_progress: Final = Table(
    "load_progress",
    metadata,
    Column("dataset", String(128), primary_key=True),
    Column("line", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

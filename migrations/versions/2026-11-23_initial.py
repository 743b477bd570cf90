"""The first schema: every table, and an audit log that only grows.

Revision: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("audit_leaf", "audit_checkpoint")
# Columns whose most common values PostgreSQL may not keep in pg_statistic, from which neither
# DELETE nor VACUUM removes them.
_NO_STATISTICS = {
    "subject": ("pseudonym",),
    "interaction": ("pseudonym", "event_key", "record_id", "text"),
    "erasure_request": ("pseudonym", "scope", "body_hash"),
    "tombstone": ("token",),
    "change": ("pseudonym",),
    "suppression": ("pseudonym", "topic_id", "topic_text"),
}


def _moment() -> sa.DateTime:
    """Whole microseconds since 1970 in SQLite, see app.adapters.db.types."""
    return sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def upgrade() -> None:
    """Apply."""
    _create_records()
    _create_requests()
    _create_feed()
    _create_audit_log()
    if _is_postgres():
        for table, columns in _NO_STATISTICS.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")


def _create_records() -> None:
    op.create_table(
        "subject",
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("pseudonym", name="pk_subject"),
    )
    op.create_table(
        "interaction",
        sa.Column(
            "interaction_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.Column("event_key", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(128)),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("occurred_at", _moment(), nullable=False),
        sa.Column("received_at", _moment(), nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("record_id", sa.String(32), nullable=False),
        sa.Column("pending_until", _moment()),
        sa.Column("erased_by", sa.String(32)),
        sa.PrimaryKeyConstraint("interaction_id", name="pk_interaction"),
        sa.UniqueConstraint("pseudonym", "event_key", name="uq_interaction_pseudonym_event_key"),
        sa.UniqueConstraint("record_id", name="uq_interaction_record_id"),
    )
    op.create_index(
        "ix_interaction_history",
        "interaction",
        ["pseudonym", sa.text("occurred_at DESC"), "record_id"],
    )
    for name, column in (
        ("ix_interaction_pending", "pending_until"),
        ("ix_interaction_erased_by", "erased_by"),
    ):
        _create_partial_index(name, "interaction", column, f"{column} IS NOT NULL")
    op.create_table(
        "item",
        sa.Column("item_id", sa.String(128), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("indexed_hash", sa.String(64)),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", name="pk_item"),
    )
    _create_partial_index("ix_item_unindexed", "item", "item_id", "indexed_hash IS NULL")
    op.create_table(
        "load_progress",
        sa.Column("dataset", sa.String(128), nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", name="pk_load_progress"),
    )


def _create_partial_index(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, [column], sqlite_where=condition, postgresql_where=condition
    )


def _create_requests() -> None:
    op.create_table(
        "erasure_request",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("pseudonym", sa.String(64)),
        sa.Column("scope_kind", sa.String(32), nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("ground", sa.String(32)),
        sa.Column("error_code", sa.String(64)),
        sa.Column("received_at", _moment(), nullable=False),
        sa.Column("due_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("completed_at", _moment()),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("change_seq", sa.BigInteger, nullable=False),
        sa.Column("idempotency_hash", sa.String(64)),
        sa.Column("subject_request_hash", sa.String(64)),
        sa.Column("body_hash", sa.String(64)),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_until", _moment()),
        sa.Column("not_before", _moment()),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("outages", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_erasure_request"),
        sa.UniqueConstraint("idempotency_hash", name="uq_erasure_request_idempotency_hash"),
        sa.UniqueConstraint(
            "subject_request_hash", name="uq_erasure_request_subject_request_hash"
        ),
    )
    op.create_index("ix_erasure_request_pseudonym", "erasure_request", ["pseudonym"])
    op.create_index("ix_erasure_request_received_at", "erasure_request", ["received_at"])
    op.create_index("ix_erasure_request_state_due_at", "erasure_request", ["state", "due_at"])
    op.create_table(
        "erasure_step",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("finished_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "step", "store", name="pk_erasure_step"),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["erasure_request.request_id"],
            name="fk_erasure_step_request_id_erasure_request",
        ),
    )
    op.create_table(
        "tombstone",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("erased_from", _moment(), nullable=False),
        sa.Column("erased_before", _moment(), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", "request_id", "erased_from", name="pk_tombstone"),
    )
    op.create_index("ix_tombstone_request_id", "tombstone", ["request_id"])
    op.create_table(
        "suppression",
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.Column("topic_id", sa.String(64), nullable=False),
        sa.Column("topic_text", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym", "topic_id", name="pk_suppression"),
    )
    op.create_index("ix_suppression_request_id", "suppression", ["request_id"])


def _create_feed() -> None:
    op.create_table(
        "change",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("pseudonym", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_change"),
    )
    op.create_table(
        "process",
        sa.Column("process_id", sa.String(128), nullable=False),
        sa.Column("lease_until", _moment(), nullable=False),
        sa.Column("acked_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("process_id", name="pk_process"),
    )
    counter = op.create_table(
        "counter",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    names = ("change", "change_pruned", "audit")
    op.bulk_insert(counter, [{"name": name, "value": 0} for name in names])


def _create_audit_log() -> None:
    op.create_table(
        "audit_leaf",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(32)),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_leaf"),
    )
    op.create_index("ix_audit_leaf_kind", "audit_leaf", ["kind"])
    op.create_index("ix_audit_leaf_request_id", "audit_leaf", ["request_id"])
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoint"),
    )
    if _is_postgres():
        _forbid_changes_in_postgres()
    else:
        _forbid_changes_in_sqlite()


def _forbid_changes_in_postgres() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _forbid_changes_in_sqlite() -> None:
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def downgrade() -> None:
    """Take back; nothing is left."""
    for table in (
        *_APPEND_ONLY,
        "counter",
        "process",
        "change",
        "suppression",
        "tombstone",
        "erasure_step",
        "erasure_request",
        "load_progress",
        "item",
        "interaction",
        "subject",
    ):
        op.drop_table(table)
    if _is_postgres():
        op.execute("DROP FUNCTION refuse_change()")

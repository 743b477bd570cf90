"""The database's own account of every move of an erasure request, and a log that nobody may edit.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LOG = ("audit_leaf", "audit_node", "audit_checkpoint")
# What happened before the account existed is taken from the log, whose leaves are the moves.
_BACKFILL = """
    INSERT INTO erasure_move (request_id, source, target)
    SELECT request_id,
           LAG(target) OVER (PARTITION BY request_id ORDER BY seq),
           target
    FROM (
        SELECT seq, request_id,
               CASE kind WHEN 'forget.released' THEN 'suppressed'
                         ELSE REPLACE(kind, 'forget.', '') END AS target
        FROM audit_leaf
        WHERE request_id IS NOT NULL
          AND kind IN ('forget.suppressed', 'forget.erasing', 'forget.scrubbed',
                       'forget.verifying', 'forget.completed', 'forget.failed',
                       'forget.on_hold', 'forget.released', 'forget.rejected')
    ) AS moves
    ORDER BY seq
"""


def upgrade() -> None:
    """Apply. The version before goes on working: the database itself writes what is new."""
    op.create_table(
        "erasure_move",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=True),
        sa.Column("target", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_erasure_move"),
    )
    op.create_index("ix_erasure_move_request_id", "erasure_move", ["request_id"])
    op.execute(_BACKFILL)
    if op.get_bind().dialect.name == "postgresql":
        _note_moves_in_postgres()
    else:
        _note_moves_in_sqlite()


def _note_moves_in_postgres() -> None:
    op.execute(
        """
        CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO erasure_move (request_id, source, target)
            VALUES (NEW.request_id,
                    CASE TG_OP WHEN 'UPDATE' THEN OLD.state END,
                    NEW.state);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER erasure_request_notes_insert AFTER INSERT ON erasure_request "
        "FOR EACH ROW EXECUTE FUNCTION note_move()"
    )
    op.execute(
        "CREATE TRIGGER erasure_request_notes_move AFTER UPDATE ON erasure_request "
        "FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_move()"
    )
    op.execute(
        "CREATE TRIGGER erasure_move_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON erasure_move FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    # Triggers hold against whoever has the right; without the right nobody gets as far.
    for table in (*_LOG, "erasure_move"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")


def _note_moves_in_sqlite() -> None:
    op.execute(
        "CREATE TRIGGER erasure_request_notes_insert AFTER INSERT ON erasure_request "
        "BEGIN INSERT INTO erasure_move (request_id, source, target) "
        "VALUES (NEW.request_id, NULL, NEW.state); END"
    )
    op.execute(
        "CREATE TRIGGER erasure_request_notes_move AFTER UPDATE ON erasure_request "
        "WHEN OLD.state IS NOT NEW.state "
        "BEGIN INSERT INTO erasure_move (request_id, source, target) "
        "VALUES (NEW.request_id, OLD.state, NEW.state); END"
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER erasure_move_refuses_{verb.lower()} BEFORE {verb} ON erasure_move "
            "BEGIN SELECT RAISE(ABORT, 'erasure_move is append-only'); END"
        )


def downgrade() -> None:
    """Take back; the log stays, and stays append-only by its triggers."""
    for name in ("insert", "move"):
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER erasure_request_notes_{name} ON erasure_request")
        else:
            op.execute(f"DROP TRIGGER erasure_request_notes_{name}")
    op.drop_table("erasure_move")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION note_move()")
        for table in _LOG:
            op.execute(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER")

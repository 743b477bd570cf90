"""The restore gate's requests, and what finished erasures are watched by.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _moment() -> sa.DateTime:
    """Return the type of a moment: microseconds since 1970 on SQLite."""
    return sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    """Apply. The version before goes on working: it neither reads nor writes what is new."""
    op.create_table(
        "replay",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_replay"),
    )
    op.create_table(
        "watch",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("completed_at", _moment(), nullable=False),
        sa.Column("due_at", _moment(), nullable=False),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("prints", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_watch"),
    )
    op.create_index("ix_watch_due_at", "watch", ["due_at"])
    if op.get_bind().dialect.name == "postgresql":
        # A sample of the values would outlive them in pg_statistic.
        op.execute("ALTER TABLE watch ALTER COLUMN prints SET STATISTICS 0")


def downgrade() -> None:
    """Take back."""
    op.drop_table("watch")
    op.drop_table("replay")

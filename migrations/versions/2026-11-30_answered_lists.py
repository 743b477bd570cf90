"""Which list an interaction answers, in its own row.

Revision: 0010
Follows: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working; writers of events wait for the index."""
    op.add_column("interaction", sa.Column("list_id", sa.String(16), nullable=True))
    op.add_column("interaction", sa.Column("list_scenario", sa.String(64), nullable=True))
    op.add_column("interaction", sa.Column("list_variant", sa.String(32), nullable=True))
    op.add_column("interaction", sa.Column("list_position", sa.Integer, nullable=True))
    condition = sa.text("list_variant IS NOT NULL")
    op.create_index(
        "ix_interaction_answered",
        "interaction",
        ["list_scenario", "list_variant"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    if op.get_bind().dialect.name == "postgresql":
        # pg_statistic keeps common values, from where nothing removes them.
        op.execute("ALTER TABLE interaction ALTER COLUMN list_id SET STATISTICS 0")


def downgrade() -> None:
    """Take back; which lists were answered is lost."""
    op.drop_index("ix_interaction_answered", "interaction")
    for name in ("list_position", "list_variant", "list_scenario", "list_id"):
        op.drop_column("interaction", name)

"""Events' own ids, sealed; which events are about an item; items whose words are being removed.

Revision: 0009
Follows: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working; writers of events wait for the index."""
    op.add_column("interaction", sa.Column("event_id", sa.Text, nullable=True))
    op.create_index("ix_interaction_item_id", "interaction", ["item_id"])
    moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.create_table(
        "item_removal",
        sa.Column("removal_id", sa.String(32), nullable=False),
        sa.Column("item_id", sa.String(128), nullable=False),
        sa.Column("needles", sa.Text, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("removal_id", name="pk_item_removal"),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    # pg_statistic keeps common values, from where nothing removes them. Setting a column's type
    # drops what it has of the column.
    op.execute("ALTER TABLE interaction ALTER COLUMN event_id SET STATISTICS 0")
    op.execute("ALTER TABLE item_removal ALTER COLUMN needles SET STATISTICS 0")
    for column, kind in (("title", "text"), ("description", "text"), ("attributes", "json")):
        op.execute(f"ALTER TABLE item ALTER COLUMN {column} TYPE {kind}")
        op.execute(f"ALTER TABLE item ALTER COLUMN {column} SET STATISTICS 0")


def downgrade() -> None:
    """Take back; let the removals that wait be finished before."""
    op.drop_table("item_removal")
    op.drop_index("ix_interaction_item_id", "interaction")
    op.drop_column("interaction", "event_id")

"""The version of the catalogue, and for each item the one that last changed it.

Revision: 0007
Follows: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. What a process of the version before writes is seen by others at their next start."""
    op.add_column(
        "item", sa.Column("changed_seq", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_index("ix_item_changed_seq", "item", ["changed_seq"])
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    # Everything there is belongs to version 1.
    op.execute(sa.text("UPDATE item SET changed_seq = 1"))
    op.bulk_insert(counter, [{"name": "catalogue", "value": 1}])


def downgrade() -> None:
    """Take back."""
    op.execute(sa.text("DELETE FROM counter WHERE name = 'catalogue'"))
    op.drop_index("ix_item_changed_seq", "item")
    op.drop_column("item", "changed_seq")

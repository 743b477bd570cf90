"""Items that are not shown: sold out ones, and stubs, which the catalogue has no entry of.

Revision: 0008
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and takes every item for one to be shown."""
    op.add_column(
        "item", sa.Column("available", sa.Boolean, nullable=False, server_default=sa.true())
    )
    op.add_column(
        "item", sa.Column("is_stub", sa.Boolean, nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Take back; what was hidden is shown again, so delete it before."""
    op.drop_column("item", "is_stub")
    op.drop_column("item", "available")

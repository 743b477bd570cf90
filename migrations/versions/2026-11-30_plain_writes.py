"""Which entries of the change feed take something back at once.

Revision: 0018
Follows: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before leaves it empty, which is read as at once."""
    op.add_column("change", sa.Column("at_once", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take back; everything that is taken back acts at once again."""
    op.drop_column("change", "at_once")

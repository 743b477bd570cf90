"""That nothing of a user may be erased for now, and why.

Revision: 0014
Follows: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and keeps to no hold."""
    op.add_column("subject", sa.Column("hold", sa.String(32), nullable=True))


def downgrade() -> None:
    """Take back; the holds are lost."""
    op.drop_column("subject", "hold")

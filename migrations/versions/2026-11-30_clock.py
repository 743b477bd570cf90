"""What a request found, when the person asked, and why and when its due date was moved.

Revision: 0013
Follows: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = ("n_records", "requested_at", "extension", "told_at")


def upgrade() -> None:
    """Apply. The version before goes on working, and fills none of the columns."""
    moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("erasure_request", sa.Column("n_records", sa.BigInteger(), nullable=True))
    op.add_column("erasure_request", sa.Column("requested_at", moment, nullable=True))
    op.add_column("erasure_request", sa.Column("extension", sa.String(32), nullable=True))
    op.add_column("erasure_request", sa.Column("told_at", moment, nullable=True))


def downgrade() -> None:
    """Take back; the reasons of extensions stay in the log only."""
    for name in reversed(_COLUMNS):
        op.drop_column("erasure_request", name)

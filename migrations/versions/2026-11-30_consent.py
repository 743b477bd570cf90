"""The consent with which somebody came back after an erasure: when, and from where.

Revision: 0012
Follows: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and keeps nobody's consent."""
    moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("subject", sa.Column("consent_at", moment, nullable=True))
    op.add_column("subject", sa.Column("consent_source", sa.String(32), nullable=True))


def downgrade() -> None:
    """Take back; the consents are lost."""
    op.drop_column("subject", "consent_source")
    op.drop_column("subject", "consent_at")

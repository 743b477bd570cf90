"""Rights that users have in force: restriction (GDPR Art. 18) and objection (Art. 21).

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and knows nobody's rights."""
    op.add_column("subject", sa.Column("rights", sa.String(32), nullable=True))
    condition = sa.text("rights IS NOT NULL")
    op.create_index(
        "ix_subject_rights",
        "subject",
        ["pseudonym"],
        sqlite_where=condition,
        postgresql_where=condition,
    )


def downgrade() -> None:
    """Take back; rights in force are lost, so lift or note them before."""
    op.drop_index("ix_subject_rights", "subject")
    op.drop_column("subject", "rights")

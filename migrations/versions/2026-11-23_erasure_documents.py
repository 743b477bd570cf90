"""What belongs to an erasure request besides its state: receipt, salt, needles, certificate.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working: it neither reads nor writes what is new."""
    op.create_table(
        "erasure_document",
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("salt", sa.String(64), nullable=True),
        sa.Column("state_before", sa.String(64), nullable=True),
        sa.Column("needles", sa.Text, nullable=True),
        sa.Column("certificate", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("request_id", name="pk_erasure_document"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # A sample of the values would outlive them in pg_statistic.
        for column in ("salt", "needles"):
            op.execute(f"ALTER TABLE erasure_document ALTER COLUMN {column} SET STATISTICS 0")
    op.add_column("process", sa.Column("state_hash", sa.String(64), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("process", "state_hash")
    op.drop_table("erasure_document")

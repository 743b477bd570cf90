"""Signatures of witnesses under checkpoints of the audit log.

Revision: 0011
Follows: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and asks no witness."""
    op.create_table(
        "audit_cosignature",
        sa.Column("size", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("witness", sa.String(128), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name="pk_audit_cosignature"),
    )


def downgrade() -> None:
    """Take back; certificates' proofs lose the witnesses' signatures, and can get new ones."""
    op.drop_table("audit_cosignature")

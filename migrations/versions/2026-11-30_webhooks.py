"""The caller's number of a request, sealed; how far addresses were told of the log; dead letters.

Revision: 0015
Follows: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and keeps no number and tells nobody."""
    moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("erasure_request", sa.Column("ticket", sa.Text(), nullable=True))
    op.create_index("ix_erasure_request_ticket", "erasure_request", ["ticket"])
    op.create_table(
        "webhook",
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("not_before", moment, nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_webhook"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("failed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("target", "seq", name="pk_dead_letter"),
    )


def downgrade() -> None:
    """Take back; the numbers are lost, and who was told of what."""
    op.drop_table("dead_letter")
    op.drop_table("webhook")
    op.drop_index("ix_erasure_request_ticket", "erasure_request")
    op.drop_column("erasure_request", "ticket")

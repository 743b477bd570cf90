"""Keys of calling systems and of staff, and sessions of the console that were ended.

Revision: 0016
Follows: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, with the tokens of the settings alone."""
    moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
    op.create_table(
        "access_key",
        sa.Column("key_id", sa.String(12), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_access_key"),
    )
    op.create_table(
        "ended_session",
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_ended_session"),
    )


def downgrade() -> None:
    """Take back; all keys are lost, and the tokens of the settings go on."""
    op.drop_table("ended_session")
    op.drop_table("access_key")

"""An operator's note on a request, sealed, until the request is over.

Revision: 0017
Follows: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on working, and clears no note."""
    op.add_column("erasure_request", sa.Column("note", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take back; the notes are lost."""
    op.drop_column("erasure_request", "note")

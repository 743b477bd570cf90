"""The Merkle tree over the audit log: one row for each perfect subtree, made once, never changed.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BATCH = 1_000


def upgrade() -> None:
    """Apply. The version before does not write nodes, so it must not run any more."""
    node = op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name="pk_audit_node"),
    )
    _fill(op.get_bind(), node)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER audit_node_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            "ON audit_node FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_node_refuses_{verb.lower()} BEFORE {verb} ON audit_node "
            "BEGIN SELECT RAISE(ABORT, 'audit_node is append-only'); END"
        )


def _fill(connection: sa.Connection, node: sa.Table) -> None:
    """Compute the nodes over the leaves that are there (RFC 9162 section 2.1)."""
    leaf = sa.table("audit_leaf", sa.column("seq"), sa.column("leaf_hash"))
    peaks: list[bytes] = []
    last = -1
    while True:
        page = sa.select(leaf.c.seq, leaf.c.leaf_hash).where(leaf.c.seq > last)
        rows = connection.execute(page.order_by(leaf.c.seq).limit(_BATCH)).all()
        if not rows:
            return
        found = []
        for seq, leaf_hash in rows:
            carried, level = bytes(leaf_hash), 0
            while seq >> level & 1:
                carried = hashlib.sha256(b"\x01" + peaks.pop() + carried).digest()
                level += 1
                found.append({"level": level, "position": seq >> level, "hash": carried})
            peaks.append(carried)
            last = seq
        if found:
            connection.execute(sa.insert(node), found)


def downgrade() -> None:
    """Take back; the leaves stay."""
    op.drop_table("audit_node")

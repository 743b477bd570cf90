"""The append-only log in SQL. Triggers made by the migration refuse UPDATE and DELETE."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.session import Session
from app.adapters.db.tables import audit_leaf
from app.domain.audit import Leaf, StoredLeaf
from app.domain.models import RequestId

_LEAF_PREFIX: Final = b"\x00"  # RFC 9162 section 2.1.1


@dataclass(frozen=True, slots=True)
class SqlAuditLog:
    """The append-only log."""

    session: Session

    def append(self, leaves: Sequence[Leaf]) -> list[int]:
        """See the port."""
        if not leaves:
            return []
        if self.session.is_postgres:
            # A transaction appends to both logs in whatever order; taking the feed's lock first
            # in either case keeps two of them from waiting for each other.
            counters.lock(self.session, counters.CHANGE)
        size = counters.advance(self.session, counters.AUDIT, by=len(leaves))
        numbers = list(range(size - len(leaves), size))
        self.session.connection.execute(
            sa.insert(audit_leaf),
            [_values(leaf, seq=seq) for seq, leaf in zip(numbers, leaves, strict=True)],
        )
        return numbers

    def page(
        self, *, after: int, limit: int, kind: str | None, request_id: RequestId | None
    ) -> list[StoredLeaf]:
        """See the port."""
        statement = sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_leaf.c.leaf_hash).where(
            audit_leaf.c.seq > after
        )
        if kind is not None:
            statement = statement.where(audit_leaf.c.kind == kind)
        if request_id is not None:
            statement = statement.where(audit_leaf.c.request_id == request_id)
        rows = self.session.rows(statement.order_by(audit_leaf.c.seq).limit(limit))
        return [StoredLeaf(row.seq, bytes(row.body), bytes(row.leaf_hash)) for row in rows]

    def size(self) -> int:
        """See the port."""
        return counters.read(self.session, counters.AUDIT)


def _values(leaf: Leaf, *, seq: int) -> dict[str, object]:
    body = leaf.canonical()
    return {
        "seq": seq,
        "kind": leaf.kind.value,
        "request_id": leaf.request_id,
        "at": leaf.at,
        "body": body,
        "leaf_hash": hashlib.sha256(_LEAF_PREFIX + body).digest(),
    }

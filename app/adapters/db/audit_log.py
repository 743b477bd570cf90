"""The append-only log in SQL. Triggers made by the migration refuse UPDATE and DELETE."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypedDict

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.audit_tables import audit_checkpoint, audit_cosignature, audit_leaf, audit_node
from app.adapters.db.session import Record, Repository
from app.domain.audit.checkpoint import Checkpoint, SignedCheckpoint, SignedNote
from app.domain.audit.entries import Leaf, StoredLeaf, by_actor
from app.domain.audit.merkle import Frontier, NodeId, extend, leaf_hash, peak_nodes
from app.domain.errors import IntegrityError
from app.domain.models import RequestId

_TRIGGERS: Final = {
    False: sa.text("SELECT name, sql AS does FROM sqlite_master WHERE type = 'trigger'"),
    # "O": fires in ordinary sessions; "A": always. "D" and "R" would let an edit pass.
    True: sa.text(
        "SELECT tgname AS name, pg_get_triggerdef(t.oid, true) || ' ' || prosrc AS does "
        "FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE tgenabled IN ('O', 'A')"
    ),
}
"""The query for the triggers in place; the key says whether it is PostgreSQL."""
_GUARDS: Final = {
    False: {
        "audit_checkpoint_refuses_delete": "0384db0c7de1e150",
        "audit_checkpoint_refuses_update": "83a383efc48b6bb0",
        "audit_leaf_refuses_delete": "931fbf48858483d7",
        "audit_leaf_refuses_update": "8de668dfefd603c5",
        "audit_node_refuses_delete": "a0cf1382c3cf4e7e",
        "audit_node_refuses_update": "1a3756db5c05e5a4",
        "erasure_move_refuses_delete": "2bf8111acb99b3f7",
        "erasure_move_refuses_update": "069ebeaaf876e6b2",
        "erasure_request_notes_insert": "262a2b20a6c2a6a9",
        "erasure_request_notes_move": "9ef895b9444b9890",
    },
    True: {
        "audit_checkpoint_is_append_only": "20bdf8a480b9c1f1",
        "audit_leaf_is_append_only": "496f8d3a22098700",
        "audit_node_is_append_only": "426f972abb1f9aad",
        "erasure_move_is_append_only": "03dc9bac409bcf2f",
        "erasure_request_notes_insert": "61c0ffdf55bda9d4",
        "erasure_request_notes_move": "fa1363a7bf05cce4",
    },
}
"""What the migrations' triggers do: SHA-256 of their text, 16 digits. One of the same name that
does nothing guards nothing."""


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


class SqlAuditLog(Repository):
    """The append-only log."""

    def append(self, leaves: Sequence[Leaf]) -> list[int]:
        if not leaves:
            return []
        self._take_turn()
        size = counters.advance(self.session, counters.AUDIT, by=len(leaves))
        numbers = list(range(size - len(leaves), size))
        rows = [_row(by_actor(leaf), seq=seq) for seq, leaf in zip(numbers, leaves, strict=True)]
        self.session.connection.execute(sa.insert(audit_leaf), rows)
        before = self._frontier(size - len(leaves))
        _, completed = extend(before, [row["leaf_hash"] for row in rows])
        if completed:
            nodes = [
                {"level": one.at.level, "position": one.at.position, "hash": one.hash}
                for one in completed
            ]
            self.session.connection.execute(sa.insert(audit_node), nodes)
        return numbers

    def lock(self) -> None:
        self._take_turn()
        if self.session.is_postgres:
            counters.lock(self.session, counters.AUDIT)

    def _take_turn(self) -> None:
        # A transaction appends to both logs in whatever order; taking the feed's lock first in
        # either case keeps two of them from waiting for each other.
        if self.session.is_postgres:
            counters.lock(self.session, counters.CHANGE)

    def page(
        self, *, after: int, limit: int, kind: str | None, request_id: RequestId | None
    ) -> list[StoredLeaf]:
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
        return counters.read(self.session, counters.AUDIT)

    def unguarded(self) -> list[str]:
        found = self.session.rows(_TRIGGERS[self.session.is_postgres])
        there = {row.name: _digest(row.does) for row in found}
        guards = _GUARDS[self.session.is_postgres]
        return sorted(name for name, does in guards.items() if there.get(name) != does)

    def frontier(self) -> Frontier:
        return self._frontier(self.size())

    def _frontier(self, size: int) -> Frontier:
        places = peak_nodes(size)
        found = self.nodes(places)
        if len(found) < len(places):
            raise IntegrityError(f"the audit log's tree of {size} leaves has holes")
        return Frontier(size, tuple(found[place] for place in places))

    def nodes(self, ids: Collection[NodeId]) -> dict[NodeId, bytes]:
        by_level: dict[int, list[int]] = defaultdict(list)
        for at in ids:
            by_level[at.level].append(at.position)
        found: dict[NodeId, bytes] = {}
        if leaves := by_level.pop(0, None):
            one = audit_leaf.c
            rows = self.session.rows(sa.select(one.seq, one.leaf_hash).where(one.seq.in_(leaves)))
            found |= {NodeId(0, row.seq): bytes(row.leaf_hash) for row in rows}
        if by_level:
            # Not (level, position) IN (...): for that, SQLite reads the whole table.
            node = audit_node.c
            wanted = (
                sa.and_(node.level == level, node.position.in_(positions))
                for level, positions in by_level.items()
            )
            rows = self.session.rows(sa.select(audit_node).where(sa.or_(*wanted)))
            found |= {NodeId(row.level, row.position): bytes(row.hash) for row in rows}
        return found

    def add_checkpoint(self, checkpoint: SignedCheckpoint) -> None:
        self.session.connection.execute(
            sa.insert(audit_checkpoint).values(
                size=checkpoint.checkpoint.size,
                root=checkpoint.checkpoint.root,
                note=checkpoint.note.encode(),
                at=checkpoint.at,
            )
        )

    def newest_checkpoint(self) -> SignedCheckpoint | None:
        newest = sa.select(audit_checkpoint).order_by(audit_checkpoint.c.size.desc()).limit(1)
        row = self.session.first(newest)
        return None if row is None else _checkpoint(row)

    def checkpoints(self, *, after: int, limit: int) -> list[SignedCheckpoint]:
        statement = sa.select(audit_checkpoint).where(audit_checkpoint.c.size > after)
        rows = self.session.rows(statement.order_by(audit_checkpoint.c.size).limit(limit))
        return [_checkpoint(row) for row in rows]

    def add_cosignature(self, size: int, *, witness: str, line: str) -> None:
        insert = self.session.insert(audit_cosignature).values(
            size=size, witness=witness, line=line
        )
        self.session.changed(insert.on_conflict_do_nothing())

    def cosigned(self, *, limit: int) -> list[SignedCheckpoint]:
        of, line = audit_checkpoint.c, audit_cosignature.c
        sizes = sa.select(line.size).distinct().order_by(line.size.desc()).limit(limit)
        rows = self.session.rows(
            sa.select(audit_checkpoint).where(of.size.in_(sizes)).order_by(of.size.desc())
        )
        lines: dict[int, str] = defaultdict(str)
        for row in self.session.rows(
            sa.select(line.size, line.line).where(line.size.in_(sizes)).order_by(line.witness)
        ):
            lines[row.size] += f"{row.line}\n"
        found = [_checkpoint(row) for row in rows]
        return [
            replace(one, note=SignedNote.parse(one.note.encode() + lines[one.checkpoint.size]))
            for one in found
        ]


def _checkpoint(row: Record) -> SignedCheckpoint:
    note = SignedNote.parse(row.note)
    checkpoint = Checkpoint.parse(note.text)
    if (checkpoint.size, checkpoint.root) != (row.size, bytes(row.root)):
        raise IntegrityError(f"the checkpoint of size {row.size} is not the one that was signed")
    return SignedCheckpoint(checkpoint, note, row.at)


class _LeafRow(TypedDict):
    seq: int
    kind: str
    request_id: RequestId | None
    at: datetime
    body: bytes
    leaf_hash: bytes


def _row(leaf: Leaf, *, seq: int) -> _LeafRow:
    body = leaf.canonical()
    return {
        "seq": seq,
        "kind": leaf.kind.value,
        "request_id": leaf.request_id,
        "at": leaf.at,
        "body": body,
        "leaf_hash": leaf_hash(body),
    }

"""The append-only log in SQL. Triggers made by the migration refuse UPDATE and DELETE."""

from __future__ import annotations

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
from app.domain.audit.merkle import Frontier, Node, NodeId, extend, leaf_hash, peak_nodes
from app.domain.errors import IntegrityError
from app.domain.models import RequestId

_GUARDED: Final = ("audit_leaf", "audit_node", "audit_checkpoint", "erasure_move")
_NOTING: Final = frozenset({"erasure_request_notes_insert", "erasure_request_notes_move"})
_VERBS: Final = ("update", "delete")
_TRIGGERS: Final = {
    False: sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'"),
    # "O": fires in ordinary sessions; "A": always. "D" and "R" would let an edit pass.
    True: sa.text("SELECT tgname AS name FROM pg_trigger WHERE tgenabled IN ('O', 'A')"),
}
"""The query for the triggers in place; the key says whether it is PostgreSQL."""


def _guards(*, is_postgres: bool) -> frozenset[str]:
    """Return the names of the triggers that the migrations made."""
    if is_postgres:
        return _NOTING | {f"{table}_is_append_only" for table in _GUARDED}
    return _NOTING | {f"{table}_refuses_{verb}" for table in _GUARDED for verb in _VERBS}


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
            self.session.connection.execute(sa.insert(audit_node), list(map(_node, completed)))
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
        there = {row.name for row in found}
        return sorted(_guards(is_postgres=self.session.is_postgres) - there)

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


def _node(node: Node) -> dict[str, object]:
    return {"level": node.at.level, "position": node.at.position, "hash": node.hash}

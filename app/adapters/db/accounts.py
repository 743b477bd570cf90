"""Each erasure request's row, transitions and audit leaves, merged from three tables."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from app.adapters.db.audit_tables import audit_leaf
from app.adapters.db.session import Repository
from app.adapters.db.tables import erasure_document, erasure_move, erasure_request, tombstone
from app.domain.audit.entries import LeafKind, StoredLeaf
from app.domain.erasure.reconciliation import Account, RequestRow, Transition
from app.domain.models import RequestId

_Entry = tuple[RequestId, RequestRow | Transition | StoredLeaf]


class SqlAccounts(Repository):
    """The accounts of all requests: three tables read in the order of request ids."""

    def all(self) -> Iterator[Account]:
        """Merging works because ids are hexadecimal: every collation sorts them as Python does."""
        merged = heapq.merge(self._rows(), self._moves(), self._leaves(), key=itemgetter(0))
        for request_id, entries in groupby(merged, key=itemgetter(0)):
            found = [entry for _, entry in entries]
            rows = [entry for entry in found if isinstance(entry, RequestRow)]
            yield Account(
                request_id=request_id,
                row=rows[0] if rows else None,
                moves=[entry for entry in found if isinstance(entry, Transition)],
                leaves=[entry for entry in found if isinstance(entry, StoredLeaf)],
            )

    def _rows(self) -> Iterator[_Entry]:
        one, paper = erasure_request.c, erasure_document.c
        joined = erasure_request.outerjoin(erasure_document, one.request_id == paper.request_id)
        facts = (one.state, one.scope_kind, one.ground, one.received_at, one.due_at)
        is_certified = paper.certificate.is_not(None).label("is_certified")
        left = sa.select(sa.func.count()).where(tombstone.c.request_id == one.request_id)
        n_tombstones = left.scalar_subquery().label("n_tombstones")
        statement = sa.select(one.request_id, *facts, one.completed_at, is_certified, n_tombstones)
        for row in self.session.stream(statement.select_from(joined).order_by(one.request_id)):
            yield (
                row.request_id,
                RequestRow(
                    state=row.state,
                    scope_kind=row.scope_kind,
                    ground=row.ground,
                    received_at=row.received_at,
                    due_at=row.due_at,
                    completed_at=row.completed_at,
                    is_certified=bool(row.is_certified),
                    n_tombstones=row.n_tombstones,
                ),
            )

    def _moves(self) -> Iterator[_Entry]:
        move = erasure_move.c
        statement = sa.select(move.request_id, move.source, move.target)
        for request_id, source, target in self.session.stream(
            statement.order_by(move.request_id, move.number)
        ):
            yield request_id, Transition(source, target)

    def _leaves(self) -> Iterator[_Entry]:
        """Yield leaves, but not those that were brought back without the rows they tell of."""
        leaf = audit_leaf.c
        recovered = list(self._recovered())
        statement = sa.select(leaf.request_id, leaf.seq, leaf.body, leaf.leaf_hash)
        for request_id, seq, body, hashed in self.session.stream(
            statement.where(leaf.request_id.is_not(None)).order_by(leaf.request_id, leaf.seq)
        ):
            if not any(seq in one for one in recovered):
                yield request_id, StoredLeaf(seq, bytes(body), bytes(hashed))

    def _recovered(self) -> Iterator[range]:
        told = sa.select(audit_leaf.c.body).where(audit_leaf.c.kind == LeafKind.LOG_RECOVERED.value)
        for row in self.session.rows(told):
            facts = json.loads(row.body)["payload"]
            yield range(facts["first"], facts["size"])

"""Reading the audit log; a read is itself an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.audit.entries import Leaf, LeafKind, StoredLeaf
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """A page of the log: numbers above ``after`` (-1 for all), at most ``limit``."""

    after: int = -1
    limit: int = 100
    kind: LeafKind | None = None
    request_id: RequestId | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Leaves in order, and how many the log holds in all, this read included."""

    leaves: Sequence[StoredLeaf]
    size: int


class AuditService:
    """Answers ``GET /admin/audit``."""

    def __init__(self, *, uows: UnitsOfWork, clock: Clock) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._clock = clock

    def page(self, query: AuditQuery) -> AuditPage:
        """Return a page of leaves and append the leaf that says they were read."""
        with self._uows.write() as uow:
            leaves = uow.audit.page(
                after=query.after,
                limit=query.limit,
                kind=query.kind,
                request_id=query.request_id,
            )
            facts = {"after": query.after, "returned": len(leaves)}
            uow.audit.append([Leaf(LeafKind.AUDIT_READ, self._clock.now(), None, facts)])
            return AuditPage(leaves, uow.audit.size())

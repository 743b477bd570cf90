"""Reading the audit log, a page or the whole of it; a read is itself an entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind, StoredLeaf
from app.domain.canonical_json import canonical_json
from app.domain.certificates.statement import Deployment
from app.domain.errors import NotFoundError
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork

_PAGE: Final = 2_000


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


def export_line(leaf: StoredLeaf) -> bytes:
    """Return the line of one leaf: canonical JSON and a line feed.

    The body stands in it as a string, byte for byte as it was hashed.
    """
    line = {"leaf": leaf.body.decode(), "leaf_hash": leaf.leaf_hash.hex(), "seq": leaf.seq}
    return canonical_json(line) + b"\n"


class AuditService:
    """Answers ``GET /admin/audit`` and its export."""

    def __init__(self, *, uows: UnitsOfWork, clock: Clock) -> None:
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
            self._note_read(uow, after=query.after, returned=len(leaves))
            return AuditPage(leaves, uow.audit.size())

    def export(self, *, size: int) -> Iterator[bytes]:
        """Return lines of ``size`` leaves from the first on, such as a checkpoint vouches for.

        A page a transaction, so that a slow reader holds none open; leaves never change.

        Raises:
            NotFoundError: the log has fewer leaves; before the first line.
        """
        with self._uows.write() as uow:
            if size > uow.audit.size():
                raise NotFoundError(f"the log has fewer than {size} leaves")
            self._note_read(uow, after=-1, returned=size)
        return self._lines(size)

    def note_start(self, deployment: Deployment, *, role: str) -> None:
        """Append the leaf that says which release runs from now on, with which settings."""
        facts = {"config": deployment.config, "release": deployment.release, "role": role}
        with self._uows.write() as uow:
            uow.audit.append([Leaf(LeafKind.SERVICE_STARTED, self._clock.now(), None, facts)])

    def _note_read(self, uow: UnitOfWork, *, after: int, returned: int) -> None:
        facts = {"after": after, "returned": returned}
        uow.audit.append([Leaf(LeafKind.AUDIT_READ, self._clock.now(), None, facts)])

    def _lines(self, size: int) -> Iterator[bytes]:
        for start in range(0, size, _PAGE):
            limit = min(_PAGE, size - start)
            with self._uows.read() as uow:
                leaves = uow.audit.page(after=start - 1, limit=limit, kind=None, request_id=None)
            yield from map(export_line, leaves)

"""Handing out the audit log as a file that anyone can check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.errors import NotFoundError
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.log_export import export_line

_PAGE: Final = 2_000


class AuditExportService:
    """Exports the log up to a size, such as a checkpoint's, so that one vouches for all of it."""

    def __init__(self, *, uows: UnitsOfWork, clock: Clock) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._clock = clock

    def export(self, *, size: int) -> Iterator[bytes]:
        """Return lines of ``size`` leaves from the first on; the export is itself an entry.

        A page a transaction, so that a slow reader holds none open; leaves never change.

        Raises:
            NotFoundError: the log has fewer leaves; before the first line.
        """
        with self._uows.write() as uow:
            if size > uow.audit.size():
                raise NotFoundError(f"the log has fewer than {size} leaves")
            facts = {"after": -1, "returned": size}
            uow.audit.append([Leaf(LeafKind.AUDIT_READ, self._clock.now(), None, facts)])
        return self._lines(size)

    def _lines(self, size: int) -> Iterator[bytes]:
        for start in range(0, size, _PAGE):
            limit = min(_PAGE, size - start)
            with self._uows.read() as uow:
                leaves = uow.audit.page(after=start - 1, limit=limit, kind=None, request_id=None)
            yield from map(export_line, leaves)

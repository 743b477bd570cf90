"""Handing out the audit log as a file that anyone can check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind, StoredLeaf
from app.domain.canonical_json import canonical_json
from app.domain.errors import NotFoundError
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork

_PAGE: Final = 2_000


def export_line(leaf: StoredLeaf) -> bytes:
    """Return the line of one leaf: canonical JSON and a line feed.

    The body stands in it as a string, byte for byte as it was hashed.
    """
    line = {"leaf": leaf.body.decode(), "leaf_hash": leaf.leaf_hash.hex(), "seq": leaf.seq}
    return canonical_json(line) + b"\n"


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

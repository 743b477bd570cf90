"""The append-only log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.domain.audit import Leaf, StoredLeaf
from app.domain.models import RequestId


class AuditLog(Protocol):
    """The append-only log."""

    def append(self, leaves: Sequence[Leaf]) -> list[int]:
        """Append in order; return the 0-based numbers. Gapless over concurrent appenders."""
        ...

    def page(
        self, *, after: int, limit: int, kind: str | None, request_id: RequestId | None
    ) -> list[StoredLeaf]:
        """Return leaves with a number above ``after`` (-1 for all), in order."""
        ...

    def size(self) -> int:
        """Return the number of leaves."""
        ...

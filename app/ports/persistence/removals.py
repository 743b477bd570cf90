"""Deleted items, until nothing of their words is left in any file.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.models import ItemId, RequestId


@dataclass(frozen=True, slots=True)
class Removal:
    """A deleted item.

    Args:
        removal_id: random; names the key of ``needles`` as a request's id does.
        needles: what a probe must not find any more, sealed.
    """

    removal_id: RequestId
    item_id: ItemId
    needles: str


class Removals(Protocol):
    """Removals that are not over."""

    def add(self, removal: Removal, *, due_at: datetime) -> None:
        """Insert one."""

    def claim(self, *, now: datetime, until: datetime, limit: int) -> list[Removal]:
        """Take those that are due at ``now``; nobody else gets them before ``until``."""

    def put_off(self, removal_ids: Collection[RequestId], *, due_at: datetime) -> None:
        """Have these done at another time."""

    def drop(self, removal_ids: Collection[RequestId]) -> None:
        """Remove those that are over."""

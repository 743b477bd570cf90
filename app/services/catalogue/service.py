"""Taking in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item
from app.domain.recommendation.memory import describe_item
from app.ports.clock import Clock
from app.ports.embedder import Embedder
from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.unit_of_work import UnitsOfWork

_REPAIR_BATCH: Final = 500
_log = structlog.get_logger(__name__)


class CatalogueService:
    """Stores items in SQL first, then in the catalogue index.

    SQL is the truth: a write to the index that fails or dies is repaired by ``repair``.
    """

    def __init__(
        self, *, uows: UnitsOfWork, index: CatalogueIndex, embedder: Embedder, clock: Clock
    ) -> None:
        self._uows = uows
        self._items_index = index
        self._embedder = embedder
        self._clock = clock

    def upsert(self, items: Sequence[Item]) -> int:
        """Insert or replace catalogue entries; return how many changed. Idempotent."""
        with self._uows.write() as uow:
            changed = uow.items.upsert(items, at=self._clock.now())
        if changed:
            try:
                self._index(items)
            except DependencyUnavailableError as error:
                _log.warning("catalogue_index_deferred", n_items=len(items), code=error.code)
        return changed

    def _index(self, items: Sequence[Item]) -> None:
        latest = list({item.item_id: item for item in items}.values())
        vectors = self._embedder.embed([describe_item(item) for item in latest])
        self._items_index.upsert(latest, vectors)
        with self._uows.write() as uow:
            uow.items.mark_indexed(latest)

    def count(self) -> int:
        """Return how many items there are."""
        with self._uows.read() as uow:
            return uow.items.count()

    def repair(self) -> int:
        """Index what is missing or old in the index; return how many items."""
        with self._uows.read() as uow:
            items = uow.items.unindexed(limit=_REPAIR_BATCH)
        if items:
            self._index(items)
        return len(items)

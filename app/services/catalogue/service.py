"""Taking in the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from app.ports.clock import Clock
from app.ports.embedder import Embedder
from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.vectors import on_item_grid

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
        """Insert or replace catalogue entries; return how many changed. Idempotent.

        Memories of what is called another name from now on, or was not in the catalogue before,
        are written again: whichever came first, event or entry, they say the same in the end.
        """
        now, latest = self._clock.now(), {item.item_id: item for item in items}
        with self._uows.write() as uow:
            former, before = uow.items.hold(latest), uow.items.indexed(latest)
            changed = uow.items.upsert(list(latest.values()), at=now)
            reworded = {
                item_id
                for item_id, item in latest.items()
                if item_id not in former or _words(former[item_id]) != _words(item)
            }
            uow.interactions.mark_stale(reworded, at=now)
            indexed = before - reworded
            # What is shown or not, or has another number in it, is embedded as before.
            uow.items.mark_indexed([latest[item_id] for item_id in indexed])
        new = [item for item_id, item in latest.items() if item_id not in indexed]
        if new:
            try:
                self._index(new)
            except DependencyUnavailableError as error:
                _log.warning("catalogue_index_deferred", n_items=len(new), code=error.code)
        return changed

    def _index(self, items: Sequence[Item]) -> None:
        vectors = on_item_grid(self._embedder.embed([describe_item(item) for item in items]))
        self._items_index.upsert(items, vectors)
        with self._uows.write() as uow:
            uow.items.mark_indexed(items)

    def get(self, item_ids: Collection[ItemId]) -> list[Item]:
        """Return the catalogue entries of these ids, by id; a stub is none."""
        with self._uows.read() as uow:
            found = uow.items.get_many(item_ids)
        return [found[item_id] for item_id in sorted(found) if not found[item_id].is_stub]

    def page(self, *, after: ItemId | None, limit: int) -> list[Item]:
        """Return catalogue entries by id, those behind ``after``."""
        with self._uows.read() as uow:
            return uow.items.page(after=after, limit=limit)

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


def _words(item: Item) -> tuple[str, str, bool]:
    """Return all that memories of an item, and its vector, are made from."""
    return item.title, describe_item(item), item.is_stub

"""Where the catalogue's entries are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from app.domain.models import Item, ItemId
from app.domain.recommendation.filter import CatalogueEntry


class Items(Protocol):
    """The catalogue."""

    def upsert(self, items: Sequence[Item], *, at: datetime) -> int:
        """Insert or replace; mark changed ones as not indexed; return how many changed."""

    def get_many(self, item_ids: Collection[ItemId]) -> dict[ItemId, Item]:
        """Return the items by id; missing ids are left out."""

    def hold(self, item_ids: Collection[ItemId], *, is_shared: bool = False) -> dict[ItemId, Item]:
        """Do as ``get_many``, and keep others from changing or removing them until the end.

        Args:
            item_ids: which.
            is_shared: others may hold them shared meanwhile.
        """

    def add_stubs(self, item_ids: Collection[ItemId], *, at: datetime) -> None:
        """Insert stubs of those that are not there."""

    def remove(self, item_ids: Collection[ItemId]) -> None:
        """Remove these."""

    def page(self, *, after: ItemId | None, limit: int) -> list[Item]:
        """Return catalogue entries by item id, those behind ``after``; no stubs."""

    def missing(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        """Return those of the ids that are not in the catalogue."""

    def indexed(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        """Return those of the ids that the index holds as they are now."""

    def unindexed(self, *, limit: int) -> list[Item]:
        """Return catalogue entries that the index lacks or has as they were, by item id."""

    def mark_indexed(self, items: Sequence[Item]) -> None:
        """Record that the index holds these versions; skips items that have changed since."""

    def mark_unindexed(self) -> None:
        """Record that the index may lack any of them."""

    def version(self) -> int:
        """Return the catalogue's version.

        It rises whenever an item is added, changed or removed, or the index has caught up with it.
        """

    def changed_since(self, version: int) -> Iterator[CatalogueEntry]:
        """Yield what was added, changed or indexed after that version; of 0 or less, everything.

        What was removed is not among it: it is missing from ``ids``.
        """

    def ids(self) -> set[ItemId]:
        """Return the ids of all items."""

    def all_items(self) -> Iterator[Item]:
        """Yield the catalogue by item id, without stubs, in constant memory."""

    def count(self) -> int:
        """Return how many items there are, stubs aside."""

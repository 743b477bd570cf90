"""Items and their vectors, kept in this process: what every answer asks for again and again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Item, ItemId
from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.records import ItemVersion
from app.ports.persistence.unit_of_work import UnitsOfWork

_MAX_ITEMS: Final = 100_000
"""Some 2 kB each with a vector of 256 dimensions."""
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the items asked for; of those the catalogue lacks, nothing."""

    items: Mapping[ItemId, Item]
    vectors: Mapping[ItemId, Vector]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An item as it was under a content hash; without a vector until the index has this version."""

    content_hash: str
    item: Item
    vector: Vector | None = None


class Shelf:
    """Looks items up, and reads from the stores only what has changed since.

    SQL is asked each time for the versions of the items, which costs a fifth of asking for the
    items themselves; so another process's change is seen at once. Holds nothing personal.
    """

    def __init__(self, *, uows: UnitsOfWork, catalogue: CatalogueIndex) -> None:
        """Keep the stores; the shelf is empty."""
        self._uows = uows
        self._catalogue = catalogue
        self._kept: dict[ItemId, _Kept] = {}

    def look_up(self, item_ids: Collection[ItemId]) -> Found:
        """Return the items of the catalogue among these, and their vectors."""
        if len(self._kept) > _MAX_ITEMS:
            self._kept = {}
        versions, kept = self._current(item_ids)
        bare = [item_id for item_id, one in kept.items() if one.vector is None]
        vectors = self._catalogue.vectors(bare) if bare else {}
        for item_id, vector in vectors.items():
            if versions[item_id].is_indexed:
                one = kept[item_id]
                self._kept[item_id] = _Kept(one.content_hash, one.item, vector)
        known = {item_id: one.vector for item_id, one in kept.items() if one.vector is not None}
        return Found({item_id: one.item for item_id, one in kept.items()}, known | vectors)

    def _current(
        self, item_ids: Collection[ItemId]
    ) -> tuple[Mapping[ItemId, ItemVersion], dict[ItemId, _Kept]]:
        """Return the versions of the items and what is kept of them, made up to date."""
        with self._uows.read() as uow:
            versions = uow.items.versions(item_ids)
            held = self._kept
            kept = {
                item_id: held[item_id]
                for item_id, version in versions.items()
                if item_id in held and held[item_id].content_hash == version.content_hash
            }
            changed = versions.keys() - kept.keys()
            items = uow.items.get_many(changed) if changed else {}
        for item_id, item in items.items():
            kept[item_id] = _Kept(versions[item_id].content_hash, item)
            self._kept[item_id] = kept[item_id]
        return versions, kept

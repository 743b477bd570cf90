"""The catalogue index with its vectors in this process, where the catalogue is small enough."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Item, ItemId, Scored
from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.unit_of_work import UnitsOfWork

MAX_ITEMS: Final = 20_000
"""Up to here one product with all vectors is faster than the index: 20 MB of 256 dimensions."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Every item of a version of the catalogue: ids, ascending, and vectors (n, dim)."""

    item_ids: Sequence[ItemId]
    vectors: NDArray[np.float32]

    def nearest(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        """Return the ``top_n`` nearest of all by cosine, ties by item id."""
        cosines = self.vectors @ query
        first = max(len(cosines) - top_n, 0)
        near = np.flatnonzero(cosines >= np.partition(cosines, first)[first])
        # Stable over ascending ids, so ties go by id.
        best = near[np.argsort(-cosines[near], kind="stable")[:top_n]]
        return [
            Scored(self.item_ids[at], score)
            for at, score in zip(best.tolist(), cosines[best].tolist(), strict=True)
        ]


class HeldCatalogue:
    """CatalogueIndex over another, which it asks only where it does not hold the catalogue.

    Exact where it holds it. What this process writes counts at once; what another one writes,
    from the next refresh on. Holds nothing personal.

    Args:
        uows: says which items there are, and whether the index has them all.
        index: keeps them.
        max_items: a larger catalogue is not held.
    """

    def __init__(
        self, *, uows: UnitsOfWork, index: CatalogueIndex, max_items: int = MAX_ITEMS
    ) -> None:
        """Hold nothing yet."""
        self._uows = uows
        self._index = index
        self._max_items = max_items
        self._lock = threading.Lock()
        self._writes = 0
        self._held: _Held | None = None
        self._version = ""

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        """See the port."""
        self._withdraw()
        try:
            self._index.upsert(items, embeddings)
        finally:
            self._withdraw()  # a refresh may have read one half before and one after

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        """See the port."""
        held = self._held
        if held is None:
            return self._index.search(query, top_n=top_n)
        return held.nearest(query, top_n=top_n)

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        """See the port."""
        return self._index.vectors(item_ids)

    def refresh(self) -> bool:
        """Hold the catalogue as it is now, if it may be; return whether that was done.

        Raises:
            DependencyUnavailableError: it cannot be read; what is held stays.
        """
        with self._lock:
            writes = self._writes
        with self._uows.read() as uow:
            version = uow.items.version()
            if version == self._version:
                return False
            is_fit = 0 < uow.items.count() <= self._max_items and not uow.items.unindexed(limit=1)
            item_ids = sorted(one.item_id for one in uow.items.all_items()) if is_fit else []
        found = self._index.vectors(item_ids) if item_ids else {}
        is_whole = bool(item_ids) and len(found) == len(item_ids)
        held = _Held(item_ids, np.stack([found[one] for one in item_ids])) if is_whole else None
        with self._lock:
            if self._writes == writes:
                self._held, self._version = held, version if held else ""
        return held is not None

    def _withdraw(self) -> None:
        with self._lock:
            self._writes += 1
            self._held, self._version = None, ""

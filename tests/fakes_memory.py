"""In-memory twins of the vector store's ports: real code, no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.domain.erasure.request import ErasureOrder
from app.domain.models import Item, ItemId, Pseudonym, RecordId, Scored
from app.ports.memory_store import Memory, Reindexed, StoreHealth


@dataclass
class FakeMemoryStore:
    """MemoryStore in a dictionary.

    Args:
        maintained: the pseudonyms of every ``maintain`` so far, one tuple a call.
    """

    records: dict[RecordId, Memory] = field(default_factory=dict)
    maintained: list[tuple[Pseudonym, ...]] = field(default_factory=list)
    marked: int = 0

    def add(self, memories: Sequence[Memory]) -> None:
        self.records |= {memory.record_id: memory for memory in memories}

    def vectors(
        self,
        pseudonym: Pseudonym,
        record_ids: Sequence[RecordId],
        *,
        within_s: float | None = None,
    ) -> dict[RecordId, NDArray[np.float32]]:
        return {i: self.records[i].embedding for i in record_ids if i in self.records}

    def collect(self, order: ErasureOrder) -> list[Memory]:
        return [self.records[record_id] for record_id in sorted(self._in_order(order))]

    def erase(self, order: ErasureOrder) -> int:
        doomed = self._in_order(order)
        for record_id in doomed:
            del self.records[record_id]
        return len(doomed)

    def maintain(self, pseudonyms: Sequence[Pseudonym]) -> int:
        self.maintained.append(tuple(pseudonyms))
        return 0

    def count(self, order: ErasureOrder) -> int:
        return len(self._in_order(order))

    def owners(self) -> Iterator[dict[RecordId, Pseudonym]]:
        yield {record_id: memory.pseudonym for record_id, memory in self.records.items()}

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        return Reindexed(shards=1, copied=len(self.records), emptied=0)

    def misplaced(self) -> list[int]:
        return []

    def controls(self) -> list[Memory]:
        return []

    def mark(self) -> int:
        return self.marked

    def set_mark(self, mark: int) -> None:
        self.marked = mark

    def size(self) -> int:
        return len(self.records)

    def health(self) -> StoreHealth:
        return StoreHealth(latency_ms=0.0)

    def _in_order(self, order: ErasureOrder) -> set[RecordId]:
        strays = {
            record_id
            for record_id, memory in self.records.items()
            if order.is_whole_user and memory.pseudonym == order.pseudonym
        }
        return strays | (self.records.keys() & set(order.record_ids))


@dataclass
class FakeCatalogueIndex:
    """CatalogueIndex by exact dot products."""

    rows: dict[ItemId, NDArray[np.float32]] = field(default_factory=dict)

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        self.rows |= {item.item_id: row for item, row in zip(items, embeddings, strict=True)}

    def remove(self, item_ids: Sequence[ItemId]) -> None:
        self.rows = {item_id: row for item_id, row in self.rows.items() if item_id not in item_ids}

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        scored = [Scored(item_id, float(row @ query)) for item_id, row in self.rows.items()]
        return sorted(scored, key=lambda found: (-found.score, found.item_id))[:top_n]

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        return {item_id: self.rows[item_id] for item_id in item_ids if item_id in self.rows}

"""Nearest-neighbour search over the catalogue in one Chroma collection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from chromadb.api.models.Collection import Collection
from numpy.typing import NDArray

from app.adapters.chroma.generations import Generations
from app.adapters.chroma.layout import ITEMS, CollectionSpec
from app.adapters.chroma.scrub import BATCH, flush, scrub
from app.adapters.chroma.servers import Chroma
from app.domain.models import Item, ItemId, RecordId, Scored

_PATIENCE_S: Final = 1.0
"""Seconds that an answer waits for a search."""


class ChromaCatalogueIndex:
    """CatalogueIndex over Chroma, embedded or on a server. Holds nothing personal.

    Args:
        database: the shared client.
        spec: embedder and dimensions.

    Raises:
        IntegrityError: the stored vectors are another embedder's.
        DependencyUnavailableError: Chroma does not answer.
    """

    def __init__(self, database: Chroma, *, spec: CollectionSpec) -> None:
        self._database = database
        self._items = Generations(database, families=frozenset({ITEMS}), spec=spec)

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        rows = {item.item_id: row for item, row in zip(items, embeddings, strict=True)}
        if not rows:
            return
        self._items.ensure(ITEMS)
        ids = list(rows)
        for start in range(0, len(ids), BATCH):
            chunk = {item_id: rows[item_id] for item_id in ids[start : start + BATCH]}
            self._items.write(ITEMS, partial(_upsert, rows=chunk))

    def remove(self, item_ids: Sequence[ItemId]) -> None:
        """Overwrite and delete these items' vectors, and flush."""
        dim = self._items.spec.dim
        self._items.write(ITEMS, partial(_remove, item_ids=item_ids, dim=dim))

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        with self._database.part(ITEMS).within(_PATIENCE_S):
            return self._items.read(
                ITEMS,
                partial(_search, query=query, top_n=top_n),
                default=[],
                is_whole=lambda found: len(found) == top_n,
            )

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        unique = list(dict.fromkeys(item_ids))
        return self._items.read(
            ITEMS,
            partial(_vectors, ids=unique),
            default={},
            is_whole=lambda found: len(found) == len(unique),
        )


def _upsert(collection: Collection, *, rows: dict[ItemId, NDArray[np.float32]]) -> None:
    collection.upsert(ids=list(rows), embeddings=np.stack(list(rows.values())))


def _remove(collection: Collection, *, item_ids: Sequence[ItemId], dim: int) -> None:
    scrub(collection, [RecordId(item_id) for item_id in item_ids], dim=dim)
    flush(collection)


def _search(collection: Collection, *, query: NDArray[np.float32], top_n: int) -> list[Scored]:
    answer = collection.query(
        query_embeddings=query[np.newaxis, :], n_results=top_n, include=["distances"]
    )
    distances = answer["distances"]
    pairs = zip(answer["ids"][0], distances[0] if distances else [], strict=True)
    # Chroma's cosine distance is 1 - cosine.
    scored = [Scored(ItemId(item_id), 1.0 - distance) for item_id, distance in pairs]
    return sorted(scored, key=lambda found: (-found.score, found.item_id))


def _vectors(collection: Collection, *, ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
    found: dict[ItemId, NDArray[np.float32]] = {}
    for start in range(0, len(ids), BATCH):
        answer = collection.get(ids=list(ids[start : start + BATCH]), include=["embeddings"])
        rows = np.asarray(answer["embeddings"], dtype=np.float32)
        found.update(zip(map(ItemId, answer["ids"]), rows, strict=True))
    return found

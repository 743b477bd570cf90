"""Scrub, delete and flush: the three steps before Chroma's files can be cleaned.

A plain ``delete`` leaves the vector in the index file, the text in the full-text tables and
everything in the write-ahead queue (docs/decisions/0008).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.api.types import GetResult
from numpy.typing import NDArray

from app.domain.models import RecordId

BATCH: Final = 250
"""Records in one call. Inside this process Chroma lets no other thread run during a write: 40 ms.
Below every limit it reports (5,461 for its SQLite)."""
TEXT: Final = "d"
"""Of a record's metadata: its text. Records from before it was kept there have a document."""
_BLANK: Final = "~"
_LAST: Final = "~end"


def batches(ids: Sequence[RecordId]) -> Iterator[list[RecordId]]:
    """Yield ``ids`` in lists that one call may carry."""
    for start in range(0, len(ids), BATCH):
        yield list(ids[start : start + BATCH])


def with_text(found: GetResult) -> list[dict[str, str]]:
    """Return the metadata of each record found, its text among them, wherever that is kept."""
    facts = found["metadatas"] or [{}] * len(found["ids"])
    documents: Sequence[str | None] = found["documents"] or [None] * len(found["ids"])
    return [
        {TEXT: document or "", **{name: str(value) for name, value in (one or {}).items()}}
        for one, document in zip(facts, documents, strict=True)
    ]


def known(collection: Collection, ids: Sequence[RecordId]) -> list[RecordId]:
    """Return those of ``ids`` that the collection has."""
    found: list[RecordId] = []
    for batch in batches(ids):
        found.extend(RecordId(i) for i in collection.get(ids=list(batch), include=[])["ids"])
    return found


def scrub(collection: Collection, ids: Sequence[RecordId], *, dim: int) -> list[RecordId]:
    """Overwrite the records in place, then delete them; return those that were there.

    The index never frees a slot, so what is in it must be replaced before the delete.
    """
    present = known(collection, ids)
    for batch in batches(present):
        collection.update(
            ids=list(batch),
            embeddings=_noise(len(batch), dim=dim),
            documents=[_BLANK] * len(batch),
            metadatas=[{"p": _BLANK, TEXT: _BLANK}] * len(batch),
        )
        collection.delete(ids=list(batch))
    return present


def flush(collection: Collection) -> None:
    """Make Chroma persist its index and purge its queue, by updating ids that do not exist.

    Such an update changes nothing, but counts towards ``sync_threshold``. The queue always keeps
    its last row, so the last update holds nothing personal.
    """
    threshold = int(collection.configuration_json["hnsw"]["sync_threshold"])
    unknown = [RecordId(f"~{secrets.token_hex(8)}") for _ in range(threshold + 1)]
    for batch in batches(unknown):
        collection.update(ids=list(batch), metadatas=[{"f": 1}] * len(batch))
    collection.update(ids=[_LAST], metadatas=[{"f": 1}])


def _noise(n: int, *, dim: int) -> NDArray[np.float32]:
    """Return n random directions, shape (n, dim), unit norm."""
    noise = np.random.default_rng().standard_normal((n, dim), dtype=np.float32)
    unit: NDArray[np.float32] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return unit

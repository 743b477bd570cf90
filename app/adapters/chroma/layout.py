"""Names and settings of Chroma's collections: shards and generations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.domain.errors import IntegrityError
from app.domain.models import Pseudonym

ITEMS: Final = "items"
MARK: Final = "lethe-mark"
"""Name of a collection without records that stores a number for the restore guard."""
CONTROL: Final = "lethe-control"
"""Name of the collection with what a search of a server's files has to find."""
_NAME: Final = re.compile(r"(?P<family>[a-z]+(?:-\d+)?)-g(?P<generation>\d+)")
_SHARD_DIGITS: Final = 8


def shard_of(pseudonym: Pseudonym, *, n_shards: int) -> int:
    """Return the shard of a user, in [0, n_shards)."""
    return int(pseudonym[:_SHARD_DIGITS], 16) % n_shards


def memory_family(shard: int) -> str:
    """Return the name, without generation, of the collections of a memory shard."""
    return f"memory-{shard:02d}"


def collection_name(family: str, *, generation: int) -> str:
    """Return the name of one generation of a family; generations count from 1."""
    return f"{family}-g{generation}"


def parse_name(name: str) -> tuple[str, int] | None:
    """Return (family, generation), or None if the collection is not ours."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match["family"], int(match["generation"]))


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """How a family's collections are created, and what a stored one must match.

    Args:
        embedder_id: the model whose vectors they hold.
        dim: dimensions of every vector, >= 1.
        n_shards: collections that the family's users are spread over; 1 for the catalogue.
        sync_threshold: log entries after which Chroma persists the index and purges its queue.
            A flush costs in proportion (50,000: 3 s), so it stays near 100.
        max_neighbors: degree of the graph; 16 found the same neighbours as 32 in half the bytes.
        ef_construction: how many slots are weighed for each link when a record comes in.
    """

    embedder_id: str
    dim: int
    n_shards: int = 1
    sync_threshold: int = 100
    max_neighbors: int = 16
    ef_construction: int = 100

    def metadata(self, *, is_ready: bool) -> dict[str, str | int | bool]:
        """Return a collection's metadata; the copy that a re-index is filling is not ready."""
        return {
            "embedder": self.embedder_id,
            "dim": self.dim,
            "shards": self.n_shards,
            "ready": is_ready,
        }

    def configuration(self) -> dict[str, dict[str, str | int]]:
        """Return Chroma's own settings of a collection."""
        # Only "cosine": with "ip" and "l2" Chroma writes length.bin from uninitialised heap,
        # with other users' texts and ids in it.
        return {
            "hnsw": {
                "space": "cosine",
                "sync_threshold": self.sync_threshold,
                "max_neighbors": self.max_neighbors,
                "ef_construction": self.ef_construction,
            }
        }

    def require_match(self, stored: Mapping[str, Any] | None) -> None:
        """Check a stored collection against this specification.

        Raises:
            IntegrityError: it holds vectors of another model or is sharded otherwise.
        """
        kept = stored or {}
        found = (kept.get("embedder"), kept.get("dim"), kept.get("shards"))
        if found != (self.embedder_id, self.dim, self.n_shards):
            message = (
                "the vector store was filled by embedder {} ({} dimensions, {} shards), "
                "configured is {} ({} dimensions, {} shards): load the data anew into an empty one"
            )
            configured = (self.embedder_id, self.dim, self.n_shards)
            raise IntegrityError(message.format(*found, *configured))

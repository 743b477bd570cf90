"""The vector database: memories of users, and the index over the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.erasure.request import ErasureOrder
from app.domain.models import Item, ItemId, Pseudonym, RecordId, Scored


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory as stored: random id, owner, document, embedding (shape (dim,), unit norm)."""

    record_id: RecordId
    pseudonym: Pseudonym
    document: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """The state of the vector store.

    Args:
        latency_ms: of the check itself.
        is_damaged: some collection's files cannot be read.
    """

    latency_ms: float
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a re-index did.

    Args:
        shards: collections that were replaced.
        copied: records in them.
        emptied: how many of the shards were damaged and are empty now; their memories can be
            made again from the rows in SQL.
    """

    shards: int
    copied: int
    emptied: int


class MemoryStore(Protocol):
    """Keeps memories in hash-sharded collections. All errors: DependencyUnavailableError."""

    def add(self, memories: Sequence[Memory]) -> None:
        """Write memories, any users; repeating a record id overwrites. Returns when durable."""

    def vectors(
        self,
        pseudonym: Pseudonym,
        record_ids: Sequence[RecordId],
        *,
        within_s: float | None = None,
    ) -> dict[RecordId, NDArray[np.float32]]:
        """Return the embeddings of one user's records by id; missing ids are left out.

        ``within_s``: an answer of a server is waited for no longer than so many seconds.
        """

    def collect(self, order: ErasureOrder) -> list[Memory]:
        """Return the order's records as the store itself holds them, for a probe to look for.

        For a whole user, also every stray record under the pseudonym.
        """

    def erase(self, order: ErasureOrder) -> int:
        """Overwrite and delete the order's records; return how many were still there.

        For a whole user, also every stray record under the pseudonym. Idempotent. ``maintain``
        removes what queues and free pages still hold.
        """

    def maintain(self, pseudonyms: Sequence[Pseudonym]) -> int:
        """Flush these users' shards, clean the store's files; return bytes freed.

        Costs by shard and by file, so erasures that wait together share it. The files are
        cleaned (full-text optimise, free bytes overwritten) in a process of its own, one at a time.
        """

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        """Replace shards (None: all) by copies without dead slots, and remove the old files.

        A shard whose files are damaged is replaced by an empty one. One of several servers does so
        with its own shards; a copy is made where the shard belongs.

        Raises:
            InvalidInputError: there is no such shard.
        """

    def misplaced(self) -> list[int]:
        """Return the shards on this machine that belong on another; ``reindex`` moves them."""

    def controls(self) -> list[Memory]:
        """Return what a search of each server's files must find, planting it where it is missing.

        Memories of nobody, as the store itself holds them. None where there is one server only.
        """

    def count(self, order: ErasureOrder) -> int:
        """Return how many records of the order the store still knows."""

    def owners(self) -> Iterator[dict[RecordId, Pseudonym]]:
        """Yield every record there is with its user, in portions."""

    def mark(self) -> int:
        """Return the number last stored by ``set_mark``, 0 if none was.

        A backup of the store holds an older number, so a restore can be detected.
        """

    def set_mark(self, mark: int) -> None:
        """Store a number beside the memories."""

    def size(self) -> int:
        """Return how many records there are, less those of damaged shards."""

    def health(self) -> StoreHealth:
        """Check the store; cheap, whatever is in it."""


class CatalogueIndex(Protocol):
    """Nearest-neighbour search over items. All errors: DependencyUnavailableError."""

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        """Index items; embeddings have shape (n, dim), unit norm. Repeats overwrite."""

    def remove(self, item_ids: Sequence[ItemId]) -> None:
        """Overwrite and delete these, and flush. Idempotent; files are cleaned by ``maintain``."""

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        """Return up to ``top_n`` items by cosine to ``query`` (shape (dim,)), ties by item id.

        The index is approximate; callers over-fetch.
        """

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        """Return item embeddings by id; missing ids are left out."""

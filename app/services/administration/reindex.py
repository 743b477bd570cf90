"""Re-indexing because an operator asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from app.ports.memory_store import MemoryStore, Reindexed
from app.services.erasure.restore_guard import RestoreService

_log = structlog.get_logger(__name__)


class ReindexService:
    """Gives back what erased records hold of the index files, and renews damaged ones."""

    def __init__(self, *, memory: MemoryStore, restore: RestoreService) -> None:
        """Keep the collaborators."""
        self._memory = memory
        self._restore = restore

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        """Replace shards (None: all) by copies without dead slots, and remove the old files.

        What was in a shard whose files are damaged is written anew from the rows.

        Raises:
            InvalidInputError: there is no such shard.
            DependencyUnavailableError: a store does not answer, or its files are out of reach.
        """
        done = self._memory.reindex(shards)
        if done.emptied:
            self._restore.match_memories()
        _log.warning(
            "reindexed", n_shards=done.shards, n_copied=done.copied, n_emptied=done.emptied
        )
        return done

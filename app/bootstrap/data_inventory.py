"""The data inventory: every place where the service keeps data, and the store responsible for it.

A test walks a running system, embedded and distributed, and fails on a place that is missing here
(``tests/places.py``). So nobody adds a table, a collection, a key or a file without saying who
erases its data, who counts what is left, and who searches its bytes.

Standard output is not listed: no log line names a user (``app.observability``), and
``tests/e2e/test_no_traces.py`` reads everything that two running systems wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class InventoryKind(StrEnum):
    """The kind of a place."""

    TABLE = "table"
    COLLECTION = "collection"
    REDIS_KEY = "redis key"
    FILE = "file"


class Store(StrEnum):
    """The store responsible for a place."""

    ROWS = "rows"
    """Erased by ``UnitOfWork`` and ``scrub``, counted by ``POST /admin/prove``, its files probed
    (those of a PostgreSQL server are a limit that the certificate states)."""
    MEMORY = "memory"
    """``MemoryStore``: ``erase`` and ``maintain``, ``count``, its files probed."""
    VAULT = "vault"
    """``KeyVault``: ``shred`` and ``flush``, ``count``, its file probed as those of the rows."""
    CACHE = "cache"
    """``Cache``: ``erase``, ``count``; in memory, or in a Redis that writes no file."""
    QUEUE = "queue"
    """Messages hold the number of a request or of a search and nothing else. What a search is for
    lies beside its message, sealed, until a worker takes it, a minute at most."""
    AUDIT = "audit"
    """Audit leaves, receipts, certificates and tombstones: keyed hashes and counts that stay; their
    rows are probed."""
    CATALOGUE = "catalogue"
    """Items, which belong to no user; they lie in files of other stores, which are probed, after a
    deletion for the item's own words, too: they may name a seller."""
    SERVICE = "service"
    """Secrets, locks, versions and counters of the service itself; nothing about a user."""


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """A place and the store responsible for it.

    Args:
        pattern: a regular expression for the whole name; of a file, its path from the data
            directory, or from Chroma's below ``chroma/``.
    """

    kind: InventoryKind
    pattern: str
    store: Store


_ID: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SQLITE: Final = r"(-wal|-shm|-journal)?"
PLACES: Final = (
    InventoryEntry(InventoryKind.TABLE, r"(subject|interaction)(_p\d\d)?", Store.ROWS),
    InventoryEntry(InventoryKind.TABLE, "suppression|change|watch", Store.ROWS),
    InventoryEntry(InventoryKind.TABLE, "erasure_(request|step|document)|replay", Store.ROWS),
    InventoryEntry(
        InventoryKind.TABLE,
        "tombstone|erasure_move|audit_(leaf|node|checkpoint|cosignature)",
        Store.AUDIT,
    ),
    InventoryEntry(InventoryKind.TABLE, "witness|log_head", Store.AUDIT),
    InventoryEntry(InventoryKind.TABLE, "data_key", Store.VAULT),
    InventoryEntry(InventoryKind.TABLE, "item(_removal)?|load_progress", Store.CATALOGUE),
    InventoryEntry(
        InventoryKind.TABLE,
        "process|counter|vault_state|alembic_version|access_key|ended_session",
        Store.SERVICE,
    ),
    InventoryEntry(InventoryKind.TABLE, "webhook|dead_letter", Store.SERVICE),
    InventoryEntry(InventoryKind.COLLECTION, r"memory-\d+-g\d+", Store.MEMORY),
    InventoryEntry(InventoryKind.COLLECTION, r"items-g\d+", Store.CATALOGUE),
    InventoryEntry(InventoryKind.COLLECTION, "lethe-(mark|control)", Store.SERVICE),
    InventoryEntry(InventoryKind.REDIS_KEY, "lethe:cache:[0-9a-f]{64}", Store.CACHE),
    InventoryEntry(
        InventoryKind.REDIS_KEY,
        r"node\.[a-z0-9-]+|unacked(_index|_mutex)?|_kombu\.binding\..*",
        Store.QUEUE,
    ),
    InventoryEntry(
        InventoryKind.REDIS_KEY,
        r"lethe:((search|found):[0-9a-f]{32}|(work|here):[a-z0-9-]+)",
        Store.QUEUE,
    ),
    InventoryEntry(InventoryKind.FILE, rf"lethe\.db{_SQLITE}", Store.ROWS),
    InventoryEntry(InventoryKind.FILE, rf"vault\.db{_SQLITE}", Store.VAULT),
    InventoryEntry(InventoryKind.FILE, rf"chroma/chroma\.sqlite3{_SQLITE}", Store.MEMORY),
    InventoryEntry(
        InventoryKind.FILE,
        rf"chroma/{_ID}/(header\.bin|data_level0\.bin|length\.bin|link_lists\.bin"
        r"|index_metadata\.pickle)",
        Store.MEMORY,
    ),
    InventoryEntry(
        InventoryKind.FILE,
        r"chroma/lethe-((maintenance|reindex|turn)\.lock|fill\.(json|new))|lock",
        Store.SERVICE,
    ),
    InventoryEntry(InventoryKind.FILE, r"pepper|kek|keys/[^/]+", Store.SERVICE),
)


def owner_of(kind: InventoryKind, name: str) -> Store | None:
    """Return the store responsible for a place; None if there is none."""
    for place in PLACES:
        if place.kind is kind and re.fullmatch(place.pattern, name):
            return place.store
    return None

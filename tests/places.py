"""Looks in a running system for places that no store is responsible for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import redis
import sqlalchemy as sa

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.db.engine import open_engine
from app.bootstrap.data_inventory import InventoryKind, Store, owner_of


class Walk:
    """The places found, by kind and name, with the store responsible; None if there is none."""

    def __init__(self) -> None:
        self.met: dict[tuple[InventoryKind, str], Store | None] = {}

    def tables(self, *urls: str) -> None:
        for url in urls:
            engine = open_engine(url)
            self._note(InventoryKind.TABLE, sa.inspect(engine).get_table_names())
            engine.dispose()

    def collections(self, chroma: ChromaDatabase) -> None:
        self._note(InventoryKind.COLLECTION, [one.name for one in chroma.collections()])

    def keys(self, url: str) -> None:
        client = redis.Redis.from_url(url)
        try:
            self._note(InventoryKind.REDIS_KEY, [key.decode() for key in client.scan_iter("*")])
        finally:
            client.close()

    def files(self, folder: Path, *, below: str = "") -> None:
        found = (path for path in folder.rglob("*") if path.is_file())
        self._note(
            InventoryKind.FILE, [below + one.relative_to(folder).as_posix() for one in found]
        )

    def _note(self, kind: InventoryKind, names: Iterable[str]) -> None:
        self.met |= {(kind, name): owner_of(kind, name) for name in names}

    @property
    def unowned(self) -> list[tuple[InventoryKind, str]]:
        """Return the places without an owner."""
        return sorted(place for place, store in self.met.items() if store is None)

    def stores(self) -> set[Store]:
        """Return the stores that were met."""
        return {store for store in self.met.values() if store is not None}

"""The catalogue as it is now, one snapshot for a whole answer."""

from __future__ import annotations

import threading

from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.catalogue.snapshot import MAX_EXACT, CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors


class CurrentCatalogue:
    """Keeps the newest snapshot of this process, and brings it up to date whenever it is asked for.

    The database is asked for its version each time, and for the items that have changed since; so
    what this process or another one writes counts at once. Holds nothing personal.

    Args:
        uows: the items.
        index: their vectors.
        max_exact: see ``CatalogueSnapshot``.
    """

    def __init__(
        self, *, uows: UnitsOfWork, index: CatalogueIndex, max_exact: int = MAX_EXACT
    ) -> None:
        self._uows = uows
        self._lock = threading.Lock()
        self._latest = CatalogueSnapshot(0, ItemVectors(index), max_exact=max_exact)

    def at(self, uow: UnitOfWork, *, version: int | None = None) -> CatalogueSnapshot:
        """Return the catalogue as ``uow`` sees it, or newer.

        Args:
            uow: the snapshot.
            version: of the catalogue in it, where it is known.
        """
        if version is None:
            version = uow.items.version()
        if version <= self._latest.version:
            return self._latest
        with self._lock:
            latest = self._latest
            if version > latest.version:
                changed = {one.item.item_id: one for one in uow.items.changed_since(latest.version)}
                n_items = len(changed.keys() | latest.entries.keys())
                removed = (
                    latest.entries.keys() - uow.items.ids()
                    if uow.items.count() < n_items
                    else frozenset()
                )
                latest = latest.after(changed.values(), removed=removed, version=version)
                self._latest = latest
            return latest

    def now(self) -> CatalogueSnapshot:
        """Return the catalogue as it is."""
        with self._uows.read() as uow:
            return self.at(uow)

    def refresh(self) -> None:
        """Take what has changed into the columns, and let go of what was removed.

        No answer depends on it; it keeps them quick.
        """
        latest = self.now()
        if not (latest.changed or latest.vectors.has_gaps):
            return
        snapshot = latest.in_order()
        if "columns" in vars(latest.base):
            _ = snapshot.base.columns  # made here, so that no answer waits for it
        with self._lock:
            if self._latest.version == snapshot.version:
                self._latest = snapshot

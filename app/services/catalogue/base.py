"""The items that columns are made of, without the words of those that were removed since."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property

from app.domain.models import Item
from app.domain.recommendation.columns import Columns
from app.domain.recommendation.filter import CatalogueEntry


class Base:
    """Items in the order of their rows, and their columns, made when first asked for."""

    def __init__(self, entries: Iterable[CatalogueEntry]) -> None:
        """Put the items in the order of their ids."""
        self.entries = tuple(sorted(entries, key=lambda one: one.item.item_id))

    @cached_property
    def columns(self) -> Columns:
        """The columns; takes a second for 100,000 items."""
        return Columns.of(self.entries)

    def without(self, rows: Collection[int]) -> Base:
        """Return the same with nothing left of what these rows alone say; they are read no more.

        In milliseconds, so that a deletion need not wait until all columns are made anew.

        Args:
            rows: those that were left out before, too; rows behind the last are of no item here.
        """
        told = {
            row: self.entries[row]
            for row in rows
            if row < len(self.entries) and not self.entries[row].item.is_stub
        }
        if not told:
            return self
        entries = list(self.entries)
        for row, entry in told.items():
            entries[row] = CatalogueEntry(Item.stub(entry.item.item_id), entry.updated_at)
        later = Base(entries)
        if "columns" in vars(self):
            vars(later)["columns"] = self.columns.without(set(rows), tuple(told.values()), entries)
        return later

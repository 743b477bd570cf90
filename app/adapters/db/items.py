"""The catalogue in SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.session import Record, Repository
from app.adapters.db.tables import item
from app.domain.models import Item, ItemId
from app.domain.recommendation.filter import CatalogueEntry

_IS_ENTRY: Final = sa.not_(item.c.is_stub)


class SqlItems(Repository):
    """The catalogue.

    ``content_hash`` tells versions of an item apart; ``indexed_hash`` is the one that the catalogue
    index holds, NULL as soon as a newer one is stored. ``changed_seq`` is the version of the
    catalogue that last changed either.
    """

    def upsert(self, items: Sequence[Item], *, at: datetime) -> int:
        # PostgreSQL refuses to touch a row twice in one statement: the last of an id counts.
        # Sorted, so that two batches cannot lock crosswise.
        latest = sorted({entry.item_id: entry for entry in items}.values(), key=lambda e: e.item_id)
        if not latest:
            return 0
        version = self._next_version()
        insert = self.session.insert(item)
        new = insert.excluded
        statement = insert.on_conflict_do_update(
            index_elements=[item.c.item_id],
            set_={
                "title": new.title,
                "description": new.description,
                "attributes": new.attributes,
                "content_hash": new.content_hash,
                "indexed_hash": None,
                "updated_at": new.updated_at,
                "changed_seq": new.changed_seq,
                "available": new.available,
                "is_stub": new.is_stub,
            },
            where=item.c.content_hash != new.content_hash,
        ).returning(item.c.item_id)
        values = [{**_values(entry, at=at), "changed_seq": version} for entry in latest]
        changed = len(self.session.rows(statement, values))
        self._reach(version, changed=changed)
        return changed

    def _next_version(self) -> int:
        """Return the number of the next version; others who write items wait from here on."""
        counters.lock(self.session, counters.CATALOGUE)
        return self.version() + 1

    def _reach(self, version: int, *, changed: int) -> None:
        if changed:
            counters.note_maximum(self.session, counters.CATALOGUE, version)

    def get_many(self, item_ids: Collection[ItemId]) -> dict[ItemId, Item]:
        rows = self.session.rows(
            sa.select(item).where(self.session.within(item.c.item_id, item_ids))
        )
        return {row.item_id: _item(row) for row in rows}

    def hold(self, item_ids: Collection[ItemId], *, is_shared: bool = False) -> dict[ItemId, Item]:
        """SQLite has one writer at a time, and needs no lock.

        Shared as a foreign key would hold them. In one order, so that two cannot lock crosswise;
        who may change them takes the version first, as whoever changes an item does.
        """
        if not is_shared:
            counters.lock(self.session, counters.CATALOGUE)
        told = sa.select(item).where(self.session.within(item.c.item_id, item_ids))
        locked = told.order_by(item.c.item_id).with_for_update(read=is_shared, key_share=is_shared)
        return {row.item_id: _item(row) for row in self.session.rows(locked)}

    def add_stubs(self, item_ids: Collection[ItemId], *, at: datetime) -> None:
        values = [_values(Item.stub(item_id), at=at) for item_id in sorted(item_ids)]
        if values:
            self.session.changed(self.session.insert(item).on_conflict_do_nothing(), values)

    def remove(self, item_ids: Collection[ItemId]) -> None:
        version = self._next_version()
        removed = self.session.changed(
            sa.delete(item).where(self.session.within(item.c.item_id, item_ids))
        )
        self._reach(version, changed=removed)

    def page(self, *, after: ItemId | None, limit: int) -> list[Item]:
        told = sa.select(item).where(_IS_ENTRY, item.c.item_id > (after or ""))
        return [_item(row) for row in self.session.rows(told.order_by(item.c.item_id).limit(limit))]

    def missing(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        rows = self.session.rows(
            sa.select(item.c.item_id).where(self.session.within(item.c.item_id, item_ids))
        )
        return set(item_ids) - {row.item_id for row in rows}

    def indexed(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        is_current = item.c.indexed_hash == item.c.content_hash
        told = sa.select(item.c.item_id).where(self.session.within(item.c.item_id, item_ids))
        return {row.item_id for row in self.session.rows(told.where(is_current))}

    def unindexed(self, *, limit: int) -> list[Item]:
        rows = self.session.rows(
            sa.select(item)
            .where(item.c.indexed_hash.is_(None), _IS_ENTRY)
            .order_by(item.c.item_id)
            .limit(limit)
        )
        return [_item(row) for row in rows]

    def mark_indexed(self, items: Sequence[Item]) -> None:
        if not items:
            return
        held = [
            {"held_id": entry.item_id, "held_hash": _content_hash(entry)}
            for entry in sorted(items, key=lambda e: e.item_id)
        ]
        version = self._next_version()
        changed = self.session.changed(
            sa.update(item)
            .where(
                item.c.item_id == sa.bindparam("held_id"),
                item.c.content_hash == sa.bindparam("held_hash"),
            )
            .values(indexed_hash=item.c.content_hash, changed_seq=version),
            held,
        )
        self._reach(version, changed=changed)

    def mark_unindexed(self) -> None:
        self.session.changed(sa.update(item).values(indexed_hash=None))

    def all_items(self) -> Iterator[Item]:
        for row in self.session.stream(sa.select(item).where(_IS_ENTRY).order_by(item.c.item_id)):
            yield _item(row)

    def version(self) -> int:
        return counters.read(self.session, counters.CATALOGUE)

    def changed_since(self, version: int) -> Iterator[CatalogueEntry]:
        for row in self.session.stream(sa.select(item).where(item.c.changed_seq > version)):
            yield CatalogueEntry(_item(row), row.updated_at, available=row.available)

    def ids(self) -> set[ItemId]:
        return {row.item_id for row in self.session.stream(sa.select(item.c.item_id))}

    def count(self) -> int:
        return self.session.number(sa.select(sa.func.count()).select_from(item).where(_IS_ENTRY))


def _item(row: Record) -> Item:
    return Item(row.item_id, row.title, row.description, row.attributes, row.available, row.is_stub)


def _content_hash(entry: Item) -> str:
    """Return SHA-256 over everything that an item says.

    What most items are is left out, so that rows from before it could be told keep their hash.
    """
    content = [entry.title, entry.description, dict(entry.attributes)]
    content += [] if entry.available else ["unavailable"]
    content += ["stub"] if entry.is_stub else []
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _values(entry: Item, *, at: datetime) -> dict[str, object]:
    return {
        "item_id": entry.item_id,
        "title": entry.title,
        "description": entry.description,
        "attributes": dict(entry.attributes),
        "content_hash": _content_hash(entry),
        "indexed_hash": None,
        "updated_at": at,
        "available": entry.available,
        "is_stub": entry.is_stub,
    }

"""The catalogue in SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from app.adapters.db.session import Record, Repository, among
from app.adapters.db.tables import item
from app.domain.models import Item, ItemId
from app.ports.persistence.records import ItemVersion

_VERSIONS: Final = {
    is_postgres: sa.select(item.c.item_id, item.c.content_hash, item.c.indexed_hash).where(
        among(item.c.item_id, is_postgres=is_postgres)
    )
    for is_postgres in (False, True)
}


class SqlItems(Repository):
    """The catalogue.

    ``content_hash`` tells versions apart; ``indexed_hash`` is the version that the catalogue
    index holds, NULL as soon as a newer one is stored.
    """

    def upsert(self, items: Sequence[Item], *, at: datetime) -> int:
        # PostgreSQL refuses to touch a row twice in one statement: the last of an id counts.
        # Sorted, so that two batches cannot lock crosswise.
        latest = sorted({entry.item_id: entry for entry in items}.values(), key=lambda e: e.item_id)
        if not latest:
            return 0
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
            },
            where=item.c.content_hash != new.content_hash,
        ).returning(item.c.item_id)
        return len(self.session.rows(statement, [_values(entry, at=at) for entry in latest]))

    def get_many(self, item_ids: Collection[ItemId]) -> dict[ItemId, Item]:
        rows = self.session.rows(
            sa.select(item).where(self.session.within(item.c.item_id, item_ids))
        )
        return {row.item_id: _item(row) for row in rows}

    def versions(self, item_ids: Collection[ItemId]) -> dict[ItemId, ItemVersion]:
        session = self.session
        rows = session.rows(_VERSIONS[session.is_postgres], session.listed(item_ids))
        return {
            item_id: ItemVersion(stored, indexed == stored) for item_id, stored, indexed in rows
        }

    def missing(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        rows = self.session.rows(
            sa.select(item.c.item_id).where(self.session.within(item.c.item_id, item_ids))
        )
        return set(item_ids) - {row.item_id for row in rows}

    def unindexed(self, *, limit: int) -> list[Item]:
        rows = self.session.rows(
            sa.select(item)
            .where(item.c.indexed_hash.is_(None))
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
        self.session.changed(
            sa.update(item)
            .where(
                item.c.item_id == sa.bindparam("held_id"),
                item.c.content_hash == sa.bindparam("held_hash"),
            )
            .values(indexed_hash=item.c.content_hash),
            held,
        )

    def all_items(self) -> Iterator[Item]:
        for row in self.session.stream(sa.select(item).order_by(item.c.item_id)):
            yield _item(row)

    def version(self) -> str:
        [row] = self.session.rows(
            sa.select(
                sa.func.count().label("count"), sa.func.max(item.c.updated_at).label("newest")
            )
        )
        return f"{row.count}-{row.newest}"

    def count(self) -> int:
        return self.session.number(sa.select(sa.func.count()).select_from(item))


def _item(row: Record) -> Item:
    return Item(row.item_id, row.title, row.description, row.attributes)


def _content_hash(entry: Item) -> str:
    """Return SHA-256 over everything that the catalogue index shows of an item."""
    content = [entry.title, entry.description, dict(entry.attributes)]
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
    }

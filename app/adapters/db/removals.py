"""Deleted items whose words are not gone from the files yet, in SQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from app.adapters.db.session import Repository
from app.adapters.db.tables import item_removal
from app.domain.models import RequestId
from app.ports.persistence.removals import Removal

_col = item_removal.c


class SqlRemovals(Repository):
    """Removals that are not over."""

    def add(self, removal: Removal, *, due_at: datetime) -> None:
        self.session.connection.execute(
            sa.insert(item_removal).values(
                removal_id=removal.removal_id,
                item_id=removal.item_id,
                needles=removal.needles,
                due_at=due_at,
            )
        )

    def claim(self, *, now: datetime, until: datetime, limit: int) -> list[Removal]:
        due = sa.select(_col.removal_id).where(_col.due_at <= now).order_by(_col.due_at)
        first = due.limit(limit).with_for_update(skip_locked=True).scalar_subquery()
        rows = self.session.rows(
            sa.update(item_removal)
            .where(_col.removal_id.in_(first))
            .values(due_at=until)
            .returning(_col.removal_id, _col.item_id, _col.needles)
        )
        return [Removal(*row) for row in rows]

    def put_off(self, removal_ids: Collection[RequestId], *, due_at: datetime) -> None:
        these = self.session.within(_col.removal_id, removal_ids)
        self.session.changed(sa.update(item_removal).where(these).values(due_at=due_at))

    def drop(self, removal_ids: Collection[RequestId]) -> None:
        these = self.session.within(_col.removal_id, removal_ids)
        self.session.changed(sa.delete(item_removal).where(these))

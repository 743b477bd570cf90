"""Finished erasures that are searched for again, in SQL."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.session import Repository
from app.adapters.db.tables import watch
from app.domain.models import RequestId
from app.ports.persistence.rechecks import Recheck

_col = watch.c


class SqlRechecks(Repository):
    """Fingerprints by request, until the last recheck."""

    def add(self, recheck: Recheck, *, due_at: datetime) -> None:
        insert = self.session.insert(watch).values(
            request_id=recheck.request_id,
            completed_at=recheck.completed_at,
            due_at=due_at,
            looks=recheck.n_clean,
            prints=recheck.fingerprints,
        )
        self.session.changed(insert.on_conflict_do_nothing())

    def take_due(self, *, now: datetime, until: datetime, limit: int) -> list[Recheck]:
        first = sa.select(_col.request_id).where(_col.due_at <= now).order_by(_col.due_at)
        rows = self.session.rows(
            sa.update(watch)
            .where(_col.request_id.in_(first.limit(limit)), _col.due_at <= now)
            .values(due_at=until)
            .returning(_col.request_id, _col.completed_at, _col.looks, _col.prints)
        )
        return [Recheck(*row) for row in rows]

    def reschedule(self, request_id: RequestId, *, n_clean: int, due_at: datetime) -> None:
        mine = sa.update(watch).where(_col.request_id == request_id)
        self.session.changed(mine.values(looks=n_clean, due_at=due_at))

    def remove(self, request_id: RequestId) -> None:
        self.session.changed(sa.delete(watch).where(_col.request_id == request_id))

    def note_returned(self, n: int) -> None:
        counters.add(self.session, counters.RETURNED, n)

    def n_returned(self) -> int:
        return counters.find(self.session, counters.RETURNED) or 0

    def count(self) -> int:
        return self.session.number(sa.select(sa.func.count()).select_from(watch))

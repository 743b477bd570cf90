"""Keys of callers and staff, and sessions that were ended."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.adapters.db.audit_tables import access_key, ended_session
from app.adapters.db.session import Repository
from app.domain.access import AccessKey, Holder, Scope

_key = access_key.c


class SqlAccess(Repository):
    """Rows about systems and staff."""

    def add(self, key: AccessKey) -> None:
        values = {
            "key_id": key.holder.key_id,
            "name": key.holder.name,
            "scopes": " ".join(sorted(key.holder.scopes)),
            "digest": key.digest,
            "created_at": key.created_at,
            "ends_at": key.ends_at,
        }
        self.session.connection.execute(sa.insert(access_key), values)

    def all(self) -> list[AccessKey]:
        return [
            AccessKey(
                Holder(row.name, frozenset(map(Scope, row.scopes.split())), row.key_id),
                digest=row.digest,
                created_at=row.created_at,
                ends_at=row.ends_at,
            )
            for row in self.session.rows(
                sa.select(access_key).order_by(_key.name, _key.created_at, _key.key_id)
            )
        ]

    def end(self, name: str, *, at: datetime) -> int:
        is_later = _key.ends_at.is_(None) | (_key.ends_at > at)
        return self.session.changed(
            sa.update(access_key).where(_key.name == name, is_later).values(ends_at=at)
        )

    def end_session(self, session_id: str, *, at: datetime, until: datetime) -> None:
        self.session.changed(sa.delete(ended_session).where(ended_session.c.until < at))
        insert = self.session.insert(ended_session).values(session_id=session_id, until=until)
        self.session.connection.execute(insert.on_conflict_do_nothing())

    def has_ended(self, session_id: str) -> bool:
        known = sa.select(ended_session.c.session_id)
        return self.session.first(known.where(ended_session.c.session_id == session_id)) is not None

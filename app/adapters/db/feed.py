"""The change feed and the processes that follow it, in SQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from app.adapters.db import counters
from app.adapters.db.session import Repository
from app.adapters.db.subjects import subject_of
from app.adapters.db.tables import change, counter, process, subject
from app.domain.errors import IntegrityError
from app.domain.models import Pseudonym
from app.ports.persistence.feed import Change, LiveProcess, Standing

_STANDING: Final = (
    sa.select(counter.c.name, counter.c.value, *subject.c)
    .select_from(counter.outerjoin(subject, subject.c.pseudonym == sa.bindparam("pseudonym")))
    # Not IN, for which SQLAlchemy writes the statement anew each time.
    .where((counter.c.name == counters.CHANGE) | (counter.c.name == counters.CATALOGUE))
)


class SqlChanges(Repository):
    """The ordered change feed."""

    def standing(self, pseudonym: Pseudonym | None) -> Standing:
        """Outer, so that the counters come without a user, too."""
        rows = self.session.briefly(_STANDING, {"pseudonym": pseudonym})
        found = {row.name: row.value for row in rows}
        if len(found) != 2:  # noqa: PLR2004 - the two counters
            raise IntegrityError("a counter is missing")
        known = rows[0] if rows[0].pseudonym is not None else None
        return Standing(found[counters.CHANGE], found[counters.CATALOGUE], subject_of(known))

    def append(self, pseudonyms: Collection[Pseudonym], *, at_once: bool = True) -> int:
        changed = sorted(set(pseudonyms))
        if not changed:
            return self.head()
        last = counters.advance(self.session, counters.CHANGE, by=len(changed))
        first = last - len(changed) + 1
        self.session.connection.execute(
            sa.insert(change),
            [
                {"seq": seq, "pseudonym": pseudonym, "at_once": at_once}
                for seq, pseudonym in enumerate(changed, start=first)
            ],
        )
        return last

    def since(self, seq: int, *, limit: int) -> list[Change]:
        rows = self.session.rows(
            sa.select(change).where(change.c.seq > seq).order_by(change.c.seq).limit(limit)
        )
        # Processes of a version that did not tell leave it empty: at once is never wrong.
        return [Change(row.seq, row.pseudonym, row.at_once is not False) for row in rows]

    def head(self) -> int:
        return counters.read(self.session, counters.CHANGE)

    def tail(self) -> int:
        return counters.read(self.session, counters.PRUNED)

    def prune(self, *, upto: int) -> int:
        bound = min(upto, self.head())
        counters.note_maximum(self.session, counters.PRUNED, bound)
        return self.session.changed(sa.delete(change).where(change.c.seq <= bound))


class SqlProcesses(Repository):
    """Processes that hold neighbours in memory."""

    def beat(
        self,
        process_id: str,
        *,
        acked_seq: int,
        lease_until: datetime,
        state_hash: str | None = None,
    ) -> None:
        insert = self.session.insert(process).values(
            process_id=process_id,
            acked_seq=acked_seq,
            lease_until=lease_until,
            state_hash=state_hash,
        )
        self.session.connection.execute(
            insert.on_conflict_do_update(
                index_elements=[process.c.process_id],
                set_={
                    "acked_seq": insert.excluded.acked_seq,
                    "lease_until": insert.excluded.lease_until,
                    "state_hash": insert.excluded.state_hash,
                },
            )
        )

    def live(self, *, now: datetime) -> list[LiveProcess]:
        rows = self.session.rows(
            sa.select(process).where(process.c.lease_until > now).order_by(process.c.process_id)
        )
        return [
            LiveProcess(row.process_id, row.acked_seq, row.lease_until, row.state_hash)
            for row in rows
        ]

    def note_worker(self, *, at: datetime) -> None:
        seen_ms = int(at.timestamp() * 1_000)
        counters.note_maximum(self.session, counters.WORKER_SEEN_MS, seen_ms)

    def worker_seen_at(self) -> datetime | None:
        seen_ms = counters.find(self.session, counters.WORKER_SEEN_MS)
        return None if seen_ms is None else datetime.fromtimestamp(seen_ms / 1_000, UTC)

    def remove(self, process_id: str) -> None:
        self.session.changed(sa.delete(process).where(process.c.process_id == process_id))

    def remove_dead(self, *, before: datetime) -> int:
        return self.session.changed(sa.delete(process).where(process.c.lease_until < before))

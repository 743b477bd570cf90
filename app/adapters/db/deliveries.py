"""Places of registered addresses in the log, and dead letters, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from app.adapters.db.session import Repository
from app.adapters.db.tables import dead_letter, webhook
from app.ports.persistence.deliveries import DeadLetter, Delivery

_col = webhook.c
_PLACE = (_col.target, _col.next_seq, _col.attempts, _col.error_code)


class SqlDeliveries(Repository):
    """Taking an address is one conditional UPDATE, so no two processes tell it the same."""

    def take(self, target: str, *, begin: int, now: datetime, until: datetime) -> Delivery | None:
        new = self.session.insert(webhook).values(
            target=target, next_seq=begin, attempts=0, not_before=now
        )
        self.session.changed(new.on_conflict_do_nothing())
        row = self.session.first(
            sa.update(webhook)
            .where(_col.target == target, _col.not_before <= now)
            .values(not_before=until)
            .returning(*_PLACE)
        )
        return None if row is None else Delivery(*row)

    def put_back(self, delivery: Delivery, *, not_before: datetime) -> None:
        mine = sa.update(webhook).where(_col.target == delivery.target)
        place = {
            "next_seq": delivery.next_seq,
            "attempts": delivery.attempts,
            "error_code": delivery.error_code,
            "not_before": not_before,
        }
        self.session.changed(mine.values(place))

    def bury(self, letter: DeadLetter) -> None:
        values = {
            "target": letter.target,
            "seq": letter.seq,
            "request_id": letter.request_id,
            "kind": letter.kind,
            "failed_at": letter.failed_at,
        }
        self.session.changed(
            self.session.insert(dead_letter).values(values).on_conflict_do_nothing()
        )

    def all(self) -> Sequence[Delivery]:
        return [Delivery(*row) for row in self.session.rows(sa.select(*_PLACE))]

    def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        newest = sa.select(dead_letter).order_by(dead_letter.c.seq.desc()).limit(limit)
        return [DeadLetter(*row) for row in self.session.rows(newest)]

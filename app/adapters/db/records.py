"""Interactions in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from app.adapters.db.evidence import LIVE, SqlEvidence, answer_values, answered_in, owned_by
from app.adapters.db.session import Record
from app.adapters.db.tables import interaction, subject
from app.adapters.db.types import UtcDateTime
from app.domain.models import (
    EventKey,
    HistoryEntry,
    Interaction,
    ItemId,
    Kind,
    Pseudonym,
    RecordId,
    RequestId,
    Right,
)
from app.ports.persistence.records import NewInteraction, Outline, Owners, Trace

_KINDS: Final = {kind.value: kind for kind in Kind}

_row = interaction.c
_HISTORY: Final = (
    sa.select(
        _row.record_id,
        _row.event_key,
        _row.kind,
        _row.occurred_at,
        _row.item_id,
        _row.value,
        _row.text,
        _row.pending_until.is_not(None),
    )
    .where(_row.pseudonym == sa.bindparam("pseudonym"), LIVE)
    .order_by(_row.occurred_at.desc(), _row.record_id)
)
_OUTLINE: Final = _HISTORY.with_only_columns(
    *(sa.null() if column is _row.text else column for column in _HISTORY.selected_columns)
)


_MAY_GO: Final = _row.pseudonym.not_in(
    sa.select(subject.c.pseudonym).where(
        sa.or_(subject.c.hold.is_not(None), subject.c.rights.contains(Right.RESTRICTION.value))
    )
)


class SqlInteractions(SqlEvidence):
    """Interactions. Live rows are those that no erasure has flagged."""

    def add(
        self, rows: Sequence[NewInteraction], *, pending_until: datetime, received_at: datetime
    ) -> list[NewInteraction]:
        if not rows:
            return []
        # One order for all writers, so that two batches with common keys cannot lock crosswise.
        # The sort is stable: of two rows with one key the first wins.
        ordered = sorted(rows, key=lambda r: (r.interaction.pseudonym, r.interaction.event_key))
        ids = self.event_ids_to_store(rows)
        values = [
            _values(row)
            | {
                "pending_until": pending_until if row.interaction.text is not None else None,
                "received_at": received_at,
                "event_id": ids.get(row.record_id),
            }
            for row in ordered
        ]
        # To have each row told back would cost as much as to insert it, and mostly all are new.
        keys = (_row.pseudonym.name, _row.event_key.name)
        if self.session.insert_new(interaction, values, keys=keys) == len(values):
            return list(rows)
        refused = self.missing([row.record_id for row in rows])
        return [row for row in rows if row.record_id not in refused]

    def event_ids_to_store(self, rows: Sequence[NewInteraction]) -> Mapping[str, str | None]:
        """Return by record what the caller calls the events, as it is to be stored."""
        return {row.record_id: row.interaction.event_id for row in rows}

    def find(self, events: Collection[tuple[Pseudonym, EventKey]]) -> list[NewInteraction]:
        """A join, for two lists of values would be tried in every combination."""
        told = self.session.pairs(events)
        rows = self.session.rows(
            sa.select(interaction).where(
                _row.pseudonym == told.c.first,
                _row.event_key == told.c.second,
                LIVE,
                self.session.in_partitions(_row.pseudonym, of={user for user, _ in events}),
            )
        )
        return [_new_interaction(row) for row in rows]

    def supersede(
        self, request_id: RequestId, record_ids: Collection[RecordId], *, of: Owners = None
    ) -> int:
        return self.session.changed(
            sa.update(interaction)
            .where(self._are(record_ids, of), LIVE)
            .values(erased_by=request_id, event_key=_row.record_id)
        )

    def _are(self, record_ids: Collection[RecordId], of: Owners) -> sa.ColumnElement[bool]:
        named = self.session.within(_row.record_id, record_ids)
        return named & self.session.in_partitions(_row.pseudonym, of=of)

    def mark_stored(
        self, record_ids: Sequence[RecordId], *, lease: datetime, of: Owners = None
    ) -> set[RecordId]:
        is_taken_over = _row.pending_until != lease
        rows = self.session.rows(
            sa.update(interaction)
            .where(self._are(record_ids, of))
            .values(pending_until=sa.case((is_taken_over, _row.pending_until)))
            .returning(_row.record_id, _row.erased_by)
        )
        return {row.record_id for row in rows if row.erased_by is None}

    def mark_stale(self, item_ids: Collection[ItemId], *, at: datetime) -> int:
        """A lease that is moved is its holder's no more; see ``mark_stored``."""
        now = sa.literal(at, UtcDateTime())
        moved = sa.case((_row.pending_until > now, _row.pending_until), else_=now)
        about = self.session.within(_row.item_id, item_ids)
        update = sa.update(interaction).where(about, _row.text.is_not(None))
        return self.session.changed(update.values(pending_until=self.session.later(moved)))

    def pending_items(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        about = self.session.within(_row.item_id, item_ids)
        pending = sa.select(_row.item_id).where(about, LIVE, _row.pending_until.is_not(None))
        return {ItemId(row.item_id) for row in self.session.rows(pending.distinct())}

    def users_of(self, item_ids: Collection[ItemId]) -> list[Pseudonym]:
        about = self.session.within(_row.item_id, item_ids)
        rows = self.session.rows(sa.select(_row.pseudonym).where(about).distinct())
        return [Pseudonym(row.pseudonym) for row in rows]

    def event_ids(self, pseudonym: Pseudonym) -> dict[RecordId, str]:
        told = sa.select(_row.record_id, _row.event_id).where(
            owned_by(pseudonym), LIVE, _row.event_id.is_not(None)
        )
        return {RecordId(record_id): event_id for record_id, event_id in self.session.rows(told)}

    def lease_pending(
        self, *, expired_at: datetime, until: datetime, limit: int
    ) -> list[NewInteraction]:
        """Sorted here, because UPDATE ... RETURNING keeps no order."""
        is_due = sa.and_(_row.pending_until.is_not(None), _row.pending_until < expired_at, LIVE)
        due = sa.select(_row.record_id).where(is_due).order_by(_row.pending_until, _row.record_id)
        # A row that another process takes at this moment is left to it.
        first = due.limit(limit).with_for_update(skip_locked=True).scalar_subquery()
        rows = self.session.rows(
            sa.update(interaction)
            .where(_row.record_id.in_(first))
            .values(pending_until=until)
            .returning(*_row)
        )
        return [_new_interaction(row) for row in sorted(rows, key=lambda row: row.record_id)]

    def history(self, pseudonym: Pseudonym, *, with_texts: bool = True) -> list[HistoryEntry]:
        """Positional, because it is on the way of every recommendation."""
        kinds = _KINDS
        return [
            HistoryEntry(record_id, key, kinds[kind], at, item_id, value, text, bool(is_pending))
            for record_id, key, kind, at, item_id, value, text, is_pending in self.session.rows(
                _HISTORY if with_texts else _OUTLINE, {"pseudonym": pseudonym}
            )
        ]

    def traces(self, pseudonym: Pseudonym, *, record_ids: Sequence[RecordId]) -> list[Trace]:
        columns = (_row.record_id, _row.event_key, _row.text, _row.event_id)
        rows = self.session.rows(
            sa.select(*columns).where(
                owned_by(pseudonym), self.session.within(interaction.c.record_id, record_ids)
            )
        )
        return [Trace(RecordId(r), EventKey(k), text, text, named) for r, k, text, named in rows]

    def flag(
        self, request_id: RequestId, record_ids: Sequence[RecordId], *, of: Owners = None
    ) -> int:
        return self.session.changed(
            sa.update(interaction)
            .where(self._are(record_ids, of), LIVE)
            .values(erased_by=request_id)
        )

    def flagged(self, request_id: RequestId) -> list[RecordId]:
        rows = self.session.rows(
            sa.select(_row.record_id).where(_row.erased_by == request_id).order_by(_row.record_id)
        )
        return [row.record_id for row in rows]

    def flagged_pending_until(self, request_id: RequestId) -> datetime | None:
        latest = sa.func.max(_row.pending_until, type_=_row.pending_until.type)
        row = self.session.first(
            sa.select(latest.label("latest")).where(_row.erased_by == request_id)
        )
        return None if row is None else row.latest

    def pending_until_of(self, pseudonym: Pseudonym) -> datetime | None:
        latest = sa.func.max(_row.pending_until, type_=_row.pending_until.type)
        row = self.session.first(sa.select(latest.label("latest")).where(owned_by(pseudonym)))
        return None if row is None else row.latest

    def delete_flagged(self, request_id: RequestId) -> int:
        return self.session.changed(sa.delete(interaction).where(_row.erased_by == request_id))

    def delete_all_of(self, pseudonym: Pseudonym) -> int:
        return self.session.changed(sa.delete(interaction).where(owned_by(pseudonym)))

    def unflag(self, request_id: RequestId) -> int:
        update = sa.update(interaction).where(_row.erased_by == request_id)
        return self.session.changed(update.values(erased_by=None))

    def record_ids_of(self, pseudonym: Pseudonym) -> list[RecordId]:
        rows = self.session.rows(
            sa.select(_row.record_id).where(_row.pseudonym == pseudonym).order_by(_row.record_id)
        )
        return [row.record_id for row in rows]

    def expired(
        self, kind: Kind, *, before: datetime, limit: int
    ) -> list[tuple[Pseudonym, EventKey]]:
        old = sa.and_(LIVE, _row.kind == kind.value, _row.occurred_at < before)
        oldest = sa.select(_row.pseudonym, _row.event_key).where(old, _MAY_GO)
        rows = self.session.rows(oldest.order_by(_row.occurred_at).limit(limit))
        return [(Pseudonym(row.pseudonym), EventKey(row.event_key)) for row in rows]

    def inactive(self, *, before: datetime, limit: int) -> list[Pseudonym]:
        newest = sa.func.max(_row.occurred_at)
        users = sa.select(_row.pseudonym).where(LIVE, _MAY_GO).group_by(_row.pseudonym)
        rows = self.session.rows(users.having(newest < before).limit(limit))
        return [Pseudonym(row.pseudonym) for row in rows]

    def outlines(self) -> Iterator[Outline]:
        columns = (_row.pseudonym, _row.event_key, _row.item_id, _row.occurred_at)
        for row in self.session.stream(sa.select(*columns).where(LIVE).order_by(_row.pseudonym)):
            yield Outline(*row)

    def mark_unstored(self, stored: Collection[RecordId], *, due_at: datetime) -> int:
        unstored = sa.not_(self.session.within(_row.record_id, stored))
        is_said = _row.text.is_not(None)
        update = sa.update(interaction).where(LIVE, _row.pending_until.is_(None), is_said, unstored)
        return self.session.changed(update.values(pending_until=due_at))

    def missing(self, record_ids: Collection[RecordId]) -> set[RecordId]:
        known = sa.select(_row.record_id).where(self.session.within(_row.record_id, record_ids))
        return set(record_ids) - {RecordId(row.record_id) for row in self.session.rows(known)}

    def count(self, pseudonym: Pseudonym | None = None) -> int:
        statement = sa.select(sa.func.count()).select_from(interaction).where(LIVE)
        if pseudonym is not None:
            statement = statement.where(_row.pseudonym == pseudonym)
        return self.session.number(statement)


def _values(new: NewInteraction) -> dict[str, object]:
    told = new.interaction
    return {
        "pseudonym": told.pseudonym,
        "event_key": told.event_key,
        "item_id": told.item_id,
        "kind": told.kind.value,
        "value": told.value,
        "occurred_at": told.occurred_at,
        "text": told.text,
        "record_id": new.record_id,
        **answer_values(told.answered),
    }


def _new_interaction(row: Record) -> NewInteraction:
    told = Interaction(
        pseudonym=row.pseudonym,
        event_key=row.event_key,
        kind=Kind(row.kind),
        occurred_at=row.occurred_at,
        item_id=row.item_id,
        value=row.value,
        text=row.text,
        answered=answered_in(row),
    )
    return NewInteraction(told, row.record_id)

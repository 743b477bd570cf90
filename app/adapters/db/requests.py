"""Erasure requests, their leases and their journal in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from app.adapters.db.request_rows import request_of, step_of, values_of
from app.adapters.db.session import Record, Repository
from app.adapters.db.tables import erasure_request, erasure_step
from app.adapters.db.tickets import Tickets
from app.domain.erasure.request import (
    FINAL,
    WORKABLE,
    ErasureRequest,
    Extension,
    Ground,
    RequestState,
    Step,
    StepRecord,
    leaf_of,
)
from app.domain.errors import ConflictError
from app.domain.models import Pseudonym, RequestId
from app.ports.persistence.requests import NewRequest, RequestMatch

_col = erasure_request.c
_IS_WORKABLE: Final = _col.state.in_(sorted(WORKABLE))
_OVER: Final = (RequestState.COMPLETED, RequestState.REJECTED)
_IS_OPEN: Final = _col.state.not_in(sorted(FINAL))
_STEP_ORDER: Final = {step: place for place, step in enumerate(Step)}
_NO_LEASE: Final[dict[str, Any]] = {"lease_owner": None, "lease_until": None}
_NOBODY: Final[dict[str, Any]] = {"pseudonym": None, "scope": None, "body_hash": None, "note": None}


def _may_claim(now: datetime) -> ColumnElement[bool]:
    return sa.and_(
        _IS_WORKABLE,
        sa.or_(_col.lease_until.is_(None), _col.lease_until <= now),
        sa.or_(_col.not_before.is_(None), _col.not_before <= now),
    )


@dataclass(frozen=True, slots=True)
class SqlErasureRequests(Repository):
    """Erasure requests. Every transition, claim and release is one conditional UPDATE.

    Args:
        tickets: seals the callers' numbers.
    """

    tickets: Tickets

    def _read(self, row: Record) -> ErasureRequest:
        return request_of(row, tickets=self.tickets)

    def add(self, new: NewRequest) -> None:
        insert = (
            self.session.insert(erasure_request)
            .values(values_of(new, tickets=self.tickets))
            .on_conflict_do_nothing()
            .returning(_col.request_id)
        )
        if self.session.first(insert) is None:
            raise ConflictError("a request with one of these keys exists")

    def get(self, request_id: RequestId) -> ErasureRequest | None:
        row = self.session.first(sa.select(erasure_request).where(_col.request_id == request_id))
        return None if row is None else self._read(row)

    def find(
        self, *, idempotency_hash: str | None, subject_request_hash: str | None
    ) -> RequestMatch | None:
        keys = (
            (_col.idempotency_hash, idempotency_hash),
            (_col.subject_request_hash, subject_request_hash),
        )
        for column, value in keys:
            if value is not None:
                row = self.session.first(sa.select(erasure_request).where(column == value))
                if row is not None:
                    return RequestMatch(self._read(row), row.body_hash)
        return None

    def find_open(self, pseudonym: Pseudonym, *, body_hash: str) -> RequestMatch | None:
        row = self.session.first(
            sa.select(erasure_request)
            .where(_col.pseudonym == pseudonym, _col.body_hash == body_hash, _IS_OPEN)
            .order_by(_col.received_at, _col.request_id)
            .limit(1)
        )
        return None if row is None else RequestMatch(self._read(row), row.body_hash)

    def open_of(self, pseudonym: Pseudonym) -> list[ErasureRequest]:
        return self._of(pseudonym, _IS_WORKABLE)

    def unfinished_of(self, pseudonym: Pseudonym) -> list[ErasureRequest]:
        return self._of(pseudonym, _IS_OPEN)

    def _of(self, pseudonym: Pseudonym, condition: ColumnElement[bool]) -> list[ErasureRequest]:
        rows = self.session.rows(
            sa.select(erasure_request)
            .where(_col.pseudonym == pseudonym, condition)
            .order_by(_col.received_at, _col.request_id)
        )
        return [self._read(row) for row in rows]

    def transition(
        self,
        request_id: RequestId,
        *,
        source: RequestState,
        target: RequestState,
        at: datetime,
        fence: int | None,
        ground: Ground | None = None,
        error_code: str | None = None,
    ) -> bool:
        leaf_of(source=source, target=target)  # raises for what the table does not have
        values: dict[str, Any] = {
            "state": target.value,
            "updated_at": at,
            "error_code": error_code,
        }
        if ground is not None:
            values["ground"] = ground.value
        if target is RequestState.COMPLETED:
            values["completed_at"] = at
        if not {source, target} <= WORKABLE:
            # Into or out of the workable states: no lease and no back-off is carried over.
            values |= _NO_LEASE | {"not_before": None}
        condition = sa.and_(_col.request_id == request_id, _col.state == source.value)
        if fence is not None:
            condition = sa.and_(condition, _col.fence == fence)
        return self._update(condition, values)

    def claim(
        self, request_id: RequestId, *, owner: str, now: datetime, lease_until: datetime
    ) -> ErasureRequest | None:
        row = self.session.first(
            sa.update(erasure_request)
            .where(_col.request_id == request_id, _may_claim(now))
            .values(
                lease_owner=owner,
                lease_until=lease_until,
                fence=_col.fence + 1,
                attempts=_col.attempts + 1,
            )
            .returning(*_col)
        )
        return None if row is None else self._read(row)

    def heartbeat(self, request_id: RequestId, *, fence: int, lease_until: datetime) -> bool:
        # A heartbeat that comes after the release must not take the lease again.
        held = sa.and_(_held(request_id, fence), _col.lease_owner.is_not(None))
        return self._update(held, {"lease_until": lease_until})

    def release(self, request_id: RequestId, *, fence: int) -> bool:
        return self._update(_held(request_id, fence), _NO_LEASE)

    def claimable(self, *, now: datetime, limit: int) -> list[RequestId]:
        rows = self.session.rows(
            sa.select(_col.request_id)
            .where(_may_claim(now))
            .order_by(_col.due_at, _col.request_id)
            .limit(limit)
        )
        return [row.request_id for row in rows]

    def postpone(
        self,
        request_id: RequestId,
        *,
        fence: int,
        not_before: datetime,
        error_code: str | None = None,
        is_outage: bool = False,
    ) -> bool:
        values = {
            "not_before": not_before,
            "error_code": error_code,
            "outages": _col.outages + int(is_outage),
        }
        return self._update(_held(request_id, fence), _NO_LEASE | values)

    def clear_subject(self, request_id: RequestId, *, fence: int) -> bool:
        return self._update(_held(request_id, fence), _NOBODY)

    def clear_final_of(self, pseudonym: Pseudonym) -> int:
        theirs = sa.and_(_col.pseudonym == pseudonym, sa.not_(_IS_OPEN))
        return self.session.changed(sa.update(erasure_request).where(theirs).values(_NOBODY))

    def record_step(self, record: StepRecord) -> None:
        insert = self.session.insert(erasure_step).values(
            request_id=record.request_id,
            step=record.step.value,
            store=record.store,
            touched=record.touched,
            duration_ms=record.duration_ms,
            attempt=record.attempt,
            finished_at=record.finished_at,
        )
        key = [erasure_step.c.request_id, erasure_step.c.step, erasure_step.c.store]
        self.session.changed(insert.on_conflict_do_nothing(index_elements=key))

    def clear_steps(self, request_id: RequestId) -> None:
        self.session.changed(sa.delete(erasure_step).where(erasure_step.c.request_id == request_id))

    def steps(self, request_id: RequestId) -> list[StepRecord]:
        rows = self.session.rows(
            sa.select(erasure_step).where(erasure_step.c.request_id == request_id)
        )
        records = [step_of(row) for row in rows]
        return sorted(records, key=lambda r: (_STEP_ORDER[r.step], r.finished_at, r.store))

    def page(
        self, *, state: RequestState | None, before: datetime | None, limit: int
    ) -> list[ErasureRequest]:
        statement = sa.select(erasure_request)
        if state is not None:
            statement = statement.where(_col.state == state.value)
        if before is not None:
            statement = statement.where(_col.received_at < before)
        newest = statement.order_by(_col.received_at.desc(), _col.request_id).limit(limit)
        return [self._read(row) for row in self.session.rows(newest)]

    def due_next(self, *, before: datetime | None, limit: int) -> list[ErasureRequest]:
        waiting = sa.select(erasure_request).where(_col.state.not_in(_OVER))
        if before is not None:
            waiting = waiting.where(_col.due_at < before)
        first = waiting.order_by(_col.due_at, _col.request_id).limit(limit)
        return [self._read(row) for row in self.session.rows(first)]

    def matching(self, text: str, *, limit: int) -> list[ErasureRequest]:
        is_it = sa.or_(
            _col.request_id.startswith(text, autoescape=True),
            _col.ticket == self.tickets.seal(text),
        )
        found = sa.select(erasure_request).where(is_it).order_by(_col.received_at.desc())
        return [self._read(row) for row in self.session.rows(found.limit(limit))]

    def set_note(self, request_id: RequestId, note: str | None) -> bool:
        waiting = sa.and_(_col.request_id == request_id, _IS_OPEN)
        return self._update(waiting, {"note": self.tickets.seal(note)})

    def count_by_state(self) -> Mapping[RequestState, int]:
        rows = self.session.rows(sa.select(_col.state, sa.func.count()).group_by(_col.state))
        counts = dict.fromkeys(RequestState, 0)
        return counts | {RequestState(state): n for state, n in rows}

    def oldest_open(self) -> datetime | None:
        oldest = sa.select(_col.received_at).where(_col.state.not_in(_OVER))
        row = self.session.first(oldest.order_by(_col.received_at).limit(1))
        return None if row is None else row[0]

    def n_overdue(self, *, now: datetime) -> int:
        late = sa.and_(_col.state.not_in(_OVER), _col.due_at < now)
        counted = sa.select(sa.func.count()).select_from(erasure_request).where(late)
        row = self.session.first(counted)
        return 0 if row is None else int(row[0])

    def waiting_by_code(self) -> Mapping[str, int]:
        wanted = sa.select(_col.error_code, sa.func.count())
        is_waiting = sa.and_(_col.error_code.is_not(None), _col.state.not_in(_OVER))
        return {
            str(code): int(n)
            for code, n in self.session.rows(wanted.where(is_waiting).group_by(_col.error_code))
        }

    def extend(
        self,
        request_id: RequestId,
        *,
        due_at: datetime,
        at: datetime,
        extension: Extension,
        told_at: datetime,
    ) -> bool:
        later = sa.and_(_col.request_id == request_id, _IS_OPEN, _col.due_at < due_at)
        once = sa.and_(later, _col.extension.is_(None), _col.due_at > at)
        told = {"extension": extension.value, "told_at": told_at}
        return self._update(once, told | {"due_at": due_at, "updated_at": at})

    def _update(self, condition: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        return self.session.changed(sa.update(erasure_request).where(condition).values(values)) == 1


def _held(request_id: RequestId, fence: int) -> ColumnElement[bool]:
    return sa.and_(_col.request_id == request_id, _col.fence == fence)

"""Erasure requests and their journal, from values to rows and back."""

from __future__ import annotations

import json
from typing import Any

from app.adapters.db.session import Record
from app.adapters.db.tickets import Tickets
from app.domain.erasure.request import (
    ErasureRequest,
    Extension,
    Ground,
    Reason,
    RequestState,
    Step,
    StepRecord,
)
from app.domain.erasure.scope import scope_from_json, scope_to_json
from app.ports.persistence.requests import NewRequest


def values_of(new: NewRequest, *, tickets: Tickets) -> dict[str, Any]:
    """Return the columns of a new request."""
    request = new.request
    scope = None if request.scope is None else json.dumps(scope_to_json(request.scope))
    return {
        "request_id": request.request_id,
        "pseudonym": request.pseudonym,
        "scope_kind": request.scope_kind,
        "scope": scope,
        "state": request.state.value,
        "reason": request.reason,
        "ground": request.ground,
        "error_code": request.error_code,
        "received_at": request.received_at,
        "due_at": request.due_at,
        "updated_at": request.updated_at,
        "completed_at": request.completed_at,
        "epoch": request.epoch,
        "change_seq": request.change_seq,
        "fence": request.fence,
        "attempts": request.attempts,
        "outages": request.outages,
        "n_records": request.n_records,
        "requested_at": request.requested_at,
        "ticket": tickets.seal(request.subject_request_id),
        "idempotency_hash": new.idempotency_hash,
        "subject_request_hash": new.subject_request_hash,
        "body_hash": new.body_hash,
    }


def request_of(row: Record, *, tickets: Tickets) -> ErasureRequest:
    """Return the request in a row."""
    return ErasureRequest(
        request_id=row.request_id,
        pseudonym=row.pseudonym,
        scope_kind=row.scope_kind,
        scope=None if row.scope is None else scope_from_json(json.loads(row.scope)),
        state=RequestState(row.state),
        received_at=row.received_at,
        due_at=row.due_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        epoch=row.epoch,
        attempts=row.attempts,
        fence=row.fence,
        change_seq=row.change_seq,
        reason=None if row.reason is None else Reason(row.reason),
        ground=None if row.ground is None else Ground(row.ground),
        error_code=row.error_code,
        outages=row.outages,
        n_records=row.n_records,
        requested_at=row.requested_at,
        extension=None if row.extension is None else Extension(row.extension),
        told_at=row.told_at,
        subject_request_id=tickets.open(row.ticket),
        note=tickets.open(row.note),
    )


def step_of(row: Record) -> StepRecord:
    """Return the journal entry in a row."""
    return StepRecord(
        request_id=row.request_id,
        step=Step(row.step),
        store=row.store,
        touched=row.touched,
        duration_ms=row.duration_ms,
        attempt=row.attempt,
        finished_at=row.finished_at,
    )

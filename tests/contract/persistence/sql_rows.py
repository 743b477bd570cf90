"""Rows to store, with sensible values for what a test does not care about."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import ErasureRequest, RequestState, Step, StepRecord
from app.domain.erasure.scope import AllScope, Scope
from app.domain.models import EventKey, Interaction, ItemId, Kind, Pseudonym, RecordId, RequestId
from app.ports.persistence.records import NewInteraction
from app.ports.persistence.requests import NewRequest

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
Result = TypeVar("Result")


def hashed(name: str) -> str:
    """Return 64 hex digits that stand for ``name``."""
    return hashlib.sha256(name.encode()).hexdigest()


def user(name: str) -> Pseudonym:
    """Return the pseudonym of ``name``."""
    return Pseudonym(hashed(name))


def request_id(name: str) -> RequestId:
    """Return a request id that stands for ``name``."""
    return RequestId(hashed(name)[:32])


def interaction(
    who: str,
    event: str,
    *,
    item: str | None = "item",
    kind: Kind = Kind.RATING,
    value: float | None = 4.0,
    at: datetime = NOW,
    text: str | None = None,
) -> NewInteraction:
    """Return an interaction whose record id stands for (who, event)."""
    told = Interaction(
        pseudonym=user(who),
        event_key=EventKey(hashed(event)),
        kind=kind,
        occurred_at=at,
        item_id=None if item is None else ItemId(item),
        value=value,
        text=text,
    )
    return NewInteraction(told, record_id(who, event))


def record_id(who: str, event: str) -> RecordId:
    """Return the record id of that interaction."""
    return RecordId(hashed(f"{who}/{event}")[:32])


def add(uows: SqlUnitsOfWork, *rows: NewInteraction) -> None:
    """Store rows whose memories are written at once."""
    with uows.write() as uow:
        uow.interactions.add(rows, pending_until=NOW, received_at=NOW)
        uow.interactions.mark_stored([row.record_id for row in rows], lease=NOW)


def new_request(
    name: str,
    *,
    who: str = "anna",
    state: RequestState = RequestState.SUPPRESSED,
    scope: Scope | None = None,
    received_at: datetime = NOW,
    key: str | None = None,
    subject_key: str | None = None,
) -> NewRequest:
    """Return a request as it is posted, body and keys standing for names."""
    scope = AllScope() if scope is None else scope
    request = ErasureRequest(
        request_id=request_id(name),
        pseudonym=user(who),
        scope_kind=scope.kind,
        scope=scope,
        state=state,
        received_at=received_at,
        due_at=received_at + timedelta(days=30),
        updated_at=received_at,
        completed_at=None,
        epoch=1,
        attempts=0,
        fence=0,
        change_seq=1,
    )
    return NewRequest(
        request=request,
        idempotency_hash=None if key is None else hashed(key),
        subject_request_hash=None if subject_key is None else hashed(subject_key),
        body_hash=hashed(f"body of {who}"),
    )


def due(new: NewRequest, at: datetime) -> NewRequest:
    """Return the request with another due date."""
    return replace(new, request=replace(new.request, due_at=at))


def step(name: str, which: Step, *, store: str = "memory", touched: int = 1) -> StepRecord:
    """Return a journal entry."""
    return StepRecord(
        request_id=request_id(name),
        step=which,
        store=store,
        touched=touched,
        duration_ms=1.5,
        attempt=1,
        finished_at=NOW,
    )


def leaf(name: str, *, kind: LeafKind = LeafKind.FORGET_RECEIVED) -> Leaf:
    """Return an audit entry of the request ``name``."""
    return Leaf(kind, NOW, request_id(name), {"n": 1})


def at_once(n_threads: int, action: Callable[[int], Result]) -> list[Result]:
    """Call ``action(0..n-1)`` in as many threads that start together; raise what one raises."""
    barrier = threading.Barrier(n_threads)

    def run(number: int) -> Result:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, range(n_threads)))

"""Erasure requests as they begin: what is possible, the row, and its first leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import (
    ErasureRequest,
    Reason,
    RequestState,
    Tombstone,
    due_date,
)
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Pseudonym

_OLDEST: Final = timedelta(days=366)
_SKEW: Final = timedelta(minutes=5)


def require_possible(requested_at: datetime | None, *, now: datetime) -> None:
    """Refuse a time at which nobody can have asked, or would wait for an answer any more."""
    if requested_at is not None and not now - _OLDEST <= requested_at <= now + _SKEW:
        message = "must lie within the last 366 days, and not in the future"
        raise InvalidInputError(FieldError("requested_at", message))


def suppressed(
    stone: Tombstone, *, scope_kind: str, seq: int, reason: Reason | None = None
) -> ErasureRequest:
    """Return a request as it is accepted: id, user, time and epoch are those of ``stone``."""
    now = stone.erased_before
    return ErasureRequest(
        request_id=stone.request_id,
        pseudonym=Pseudonym(stone.token),
        scope_kind=scope_kind,
        scope=None,
        state=RequestState.SUPPRESSED,
        received_at=now,
        due_at=due_date(now),
        updated_at=now,
        completed_at=None,
        epoch=stone.epoch,
        attempts=0,
        fence=0,
        change_seq=seq,
        reason=reason,
    )


def leaves_of(request: ErasureRequest, *, n_memories: int) -> list[Leaf]:
    """Return the leaves of a request that has been accepted, the one of its receipt first."""
    facts = {"scope": request.scope_kind, "due_at": request.due_at.isoformat()}
    at, request_id = request.received_at, request.request_id
    return [
        Leaf(LeafKind.FORGET_RECEIVED, at, request_id, facts),
        Leaf(LeafKind.FORGET_SUPPRESSED, at, request_id, {"n_memories": n_memories}),
    ]

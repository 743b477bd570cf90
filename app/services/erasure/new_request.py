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
from app.domain.erasure.scope import CORRECTION, AllScope, Scope, TopicScope
from app.domain.errors import FieldError, InvalidInputError, TooManyError
from app.domain.models import Pseudonym
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.topic import MAX_TOPICS
from app.ports.persistence.unit_of_work import UnitOfWork

MAX_UNDER_WAY: Final = 20
"""Most requests of one user that are not over; each is a row, a leaf and a search of all files."""
_OLDEST: Final = timedelta(days=366)
_SKEW: Final = timedelta(minutes=5)


def require_possible(requested_at: datetime | None, *, now: datetime) -> None:
    """Refuse a time at which nobody can have asked, or would wait for an answer any more."""
    if requested_at is not None and not now - _OLDEST <= requested_at <= now + _SKEW:
        message = "must lie within the last 366 days, and not in the future"
        raise InvalidInputError(FieldError("requested_at", message))


def require_room(
    uow: UnitOfWork, pseudonym: Pseudonym, scope: Scope, *, identity: Identity
) -> None:
    """Refuse a partial scope of whoever has as many under way, or topics, as one may.

    Erasing everything is never refused.

    Raises:
        TooManyError: says which.
    """
    if isinstance(scope, AllScope):
        return
    under_way = uow.requests.unfinished_of(pseudonym)
    if sum(one.scope_kind != CORRECTION for one in under_way) >= MAX_UNDER_WAY:
        raise TooManyError(f"{MAX_UNDER_WAY} requests of this user are under way; wait for some")
    if isinstance(scope, TopicScope):
        topics = uow.suppressions.of([pseudonym]).get(pseudonym, [])
        is_known = identity.topic_id(pseudonym, scope.text) in {one.topic_id for one in topics}
        if len(topics) >= MAX_TOPICS and not is_known:
            raise TooManyError(f"this user keeps out {MAX_TOPICS} topics; lift one before")


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


def leaves_of(request: ErasureRequest, *, n_memories: int, n_tombstones: int = 0) -> list[Leaf]:
    """Return the leaves of a request that has been accepted, the one of its receipt first."""
    facts = {"scope": request.scope_kind, "due_at": request.due_at.isoformat()}
    suppressed_facts = {"n_memories": n_memories, "n_tombstones": n_tombstones}
    at, request_id = request.received_at, request.request_id
    return [
        Leaf(LeafKind.FORGET_RECEIVED, at, request_id, facts),
        Leaf(LeafKind.FORGET_SUPPRESSED, at, request_id, suppressed_facts),
    ]

"""Erasure requests as they begin: what is asked, what is possible, the row, its first leaves."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import (
    LAPSED_FROM,
    ErasureRequest,
    Reason,
    RequestState,
    Tombstone,
    due_date,
)
from app.domain.erasure.scope import CORRECTION, AllScope, Scope, TopicScope
from app.domain.errors import FieldError, InvalidInputError, TooManyError
from app.domain.models import Pseudonym, RecordId, RequestId, Subject, SubjectStatus
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.topic import MAX_TOPICS, Topic
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.audit.certificates import SaltedCommitment, Taken, commit
from app.services.erasure.scope_resolution import entries_in_scope
from app.services.erasure.transitions import transition
from app.services.ingestion.tombstone_filter import tombstones

MAX_UNDER_WAY: Final = 20
"""Most requests of one user that are not over; each is a row, a leaf and a search of all files."""
_OLDEST: Final = timedelta(days=366)
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """What is asked for.

    Args:
        idempotency_key: the caller's; the same key gives the same request.
        subject_request_id: OpenDSR's id of the request, unique as well.
        about: commitment to the caller's user id, made at the edge, where the id is known; None
            commits to the pseudonym.
        requested_at: when the person asked; not in the future, at most a year ago. None: now.
        is_held: suppress at once, and erase only once an administrator has released it.
        is_lapse: whether the operator keeps it no longer: the user may come back unasked.
        is_replay: whether it repeats an erasure that a restored backup does not know.
    """

    pseudonym: Pseudonym
    scope: Scope
    reason: Reason | None = None
    idempotency_key: str | None = None
    subject_request_id: str | None = None
    about: SaltedCommitment | None = None
    requested_at: datetime | None = None
    is_held: bool = False
    is_lapse: bool = False
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class NewlyTaken:
    """A request in its row, and what the rest of its transaction needs."""

    request: ErasureRequest
    command: ForgetCommand
    subject: Subject | None
    n_memories: int

    def taken(self, *, n_tombstones: int) -> Taken:
        """Return it with its leaves."""
        about = self.command.about or commit(self.command.pseudonym)
        leaves = leaves_of(self.request, n_memories=self.n_memories, n_tombstones=n_tombstones)
        return Taken(self.request, about, leaves)


def impossible(requested_at: datetime | None, *, now: datetime) -> InvalidInputError | None:
    """Return what is wrong with a time at which nobody can have asked, or waits any more."""
    if requested_at is None or now - _OLDEST <= requested_at <= now + _SKEW:
        return None
    message = "must lie within the last 366 days, and not in the future"
    return InvalidInputError(FieldError("requested_at", message))


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


def suppress(
    uow: UnitOfWork,
    command: ForgetCommand,
    *,
    about: Collection[RecordId],
    subject: Subject | None,
    now: datetime,
    identity: Identity,
) -> tuple[ErasureRequest, int]:
    """Flag what is in scope, leave tombstones; return the request and how many memories.

    Args:
        uow: the transaction.
        command: what is asked for.
        about: records that a topic scope was resolved to.
        subject: its user, locked; None for somebody unknown.
        now: the present.
        identity: makes the tombstones' tokens.
    """
    request_id = RequestId(secrets.token_hex(16))
    pseudonym, scope = command.pseudonym, command.scope
    is_whole_user, epoch = isinstance(scope, AllScope), 0
    if subject is not None:
        status = SubjectStatus.ERASING if is_whole_user else None
        epoch = uow.subjects.raise_epoch(pseudonym, status=status)
    # Without the words: whoever asks to be forgotten must be heard even if their key is lost.
    history = uow.interactions.history(pseudonym, with_texts=False)
    doomed = entries_in_scope(scope, history, about=about)
    uow.interactions.flag(request_id, [entry.record_id for entry in doomed], of=[pseudonym])
    begin = LAPSED_FROM if command.is_lapse else None
    stone = Tombstone(pseudonym, request_id, now, erased_from=begin, epoch=epoch)
    uow.tombstones.add(tombstones(identity, scope, doomed, stone=stone))
    if isinstance(scope, TopicScope):
        topic = Topic(identity.topic_id(pseudonym, scope.text), scope.text)
        uow.suppressions.add(pseudonym, topic, request_id=request_id, at=now)
    seq = uow.changes.append({pseudonym})
    request = suppressed(stone, scope_kind=scope.kind, seq=seq, reason=command.reason)
    # Which part it is, is told by flags and tombstones; the words would be one more trace.
    asked_at = command.requested_at or now
    request = replace(
        request,
        scope=scope if is_whole_user else None,
        requested_at=asked_at,
        due_at=due_date(asked_at),
        n_records=len(doomed) + (_n_besides(uow, pseudonym, subject) if is_whole_user else 0),
        subject_request_id=command.subject_request_id,
    )
    return request, len(doomed)


def _n_besides(uow: UnitOfWork, pseudonym: Pseudonym, subject: Subject | None) -> int:
    """Return how many topics and rights are held of a user besides memories."""
    topics = uow.suppressions.of([pseudonym]).get(pseudonym, ())
    return len(topics) + len(subject.rights if subject else ())


def hold_back(uow: UnitOfWork, new: NewlyTaken, *, is_reviewed: bool) -> ErasureRequest:
    """Put a new request on hold where anything asks for it; return it as it stands.

    What repeats an erasure after a restore was let go before, and is never held.
    """
    request, subject = new.request, new.subject
    reasons = {
        "legal_hold": subject is not None and subject.hold is not None,
        "request": new.command.is_held,
        "review": is_reviewed,
    }
    why = next((why for why, holds in reasons.items() if holds), None)
    if why is None or new.command.is_replay:
        return request
    state, facts = RequestState.ON_HOLD, {"by": why}
    transition(uow, request, state, at=request.received_at, fence=None, facts=facts)
    return replace(request, state=state)

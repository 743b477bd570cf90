"""The life of an erasure request: its states, the one table of transitions, the work's steps."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from zlib import crc32

from app.domain.audit.entries import LeafKind
from app.domain.erasure.scope import Scope
from app.domain.errors import IllegalMoveError
from app.domain.models import Pseudonym, RecordId, RequestId


class RequestState(StrEnum):
    """Where an erasure request stands."""

    ON_HOLD = "on_hold"
    SUPPRESSED = "suppressed"
    ERASING = "erasing"
    SCRUBBED = "scrubbed"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"


_S = RequestState
WORKABLE: Final = frozenset({_S.SUPPRESSED, _S.ERASING, _S.SCRUBBED, _S.VERIFYING})
"""States in which a worker may claim the request."""
TRANSITIONS: Final[Mapping[tuple[RequestState | None, RequestState], LeafKind]] = MappingProxyType(
    {
        (None, _S.SUPPRESSED): LeafKind.FORGET_SUPPRESSED,
        # Held or refused data are still in place, so both only before the first byte is scrubbed.
        (_S.SUPPRESSED, _S.ON_HOLD): LeafKind.FORGET_HELD,
        (_S.ON_HOLD, _S.SUPPRESSED): LeafKind.FORGET_RELEASED,
        (_S.SUPPRESSED, _S.REJECTED): LeafKind.FORGET_REJECTED,
        (_S.ON_HOLD, _S.REJECTED): LeafKind.FORGET_REJECTED,
        (_S.SUPPRESSED, _S.ERASING): LeafKind.FORGET_ERASING,
        (_S.ERASING, _S.SCRUBBED): LeafKind.FORGET_SCRUBBED,
        (_S.SCRUBBED, _S.VERIFYING): LeafKind.FORGET_VERIFYING,
        (_S.VERIFYING, _S.COMPLETED): LeafKind.FORGET_COMPLETED,
        # Residue found while verifying sends the work back to the scrub, never forward.
        (_S.VERIFYING, _S.ERASING): LeafKind.FORGET_ERASING,
        (_S.FAILED, _S.ERASING): LeafKind.FORGET_ERASING,
        **{(state, _S.FAILED): LeafKind.FORGET_FAILED for state in WORKABLE},
    }
)
"""Every legal transition (source, None for a new request; target) and the audit leaf it leaves.

Enforced again in SQL by a conditional UPDATE.
"""
STATE_OF_LEAF: Final[Mapping[LeafKind, RequestState]] = MappingProxyType(
    {leaf: target for (_, target), leaf in TRANSITIONS.items()}
)
"""The state that a leaf says a request entered. Other leaf kinds tell of no transition."""
FINAL: Final = frozenset(RequestState) - {source for source, _ in TRANSITIONS}
"""States that nothing leads out of."""


def leaf_of(*, source: RequestState, target: RequestState) -> LeafKind:
    """Return the leaf that a transition leaves in the audit log.

    Raises:
        IllegalMoveError: the table has no such transition.
    """
    leaf = TRANSITIONS.get((source, target))
    if leaf is None:
        raise IllegalMoveError(f"a request cannot go from {source} to {target}")
    return leaf


class Step(StrEnum):
    """The steps of an erasure, in the order they are done; each is idempotent.

    How each is done is listed in ``app.services.erasure.steps``.
    """

    DRAIN = "drain"
    COLLECT = "collect"
    MEMORY = "memory"
    CACHES = "caches"
    KEYS = "keys"
    NEIGHBOURS = "neighbours"
    ROWS = "rows"
    MAINTENANCE = "maintenance"
    PROBE = "probe"


class Reason(StrEnum):
    """Why erasure is requested; a code, because free text would be personal data."""

    CONSENT_WITHDRAWN = "consent_withdrawn"
    NO_LONGER_NEEDED = "no_longer_needed"
    OBJECTION = "objection"
    UNLAWFUL = "unlawful"
    LEGAL_OBLIGATION = "legal_obligation"
    CHILD = "child"
    PREFERENCE = "preference"


class Ground(StrEnum):
    """Why a request is refused: GDPR Art. 17(3) and 12(5), 12(6)."""

    EXPRESSION = "expression"
    LEGAL_OBLIGATION = "legal_obligation"
    PUBLIC_HEALTH = "public_health"
    ARCHIVING = "archiving"
    LEGAL_CLAIMS = "legal_claims"
    UNFOUNDED = "manifestly_unfounded"
    IDENTITY = "identity_not_established"


class Extension(StrEnum):
    """Why a request takes longer than a month: GDPR Art. 12(3)."""

    COMPLEXITY = "complexity"
    NUMBER = "number_of_requests"


def share_of(request_id: RequestId, *, n: int) -> int:
    """Return which of ``n`` nodes a request is for, in [0, n)."""
    return crc32(request_id.encode()) % n


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """An erasure request as its row holds it: the only truth about how far it has come.

    A worker claims it by raising ``fence``; what ``claim`` returns is the row with its own fence.

    Args:
        pseudonym: None once a completed erasure has cleared it.
        scope: None once cleared; ``scope_kind`` stays.
        epoch: the subject's epoch after this request raised it.
        attempts: how often a worker has claimed it.
        fence: raised by every claim; a writer with an older one has lost its lease.
        change_seq: the change feed's number that every live process must have acknowledged.
        outages: how many of the attempts ended because a dependency was down; they do not count
            towards the limit of attempts.
        error_code: code of the last failure, None while there is none.
        n_records: what was held in the scope when it was received; None where that was not counted.
        requested_at: when the person asked, which starts the clock; None: when it was received.
        extension: why the due date was moved, and ``told_at``, when the person was told.
        subject_request_id: the caller's own number of the request, such as a ticket's; kept.
        note: an operator's words about it; gone once it is over.
    """

    request_id: RequestId
    pseudonym: Pseudonym | None
    scope_kind: str
    scope: Scope | None
    state: RequestState
    received_at: datetime
    due_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    epoch: int
    attempts: int
    fence: int
    change_seq: int
    reason: Reason | None = None
    ground: Ground | None = None
    error_code: str | None = None
    outages: int = 0
    n_records: int | None = None
    requested_at: datetime | None = None
    extension: Extension | None = None
    told_at: datetime | None = None
    subject_request_id: str | None = None
    note: str | None = None

    @property
    def asked_at(self) -> datetime:
        """Return the moment that the month of GDPR Art. 12(3) runs from."""
        return self.requested_at or self.received_at

    @property
    def first_due_at(self) -> datetime:
        """Return the due date without an extension."""
        return due_date(self.asked_at)

    def is_late(self, *, now: datetime) -> bool:
        """Whether it was, or is, done later than due; who is refused was answered."""
        return self.state is not RequestState.REJECTED and self.due_at < (self.completed_at or now)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of one request, as journalled.

    Args:
        store: name of the store the step worked on.
        touched: rows, records or keys changed; 0 on an idempotent repeat.
        duration_ms: wall time in milliseconds.
        attempt: the attempt (from 1) in which the step finished.
    """

    request_id: RequestId
    step: Step
    store: str
    touched: int
    duration_ms: float
    attempt: int
    finished_at: datetime


LAPSED_FROM: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""Lower bound of a tombstone of what the operator kept no longer. Who was erased for that may come
back without a new consent; what they did before stays refused."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A keyed trace of erased data that stops it from coming back.

    Args:
        token: from ``Identity.tombstone_*``; says nothing without the pepper.
        erased_before: events that occurred before this are refused.
        erased_from: lower bound, inclusive; None for "from the beginning".
        epoch: the epoch a returning user starts above; 0 where it does not matter.
    """

    token: str
    request_id: RequestId
    erased_before: datetime
    erased_from: datetime | None = None
    epoch: int = 0

    @property
    def is_lapse(self) -> bool:
        """Whether the operator kept data no longer, and nobody asked to stay out."""
        return self.erased_from == LAPSED_FROM

    def covers(self, occurred_at: datetime) -> bool:
        """Whether an event that occurred then is erased."""
        after_start = self.erased_from is None or occurred_at >= self.erased_from
        return after_start and occurred_at < self.erased_before


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """What a store is asked to erase: all that it may know of the request.

    Args:
        record_ids: ids of the memories in scope, random, from SQL.
        is_whole_user: scope ``all``: everything under the pseudonym goes.
    """

    request_id: RequestId
    pseudonym: Pseudonym
    is_whole_user: bool
    record_ids: tuple[RecordId, ...]


def due_date(received_at: datetime, *, months: int = 1) -> datetime:
    """Return the same day ``months`` later, or that month's last day (GDPR Art. 12(3)).

    31 January becomes 28 or 29 February.
    """
    index = received_at.month - 1 + months
    year, month = received_at.year + index // 12, index % 12 + 1
    day = min(received_at.day, calendar.monthrange(year, month)[1])
    return received_at.replace(year=year, month=month, day=day)

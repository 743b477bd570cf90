"""The life of an erasure request: states, the one table of legal moves, the steps of the work."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.domain.erasure.scope import Scope
from app.domain.errors import IllegalMoveError
from app.domain.models import Pseudonym, RecordId, RequestId


class RequestState(StrEnum):
    """Where an erasure request stands."""

    RECEIVED = "received"
    NEEDS_IDENTITY = "needs_identity"
    ON_HOLD = "on_hold"
    SUPPRESSED = "suppressed"
    ERASING = "erasing"
    SCRUBBED = "scrubbed"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"


_S = RequestState
LEGAL_MOVES: Final[Mapping[RequestState, frozenset[RequestState]]] = MappingProxyType(
    {
        _S.RECEIVED: frozenset({_S.SUPPRESSED, _S.NEEDS_IDENTITY, _S.ON_HOLD, _S.REJECTED}),
        _S.NEEDS_IDENTITY: frozenset({_S.SUPPRESSED, _S.REJECTED}),
        # Held or refused data are still in place, so both only before the first byte is scrubbed.
        _S.SUPPRESSED: frozenset({_S.ERASING, _S.ON_HOLD, _S.REJECTED, _S.FAILED}),
        _S.ON_HOLD: frozenset({_S.SUPPRESSED, _S.REJECTED}),
        _S.ERASING: frozenset({_S.SCRUBBED, _S.FAILED}),
        # Residue found while verifying sends the work back to the scrub, never forward.
        _S.SCRUBBED: frozenset({_S.VERIFYING, _S.FAILED}),
        _S.VERIFYING: frozenset({_S.COMPLETED, _S.ERASING, _S.FAILED}),
        _S.FAILED: frozenset({_S.ERASING}),
        _S.COMPLETED: frozenset(),
        _S.REJECTED: frozenset(),
    }
)
"""State -> states it may move to. Enforced again in SQL by a conditional UPDATE."""

WORKABLE: Final = frozenset({_S.SUPPRESSED, _S.ERASING, _S.SCRUBBED, _S.VERIFYING})
"""States in which a worker may claim the request."""
FINAL: Final = frozenset(state for state, moves in LEGAL_MOVES.items() if not moves)
"""States that nothing leads out of."""


def require_legal(*, source: RequestState, target: RequestState) -> None:
    """Check a move against the table.

    Raises:
        IllegalMoveError: the table has no such move.
    """
    if target not in LEGAL_MOVES[source]:
        raise IllegalMoveError(f"a request cannot go from {source} to {target}")


class Step(StrEnum):
    """The steps of an erasure, in the order they are done; each is idempotent.

    What the probe must look for is collected before the first byte goes, because afterwards
    nothing of ours may know it. The probe itself is repeated by every attempt: a finding of an
    earlier one proves nothing about now.
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
    """Why erasure is asked for; a code, never free text, because text would be personal data."""

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


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """An erasure request as stored.

    Args:
        pseudonym: None once a completed erasure has cleared it.
        scope: None once cleared; ``scope_kind`` stays.
        epoch: the subject's epoch after this request raised it.
        attempts: how often a worker has claimed it.
        fence: raised by every claim; a writer with an older one has lost its lease.
        change_seq: the change feed's number that every live process must have acknowledged.
        outages: how many of the attempts ended because something the service stands on was down;
            they say nothing against the request.
        error_code: code of the last failure, None while there is none.
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a request, good until ``lease_until`` and while ``fence`` is newest."""

    request: ErasureRequest
    owner: str
    fence: int
    lease_until: datetime


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

    def covers(self, occurred_at: datetime) -> bool:
        """Whether an event that occurred then is erased."""
        after_start = self.erased_from is None or occurred_at >= self.erased_from
        return after_start and occurred_at < self.erased_before


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """What a store is asked to erase.

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

"""Repositories of erasure requests, their leases and journal, and tombstones.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.erasure.request import (
    ErasureRequest,
    Extension,
    Ground,
    RequestState,
    StepRecord,
    Tombstone,
)
from app.domain.models import Pseudonym, RequestId


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What is inserted for an erasure request besides its own fields.

    Args:
        idempotency_hash: keyed hash of the caller's key, unique; None where none was given.
        subject_request_hash: keyed hash of the OpenDSR id, unique; None likewise.
        body_hash: keyed hash of the canonical body; empty where nobody sent one.
    """

    request: ErasureRequest
    idempotency_hash: str | None = None
    subject_request_hash: str | None = None
    body_hash: str = ""


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """An earlier request found by one of its keys.

    Args:
        body_hash: None once a completed erasure has cleared it; then nobody can tell a repeat
            from a misuse of the key any more, and the request is the answer to both.
    """

    request: ErasureRequest
    body_hash: str | None


class ErasureRequests(Protocol):
    """Erasure requests, their leases and their journal."""

    def add(self, new: NewRequest) -> None:
        """Insert.

        Raises:
            ConflictError: one of the unique hashes exists (a concurrent post was first).
        """

    def get(self, request_id: RequestId) -> ErasureRequest | None:
        """Return the request."""

    def find(
        self, *, idempotency_hash: str | None, subject_request_hash: str | None
    ) -> RequestMatch | None:
        """Return the request stored under one of the keys; the idempotency key is asked first."""

    def find_open(self, pseudonym: Pseudonym, *, body_hash: str) -> RequestMatch | None:
        """Return the oldest request of this user for the same body that is not final yet."""

    def open_of(self, pseudonym: Pseudonym) -> list[ErasureRequest]:
        """Return the user's requests that are in a workable state, oldest first."""

    def unfinished_of(self, pseudonym: Pseudonym) -> list[ErasureRequest]:
        """Return the user's requests that are not final, held and failed ones too, oldest first."""

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
        """Change the state by conditional UPDATE (id, source and, unless None, fence must match).

        Returns whether the row changed. COMPLETED sets ``completed_at``; every transition clears
        ``error_code`` unless given. One into or out of the workable states ends any lease and
        back-off, so that a retried or released request may be claimed at once.

        Raises:
            IllegalMoveError: the table has no such transition.
        """

    def claim(
        self, request_id: RequestId, *, owner: str, now: datetime, lease_until: datetime
    ) -> ErasureRequest | None:
        """Take the lease if the state is workable and no other lease is valid at ``now``.

        A valid lease keeps out its own owner as well, and ``not_before`` keeps out everyone.
        Adds 1 to ``fence`` and ``attempts``. Returns the request with both, the fence being the
        caller's from now on; None where somebody else has it.
        """

    def heartbeat(self, request_id: RequestId, *, fence: int, lease_until: datetime) -> bool:
        """Extend the lease; False when ``fence`` is not the newest or the lease was given back."""

    def release(self, request_id: RequestId, *, fence: int) -> bool:
        """Give the lease back so that anyone may claim at once; False when it was lost."""

    def claimable(self, *, now: datetime, limit: int) -> list[RequestId]:
        """Return workable requests, unleased and past their ``not_before``, by due date."""

    def postpone(
        self,
        request_id: RequestId,
        *,
        fence: int,
        not_before: datetime,
        error_code: str | None = None,
        is_outage: bool = False,
    ) -> bool:
        """Release, but let nobody claim before ``not_before``; False when fence is old.

        ``error_code`` says why, and an outage is counted.
        """

    def clear_subject(self, request_id: RequestId, *, fence: int) -> bool:
        """Set pseudonym, scope and body hash to NULL; False when fence is old."""

    def clear_final_of(self, pseudonym: Pseudonym) -> int:
        """Clear the subject of the user's final requests (rejected ones); return how many."""

    def record_step(self, record: StepRecord) -> None:
        """Journal a finished step; a repeat of (request, step, store) keeps the first."""

    def clear_steps(self, request_id: RequestId) -> None:
        """Empty the journal, so that the work starts over (residue was found)."""

    def steps(self, request_id: RequestId) -> list[StepRecord]:
        """Return the journal in the order of the steps."""

    def page(
        self, *, state: RequestState | None, before: datetime | None, limit: int
    ) -> list[ErasureRequest]:
        """Return requests, newest first, received before ``before``."""

    def due_next(self, *, before: datetime | None, limit: int) -> list[ErasureRequest]:
        """Return requests that are not over, by due date; with ``before`` those due earlier."""

    def matching(self, text: str, *, limit: int) -> list[ErasureRequest]:
        """Return requests whose id begins with ``text``, or whose caller's number it is."""

    def set_note(self, request_id: RequestId, note: str | None) -> bool:
        """Keep an operator's note, sealed, until the request is over; tell if it is not."""

    def count_by_state(self) -> Mapping[RequestState, int]:
        """Return how many requests are in each state."""

    def oldest_open(self) -> datetime | None:
        """Return when the oldest request arrived that is not over; None where all are."""

    def n_overdue(self, *, now: datetime) -> int:
        """Return how many requests are not over although their due date has passed."""

    def waiting_by_code(self) -> Mapping[str, int]:
        """Return the number of unfinished requests by the error code of their last attempt."""

    def extend(
        self,
        request_id: RequestId,
        *,
        due_at: datetime,
        at: datetime,
        extension: Extension,
        told_at: datetime,
    ) -> bool:
        """Set a later due date, once, of a request that is neither final nor due; tell if it did.

        Args:
            request_id: which.
            due_at: the later date.
            at: the present.
            extension: why.
            told_at: when the person was told.
        """


class Tombstones(Protocol):
    """Keyed traces of erased data."""

    def n_records(self, token: str) -> int | None:
        """Return how many records the requests under a token found; None where there are none.

        One that did not count counts as one.
        """

    def add(self, tombstones: Sequence[Tombstone]) -> None:
        """Insert; the same token again keeps the widest bounds (periods: one row each).

        The bounds of each request are kept apart, so that removing one request's leaves the
        others' as they were.
        """

    def find(self, tokens: Collection[str]) -> dict[str, list[Tombstone]]:
        """Return the tombstones under these tokens: one with the widest bounds, and each period.

        Tokens without a tombstone are absent.
        """

    def are_any(self) -> bool:
        """Whether anything of anybody was ever erased."""

    def are_settled(self, token: str) -> bool:
        """Whether every request that left a tombstone under this token is final."""

    def of(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        """Return the tombstones of these requests."""

    def request_ids(self) -> set[RequestId]:
        """Return the requests that left tombstones, but for those on hold."""

    def unknown(self, request_ids: Collection[RequestId]) -> set[RequestId]:
        """Return those of the ids that neither a request nor a tombstone has."""

    def remove_of(self, request_id: RequestId) -> int:
        """Remove those of a rejected request."""

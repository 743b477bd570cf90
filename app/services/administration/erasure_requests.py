"""What administrators do with erasure requests: look, retry, hold, release, reject, extend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind, LeafValue
from app.domain.erasure.request import ErasureRequest, Extension, Ground, RequestState, due_date
from app.domain.erasure.scope import CORRECTION, AllScope
from app.domain.errors import (
    ConflictError,
    FieldError,
    IllegalMoveError,
    InvalidInputError,
    NotFoundError,
)
from app.domain.models import Pseudonym, RequestId, SubjectStatus
from app.domain.privacy.pseudonyms import Identity
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.ledger import ErasureLedger
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.data_subjects.rights import arrive
from app.services.erasure.transitions import LeaseLostError, transition

_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """Requests, newest first, and how many are in each state."""

    requests: Sequence[ErasureRequest]
    count_by_state: Mapping[RequestState, int]


class ErasureRequestAdmin:
    """Every action is one transaction and leaves a leaf in the audit log."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        queue: JobQueue,
        ledger: ErasureLedger,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._identity = identity
        self._queue = queue
        self._ledger = ledger
        self._clock = clock

    def page(
        self, *, state: RequestState | None, before: datetime | None, limit: int
    ) -> RequestPage:
        """Return a page of requests."""
        with self._uows.read() as uow:
            return RequestPage(
                uow.requests.page(state=state, before=before, limit=limit),
                uow.requests.count_by_state(),
            )

    def note(self, request_id: RequestId, text: str) -> None:
        """Keep a note on a request until it is over; an empty one takes it away.

        Raises:
            ConflictError: it is over, or there is none of that id.
        """
        with self._uows.write() as uow:
            if not uow.requests.set_note(request_id, text or None):
                raise ConflictError("only a request that is not over bears a note")

    def retry(self, request_id: RequestId) -> ErasureRequest:
        """Give a failed request one more attempt.

        Raises:
            NotFoundError: there is none of that id.
            IllegalMoveError: it has not failed.
        """
        with self._uows.write() as uow:
            request = self._get(uow, request_id)
            # The table lets a worker come to erasing from elsewhere, too.
            if request.state is not RequestState.FAILED:
                raise IllegalMoveError("only a failed request can be retried")
            self._transition(uow, request, RequestState.ERASING)
            uow.after_commit(partial(self._queue.ring, request_id))
            return self._get(uow, request_id)

    def hold(self, request_id: RequestId) -> ErasureRequest:
        """Keep the data, suppressed, until release or rejection (a legal hold).

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: it scrubs what a correction replaced.
            IllegalMoveError: the scrub has begun, or the request is final.
        """
        with self._uows.write() as uow:
            request = self._get(uow, request_id)
            _require_no_correction(request)
            self._transition(uow, request, RequestState.ON_HOLD)
            uow.after_commit(partial(self._ledger.drop, request_id))
            return self._get(uow, request_id)

    def hold_user(self, pseudonym: Pseudonym, ground: Ground | None) -> int:
        """Let nothing of a user be erased (a legal hold), or let it again.

        What is suppressed and not yet being erased is put on hold, and so is what is asked for
        from now on. Nothing is released by lifting it: each request is looked at by itself.

        Args:
            pseudonym: whose data have to stay; noted also for somebody unknown.
            ground: why; None lifts the hold.

        Returns:
            How many requests of the user are on hold now.

        Raises:
            ConflictError: everything of the user is being erased, or was.
        """
        with self._uows.write() as uow:
            subject = uow.subjects.lock(pseudonym)
            if ground is not None:
                subject = subject or arrive(uow, pseudonym, identity=self._identity)
                self._hold_open(uow, pseudonym)
            if subject is not None and subject.hold != ground:
                uow.subjects.set_hold(pseudonym, ground)
                facts = {"ground": ground.value if ground else None}
                uow.audit.append([Leaf(LeafKind.USER_HELD, self._clock.now(), None, facts)])
            held = uow.requests.unfinished_of(pseudonym)
            return sum(one.state is RequestState.ON_HOLD for one in held)

    def _hold_open(self, uow: UnitOfWork, pseudonym: Pseudonym) -> None:
        for one in uow.requests.open_of(pseudonym):
            if one.scope_kind == CORRECTION:
                continue  # what it scrubs was replaced, and its row is gone from use
            if one.state is not RequestState.SUPPRESSED:
                raise ConflictError("data of this user are being erased already")
            self._transition(uow, one, RequestState.ON_HOLD)
            uow.after_commit(partial(self._ledger.drop, one.request_id))

    def release(self, request_id: RequestId) -> ErasureRequest:
        """Let a held request go on.

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: a legal hold is on its user.
            IllegalMoveError: it is not on hold.
        """
        with self._uows.write() as uow:
            request = self._get(uow, request_id)
            if request.pseudonym is not None:
                subject = uow.subjects.lock(request.pseudonym)
                if subject is not None and subject.hold is not None:
                    raise ConflictError("a legal hold is on its user; lift that first")
            self._transition(uow, request, RequestState.SUPPRESSED)
            uow.after_commit(partial(self._queue.ring, request_id))
            return self._get(uow, request_id)

    def reject(self, request_id: RequestId, *, ground: Ground) -> ErasureRequest:
        """Refuse a request on a legal ground: the data come back into use.

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: it scrubs what a correction replaced.
            IllegalMoveError: the scrub has begun, or the request is final.
        """
        with self._uows.write() as uow:
            request = self._get(uow, request_id)
            _require_no_correction(request)
            others = self._others(uow, request)
            heir = next((one for one in others if one.scope_kind == AllScope.kind), None)
            if others and heir is None:
                # What both cover would come back with the one that is rejected.
                raise ConflictError("another request of the same user is open; it comes first")
            doomed = uow.interactions.flagged(request_id)
            self._transition(uow, request, RequestState.REJECTED, ground=ground, n_kept=len(doomed))
            uow.interactions.unflag(request_id)
            uow.tombstones.remove_of(request_id)
            uow.after_commit(partial(self._ledger.drop, request_id))
            uow.suppressions.remove_of(request_id)
            if heir is not None:
                # It has waited for this one, and covers the same.
                uow.interactions.flag(heir.request_id, doomed)
                uow.after_commit(partial(self._queue.ring, heir.request_id))
            elif request.pseudonym is not None:
                if uow.subjects.lock(request.pseudonym) is not None:
                    uow.subjects.raise_epoch(request.pseudonym, status=SubjectStatus.ACTIVE)
                uow.changes.append({request.pseudonym})
            return self._get(uow, request_id)

    @staticmethod
    def _others(uow: UnitOfWork, request: ErasureRequest) -> list[ErasureRequest]:
        """Return the other open requests of the same user."""
        if request.pseudonym is None:
            return []
        uow.subjects.lock(request.pseudonym)
        same_user = uow.requests.open_of(request.pseudonym)
        return [one for one in same_user if one.request_id != request.request_id]

    def extend(
        self, request_id: RequestId, *, extension: Extension, told_at: datetime
    ) -> ErasureRequest:
        """Move the due date by the two further months of GDPR Art. 12(3), once, before it is due.

        Args:
            request_id: which.
            extension: why.
            told_at: when the person was told; not before they asked, not in the future.

        Raises:
            NotFoundError: there is none of that id.
            InvalidInputError: the person cannot have been told then.
            ConflictError: extended before, due already, or final.
        """
        with self._uows.write() as uow:
            request = self._get(uow, request_id)
            later, now = due_date(request.asked_at, months=3), self._clock.now()
            if not request.asked_at - _SKEW <= told_at <= now + _SKEW:
                message = "must lie between the request and now"
                raise InvalidInputError(FieldError("told_at", message))
            if not uow.requests.extend(
                request_id, due_at=later, at=now, extension=extension, told_at=told_at
            ):
                message = "only an open request can be extended, once, and before it is due"
                raise ConflictError(message)
            facts = {"due_at": later.isoformat(), "reason": extension.value}
            facts["told_at"] = told_at.isoformat()
            uow.audit.append([Leaf(LeafKind.FORGET_EXTENDED, now, request_id, facts)])
            return self._get(uow, request_id)

    def _get(self, uow: UnitOfWork, request_id: RequestId) -> ErasureRequest:
        request = uow.requests.get(request_id)
        if request is None:
            raise NotFoundError("no erasure request has this id")
        return request

    def _transition(
        self,
        uow: UnitOfWork,
        request: ErasureRequest,
        target: RequestState,
        *,
        ground: Ground | None = None,
        n_kept: int = 0,
    ) -> None:
        facts: dict[str, LeafValue] = {"by": "admin"}
        if ground is not None:
            facts |= {"ground": ground.value, "n_kept": n_kept}
        try:
            transition(
                uow,
                request,
                target,
                at=self._clock.now(),
                fence=None,
                facts=facts,
                ground=ground,
            )
        except LeaseLostError:
            # A worker moved the row between our look and our move.
            raise ConflictError("the request changed meanwhile; reload it and try again") from None


def _require_no_correction(request: ErasureRequest) -> None:
    """Refuse to keep what a correction replaced: a row of the event is there already."""
    if request.scope_kind == CORRECTION:
        raise ConflictError("a correction cannot be undone; send the event as it was before")

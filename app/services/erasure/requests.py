"""Accepts erasure requests: from the commit made here on, no recommendation uses the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from app.domain.certificates.receipt import Receipt
from app.domain.erasure.request import ErasureRequest, RequestState, StepRecord, Tombstone
from app.domain.erasure.scope import PeriodScope, scope_to_json
from app.domain.errors import (
    AppError,
    ConflictError,
    IdempotencyConflictError,
    InvalidInputError,
    TooManyError,
)
from app.domain.models import Pseudonym, RecordId, RequestId, Subject
from app.domain.privacy.pseudonyms import Identity
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.ledger import ErasureLedger
from app.ports.persistence.requests import NewRequest, RequestMatch
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.audit.certificates import CertificateService
from app.services.concurrency import InFlightAnswers
from app.services.erasure.lost_requests import missing
from app.services.erasure.new_request import (
    ForgetCommand,
    NewlyTaken,
    hold_back,
    impossible,
    require_room,
    suppress,
)
from app.services.erasure.scope_resolution import ScopeResolver

__all__ = ["Acceptance", "ForgetCommand", "ForgetService", "ForgetStatus"]
_JOIN_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An accepted request.

    Args:
        receipt: signed; the same for every repeat until the data are erased, then without its
            salt, which is destroyed with them.
        period: what of a ``period`` is erased: from, and to, which is at most the moment of the
            request; None for other scopes.
        capability: lets its holder read the status, with no other right.
        is_new: False when an earlier request was joined.
    """

    request: ErasureRequest
    receipt: Receipt
    capability: str
    period: tuple[datetime, datetime] | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class ForgetStatus:
    """A request with its journal, and its certificate (canonical JSON) once completed."""

    request: ErasureRequest
    steps: Sequence[StepRecord]
    certificate: str | None


class ForgetService:
    """Accepts erasure requests and reports their state.

    Args:
        is_reviewed: whether every request waits, suppressed, until an administrator releases it.
    """

    def __init__(  # noqa: PLR0913 - its ports, and one setting
        self,
        *,
        uows: UnitsOfWork,
        resolver: ScopeResolver,
        queue: JobQueue,
        ledger: ErasureLedger,
        certificates: CertificateService,
        in_flight: InFlightAnswers,
        identity: Identity,
        clock: Clock,
        is_reviewed: bool = False,
    ) -> None:
        self._in_flight = in_flight
        self._is_reviewed = is_reviewed
        self._uows = uows
        self._resolver = resolver
        self._certificates = certificates
        self._queue = queue
        self._ledger = ledger
        self._identity = identity
        self._clock = clock

    def accept(self, command: ForgetCommand) -> Acceptance:
        """Record that data must be forgotten, and suppress them, in one transaction.

        When this returns, no recommendation that starts uses the data, and none that is under
        way leaves with them. A repeat joins the request it repeats.

        Raises:
            InvalidInputError: it was asked for in the future, or too long ago.
            IdempotencyConflictError: the key was used with another body.
            TooManyError: the user has as many requests under way, or topics, as one may.
            DependencyUnavailableError: nothing was recorded.
        """
        (told,) = self.accept_all([command])
        if isinstance(told, AppError):
            raise told
        return told

    def accept_all(self, commands: Sequence[ForgetCommand]) -> list[Acceptance | AppError]:
        """Do as ``accept`` for each, in one transaction and with one signature of the log.

        Returns:
            What became of each, in their order; one that is refused keeps out no other.

        Raises:
            DependencyUnavailableError: nothing was recorded.
        """
        abouts = [self._resolver.about(one.pseudonym, one.scope) for one in commands]
        for _ in range(_JOIN_ATTEMPTS):
            try:
                with self._uows.write() as uow:
                    # In one order, so that two batches of the same users never wait in a ring.
                    subjects = uow.subjects.lock_all({one.pseudonym for one in commands})
                    taken = [
                        self._try(uow, command, about=frozenset(about), subjects=subjects)
                        for command, about in zip(commands, abouts, strict=True)
                    ]
                    told = self._record(uow, taken)
            except ConflictError:
                # Another post with the same key committed first: the next round finds it.
                continue
            for command in commands:
                self._in_flight.wait(command.pseudonym)
            return told
        raise ConflictError("too many posts with the same key at once; send it again")

    def _try(
        self,
        uow: UnitOfWork,
        command: ForgetCommand,
        *,
        about: frozenset[RecordId],
        subjects: Mapping[Pseudonym, Subject],
    ) -> NewlyTaken | ErasureRequest | AppError:
        """Take one of a batch; what it may be refused for comes before its first write.

        Returns:
            A new request, or the earlier one that it joins, or why it is refused.
        """
        now = self._clock.now()
        error = impossible(command.requested_at, now=now)
        if error is not None:
            return error
        body_hash = self._body_hash(command)
        try:
            known = self._find(uow, command, body_hash=body_hash)
            if known is not None:
                return known.request
            if not command.is_replay:
                require_room(uow, command.pseudonym, command.scope, identity=self._identity)
            if isinstance(command.scope, PeriodScope):
                command = replace(command, scope=command.scope.ended_by(now))
        except (IdempotencyConflictError, TooManyError, InvalidInputError) as refusal:
            return refusal
        subject = subjects.get(command.pseudonym)
        request, n_memories = suppress(
            uow, command, about=about, subject=subject, now=now, identity=self._identity
        )
        uow.requests.add(self._new(command, request, body_hash=body_hash))
        if command.is_replay:
            uow.restores.add(request.request_id)
        return NewlyTaken(request, command, subject, n_memories)

    def _record(
        self, uow: UnitOfWork, taken: Sequence[NewlyTaken | ErasureRequest | AppError]
    ) -> list[Acceptance | AppError]:
        """Log and acknowledge what is new, all at once, and tell after the commit."""
        new = {one.request.request_id: one for one in taken if isinstance(one, NewlyTaken)}
        stones = uow.tombstones.of(new.keys())
        counts = Counter(stone.request_id for stone in stones)
        signed = self._certificates.acknowledge(
            uow, [one.taken(n_tombstones=counts[key]) for key, one in new.items()]
        )
        receipts = dict(zip(new, signed, strict=True))
        stand = {
            key: hold_back(uow, one, is_reviewed=self._is_reviewed) for key, one in new.items()
        }
        self._announce(uow, stand.values(), stones=stones)
        told: list[Acceptance | AppError] = []
        for one in taken:
            if isinstance(one, AppError):
                told.append(one)
                continue
            is_new = isinstance(one, NewlyTaken)
            request = one.request if isinstance(one, NewlyTaken) else one
            key = request.request_id
            receipt = receipts.get(key) or self._certificates.receipt(uow, key)
            told.append(self._answer(uow, stand.get(key, request), receipt, is_new=is_new))
        return told

    def _announce(
        self, uow: UnitOfWork, new: Collection[ErasureRequest], *, stones: Sequence[Tombstone]
    ) -> None:
        """Tell ledger, log and queue after the commit; a worker makes good what fails then."""
        if new:
            uow.after_commit(self._certificates.vouch)
        # After a restore nothing is erased that was on hold.
        going = [one.request_id for one in new if one.state is not RequestState.ON_HOLD]
        if going:
            noted = [stone for stone in stones if stone.request_id in going]
            uow.after_commit(partial(self._ledger.note, noted))
            # A worker takes what else waits along with the first.
            uow.after_commit(partial(self._queue.ring, going[0]))

    def _body_hash(self, command: ForgetCommand) -> str:
        body: dict[str, object] = {
            "scope": scope_to_json(command.scope),
            "reason": command.reason,
            "subject_request_id": command.subject_request_id,
        }
        if command.is_held:
            body["hold"] = True
        if command.requested_at is not None:
            body["requested_at"] = command.requested_at.isoformat()
        return self._identity.body_hash(command.pseudonym, body)

    def _find(
        self, uow: UnitOfWork, command: ForgetCommand, *, body_hash: str
    ) -> RequestMatch | None:
        known = uow.requests.find(
            idempotency_hash=self._request_key(command, "idempotency", command.idempotency_key),
            subject_request_hash=self._request_key(command, "subject", command.subject_request_id),
        )
        if known is not None and known.body_hash not in {None, body_hash}:
            raise IdempotencyConflictError("the key was used before with another body")
        return known or uow.requests.find_open(command.pseudonym, body_hash=body_hash)

    def _request_key(self, command: ForgetCommand, purpose: str, value: str | None) -> str | None:
        """Return the stored form of a caller's key, distinct for each user.

        Otherwise a stranger who sends a known id first, for somebody else, would get the person
        refused, or answered with an erasure that is not theirs.
        """
        if value is None:
            return None
        return self._identity.request_key(f"{purpose}:{command.pseudonym}:{value}")

    def _new(
        self, command: ForgetCommand, request: ErasureRequest, *, body_hash: str
    ) -> NewRequest:
        return NewRequest(
            request=request,
            idempotency_hash=self._request_key(command, "idempotency", command.idempotency_key),
            subject_request_hash=self._request_key(command, "subject", command.subject_request_id),
            body_hash=body_hash,
        )

    def _answer(
        self, uow: UnitOfWork, request: ErasureRequest, receipt: Receipt, *, is_new: bool
    ) -> Acceptance:
        is_period = request.scope_kind == PeriodScope.kind
        stones = uow.tombstones.of([request.request_id]) if is_period else []
        periods = [(one.erased_from, one.erased_before) for one in stones if one.erased_from]
        return Acceptance(
            request,
            receipt,
            self._identity.capability(request.request_id),
            period=next(iter(periods), None),
            is_new=is_new,
        )

    def status(self, request_id: RequestId) -> ForgetStatus:
        """Return how a request stands.

        Raises:
            NotFoundError: there is none of that id.
            RequestLostError: there was one, and a restore lost it.
        """
        with self._uows.read() as uow:
            request = uow.requests.get(request_id)
            if request is None:
                raise missing(uow, request_id, self._ledger, certificates=self._certificates)
            certificate = self._certificates.certificate(uow, request_id)
            return ForgetStatus(request, uow.requests.steps(request_id), certificate)

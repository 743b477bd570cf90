"""Accepts erasure requests: from the commit made here on, no recommendation uses the data."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from app.domain.certificates.receipt import Receipt
from app.domain.erasure.request import (
    ErasureRequest,
    Reason,
    StepRecord,
    Tombstone,
    due_date,
)
from app.domain.erasure.scope import (
    AllScope,
    PeriodScope,
    Scope,
    TopicScope,
    scope_to_json,
)
from app.domain.errors import ConflictError, IdempotencyConflictError, TooManyError
from app.domain.models import Pseudonym, RecordId, RequestId, Subject, SubjectStatus
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.ledger import ErasureLedger
from app.ports.persistence.requests import NewRequest, RequestMatch
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.audit.certificates import CertificateService, SaltedCommitment, commit
from app.services.concurrency import InFlightAnswers
from app.services.erasure.lost_requests import missing
from app.services.erasure.new_request import leaves_of, require_possible, require_room, suppressed
from app.services.erasure.scope_resolution import ScopeResolver, entries_in_scope
from app.services.ingestion.tombstone_filter import tombstones

_JOIN_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """What is asked for.

    Args:
        idempotency_key: the caller's; the same key gives the same request.
        subject_request_id: OpenDSR's id of the request, unique as well.
        about: commitment to the caller's user id, made at the edge, where the id is known; None
            commits to the pseudonym.
        requested_at: when the person asked; not in the future, at most a year ago. None: now.
        is_replay: whether it repeats an erasure that a restored backup does not know.
    """

    pseudonym: Pseudonym
    scope: Scope
    reason: Reason | None = None
    idempotency_key: str | None = None
    subject_request_id: str | None = None
    about: SaltedCommitment | None = None
    requested_at: datetime | None = None
    is_replay: bool = False


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
    """Accepts erasure requests and reports their state."""

    def __init__(
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
    ) -> None:
        self._in_flight = in_flight
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
        require_possible(command.requested_at, now=self._clock.now())
        about = self._resolver.about(command.pseudonym, command.scope)
        for _ in range(_JOIN_ATTEMPTS):
            try:
                with self._uows.write() as uow:
                    accepted = self._accept(uow, command, about=frozenset(about))
            except (IdempotencyConflictError, TooManyError):
                raise
            except ConflictError:
                # Another post with the same key committed first: the next round finds it.
                continue
            self._in_flight.wait(command.pseudonym)
            return accepted
        raise ConflictError("too many posts with the same key at once; send it again")

    def _accept(
        self, uow: UnitOfWork, command: ForgetCommand, *, about: frozenset[RecordId]
    ) -> Acceptance:
        body_hash = self._body_hash(command)
        subject = uow.subjects.lock(command.pseudonym)
        known = self._find(uow, command, body_hash=body_hash)
        if known is not None:
            receipt = self._certificates.receipt(uow, known.request.request_id)
            return self._answer(uow, known.request, receipt, is_new=False)
        if not command.is_replay:
            require_room(uow, command.pseudonym, command.scope, identity=self._identity)
        now = self._clock.now()
        if isinstance(command.scope, PeriodScope):
            command = replace(command, scope=command.scope.ended_by(now))
        request, n_memories = self._suppress(uow, command, about=about, subject=subject, now=now)
        uow.requests.add(self._new(command, request, body_hash=body_hash))
        stones = uow.tombstones.of([request.request_id])
        leaves = leaves_of(request, n_memories=n_memories, n_tombstones=len(stones))
        seq, _ = uow.audit.append(leaves)
        whom = command.about or commit(command.pseudonym)
        receipt = self._certificates.acknowledge(uow, request, about=whom, seq=seq, leaf=leaves[0])
        if command.is_replay:
            uow.restores.add(request.request_id)
        # A worker makes good what fails here, before it erases anything.
        uow.after_commit(partial(self._ledger.note, stones))
        uow.after_commit(self._certificates.vouch)
        uow.after_commit(partial(self._queue.ring, request.request_id))
        return self._answer(uow, request, receipt, is_new=True)

    def _suppress(
        self,
        uow: UnitOfWork,
        command: ForgetCommand,
        *,
        about: frozenset[RecordId],
        subject: Subject | None,
        now: datetime,
    ) -> tuple[ErasureRequest, int]:
        """Flag what is in scope, leave tombstones; return the request and how many memories."""
        request_id = RequestId(secrets.token_hex(16))
        is_whole_user, epoch = isinstance(command.scope, AllScope), 0
        if subject is not None:
            status = SubjectStatus.ERASING if is_whole_user else None
            epoch = uow.subjects.raise_epoch(command.pseudonym, status=status)
        # Without the words: whoever asks to be forgotten must be heard even if their key is lost.
        history = uow.interactions.history(command.pseudonym, with_texts=False)
        doomed = entries_in_scope(command.scope, history, about=about)
        uow.interactions.flag(request_id, [entry.record_id for entry in doomed])
        n_records = len(doomed)
        if is_whole_user:
            n_records += self._n_besides(uow, command.pseudonym, subject)
        stone = Tombstone(command.pseudonym, request_id, now, epoch=epoch)
        uow.tombstones.add(tombstones(self._identity, command.scope, doomed, stone=stone))
        if isinstance(command.scope, TopicScope):
            topic_id = self._identity.topic_id(command.pseudonym, command.scope.text)
            topic = Topic(topic_id, command.scope.text)
            uow.suppressions.add(command.pseudonym, topic, request_id=request_id, at=now)
        seq, scope = uow.changes.append({command.pseudonym}), command.scope
        request = suppressed(stone, scope_kind=scope.kind, seq=seq, reason=command.reason)
        # Which part it is, is told by flags and tombstones; the words would be one more trace.
        asked_at = command.requested_at or now
        request = replace(
            request,
            scope=scope if is_whole_user else None,
            requested_at=asked_at,
            due_at=due_date(asked_at),
            n_records=n_records,
        )
        return request, len(doomed)

    @staticmethod
    def _n_besides(uow: UnitOfWork, pseudonym: Pseudonym, subject: Subject | None) -> int:
        """Return how many topics and rights are held of a user besides memories."""
        topics = uow.suppressions.of([pseudonym]).get(pseudonym, ())
        return len(topics) + len(subject.rights if subject else ())

    def _body_hash(self, command: ForgetCommand) -> str:
        body: dict[str, object] = {
            "scope": scope_to_json(command.scope),
            "reason": command.reason,
            "subject_request_id": command.subject_request_id,
        }
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

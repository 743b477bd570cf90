"""What a corrected event said before is scrubbed like what is erased (GDPR Art. 16)."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from functools import partial

from app.domain.erasure.request import Tombstone
from app.domain.erasure.scope import CORRECTION
from app.domain.models import Pseudonym, RecordId, RequestId
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.persistence.requests import NewRequest
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.audit.certificates import CertificateService, Taken, commit
from app.services.concurrency import InFlightAnswers
from app.services.erasure.new_request import leaves_of, suppressed


class CorrectionService:
    """Makes an erasure request of what corrections replace; the same worker carries it out."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        certificates: CertificateService,
        in_flight: InFlightAnswers,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._certificates = certificates
        self._in_flight = in_flight
        self._clock = clock

    def supersede(
        self, uow: UnitOfWork, pseudonym: Pseudonym, record_ids: Collection[RecordId]
    ) -> None:
        """Have these rows of a user and their memories scrubbed, once ``uow`` is committed.

        The user has to be locked. From the commit on no answer leaves that was made from them.
        No tombstone is left: the events are not erased, and another correction may come.
        """
        request_id = RequestId(secrets.token_hex(16))
        epoch = uow.subjects.raise_epoch(pseudonym, status=None)
        stone = Tombstone(pseudonym, request_id, self._clock.now(), epoch=epoch)
        uow.interactions.supersede(request_id, record_ids, of=[pseudonym])
        seq = uow.changes.append({pseudonym})
        request = suppressed(stone, scope_kind=CORRECTION, seq=seq)
        request = replace(request, requested_at=request.received_at, n_records=len(record_ids))
        uow.requests.add(NewRequest(request))
        leaves = leaves_of(request, n_memories=len(record_ids))
        self._certificates.acknowledge(uow, [Taken(request, commit(pseudonym), leaves)])
        uow.after_commit(lambda: self._let_leave(pseudonym))
        uow.after_commit(partial(self._queue.ring, request_id))

    def _let_leave(self, pseudonym: Pseudonym) -> None:
        self._in_flight.wait(pseudonym)

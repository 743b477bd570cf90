"""Finds erasure requests that no worker handles: the row is the truth, the queue only a hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from app.domain.erasure.request import ErasureRequest
from app.domain.errors import DependencyUnavailableError
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.service import CatalogueService
from app.services.erasure.worker import EraseService
from app.services.ingestion.service import IngestService

_log = structlog.get_logger(__name__)
_BATCH: Final = 100
_REPAIRS: Final = 20
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep did.

    Args:
        rung: requests put into the queue again.
        completed: requests this process finished itself.
        repaired: writes to the vector store made good, and leftovers of erasures destroyed.
    """

    rung: int = 0
    completed: int = 0
    repaired: int = 0


class SweepService:
    """Queues stalled erasure requests again, and completes deferred writes."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        queue: JobQueue,
        erase: EraseService,
        ingest: IngestService,
        catalogue: CatalogueService,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._queue = queue
        self._erase = erase
        self._ingest = ingest
        self._catalogue = catalogue
        self._clock = clock

    def sweep(self, *, take_over_after_s: float) -> SweepResult:
        """Check once everything that waits.

        Args:
            take_over_after_s: where no worker has done a task for this long, a request that has
                not moved for as long is worked on here; the others are rung for.
        """
        now = self._clock.now()
        with self._uows.read() as uow:
            ids = uow.requests.claimable(now=now, limit=_BATCH)
            waiting = [request for one in ids if (request := uow.requests.get(one)) is not None]
            seen_at = uow.processes.worker_seen_at() or _NEVER
        late = now - timedelta(seconds=take_over_after_s)
        ours = [request for request in waiting if max(request.updated_at, seen_at) <= late]
        theirs = [request for request in waiting if max(request.updated_at, seen_at) > late]
        rung = self._ring(theirs)
        completed = sum(len(self._erase.execute(request.request_id)) for request in ours)
        return SweepResult(rung=rung, completed=completed, repaired=self._repair())

    def note_worker(self) -> None:
        """Record that a queued task reached a worker, and that the worker reaches SQL."""
        with self._uows.write() as uow:
            uow.processes.note_worker(at=self._clock.now())

    def _ring(self, requests: Sequence[ErasureRequest]) -> int:
        """Queue each; after one failure the others would wait for the same outage."""
        for rung, request in enumerate(requests):
            try:
                self._queue.ring(request.request_id)
            except DependencyUnavailableError as error:
                _log.warning("doorbell_unavailable", code=error.code)
                return rung
        return len(requests)

    def _repair(self) -> int:
        repaired = 0
        try:
            repaired += self._catalogue.repair() + self._erase.tidy()
            # Where an item that many have read was corrected, their memories of it all wait.
            for _ in range(_REPAIRS):
                repaired += (written := self._ingest.repair())
                if not written:
                    break
        except DependencyUnavailableError as error:
            _log.warning("repair_deferred", code=error.code)
        return repaired

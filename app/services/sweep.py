"""Finding work that nobody does: the row is the truth, the queue only a doorbell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.job_queue import JobQueue
from app.ports.unit_of_work import UnitsOfWork
from app.services.catalogue import CatalogueService
from app.services.erase import EraseService
from app.services.ingest import IngestService

_log = structlog.get_logger(__name__)
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep did.

    Args:
        rung: requests announced again.
        completed: requests this process finished itself.
        repaired: writes to the vector store made good.
    """

    rung: int = 0
    completed: int = 0
    repaired: int = 0


class SweepService:
    """Re-issues erasure requests that do not move, and makes deferred writes good."""

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
        """Keep the collaborators."""
        self._uows = uows
        self._queue = queue
        self._erase = erase
        self._ingest = ingest
        self._catalogue = catalogue
        self._clock = clock

    def sweep(self, *, take_over_after_s: float) -> SweepResult:
        """Look once over everything that waits.

        Args:
            take_over_after_s: a request that nobody has touched for this long is worked on
                here, because no worker seems to live; the others are rung for.
        """
        now = self._clock.now()
        with self._uows.read() as uow:
            ids = uow.requests.claimable(now=now, limit=_BATCH)
            waiting = [request for one in ids if (request := uow.requests.get(one)) is not None]
        rung = completed = 0
        for request in waiting:
            if (now - request.updated_at).total_seconds() >= take_over_after_s:
                completed += self._erase.execute(request.request_id)
            else:
                self._ring(request.request_id)
                rung += 1
        return SweepResult(rung=rung, completed=completed, repaired=self._repair())

    def _ring(self, request_id: RequestId) -> None:
        try:
            self._queue.ring(request_id)
        except DependencyUnavailableError as error:
            _log.warning("doorbell_unavailable", code=error.code)

    def _repair(self) -> int:
        try:
            return self._catalogue.repair() + self._ingest.repair()
        except DependencyUnavailableError as error:
            _log.warning("repair_deferred", code=error.code)
            return 0

"""Leases on erasure requests: taken, extended, given back, given up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import ErasureRequest, RequestState, Step, share_of
from app.domain.errors import AppError, DependencyUnavailableError
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.erasure.transitions import LeaseLostError, transition

_log = structlog.get_logger(__name__)
_EXHAUSTED: Final = "attempts_exhausted"
"""Error code when every attempt died without reporting one (for example, killed its worker)."""
_MOST_FAILURES: Final = 1_000
_COUNTED: Final = "attempts_counted"
_MOST_DOUBLINGS: Final = 20  # of the back-off; a thousand would not fit a float


@dataclass(frozen=True, slots=True)
class EraseConfig:
    """Leases, attempts and batches of workers.

    Args:
        lease_s: seconds a claim holds without a heartbeat.
        heartbeat_s: seconds between heartbeats, well below ``lease_s``.
        max_attempts: claims after which a request fails and waits for an admin. Those that an
            outage ended do not count, and each retry by an admin allows one more.
        backoff_s: seconds before the second attempt; doubled for each further one.
        backoff_limit_s: most seconds between two attempts.
        batch: requests that are worked on together at most.
        share: (which, of how many): of those that wait a worker takes its node's along, so that
            each node has some to do where many wait. They are who their queues were rung for.
    """

    lease_s: float = 30.0
    heartbeat_s: float = 5.0
    max_attempts: int = 12
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    batch: int = 50
    share: tuple[int, int] = (0, 1)


Checks = Mapping[RequestId, Callable[[], None]]
"""Maps each claimed request id to a callable that raises LeaseLostError once its lease is lost."""


class ErasureLeases:
    """Claims requests for one worker, and says in SQL how its work on them ended.

    Args:
        owner: a random name of this process.
    """

    def __init__(self, *, uows: UnitsOfWork, clock: Clock, owner: str, config: EraseConfig) -> None:
        self._uows = uows
        self._clock = clock
        self._owner = owner
        self._config = config

    def claim(self, request_id: RequestId) -> list[ErasureRequest]:
        """Claim a request, and with it others that wait, to share what costs by store.

        A request that has been tried before without an outage to explain its end is worked on
        alone: it may be one that kills its worker, and would use up the others' attempts.
        """
        first = self._claim(request_id)
        if first is None:
            return []
        claimed = [first]
        if _is_untried(first, n_claims=1):
            claimed += filter(None, map(self._claim, self._waiting()))
        return [request for request in claimed if self._is_allowed(request)]

    def _claim(self, request_id: RequestId) -> ErasureRequest | None:
        now = self._clock.now()
        lease_until = now + timedelta(seconds=self._config.lease_s)
        with self._uows.write() as uow:
            return uow.requests.claim(
                request_id, owner=self._owner, now=now, lease_until=lease_until
            )

    def _waiting(self) -> list[RequestId]:
        limit, (own, n) = self._config.batch - 1, self._config.share
        with self._uows.read() as uow:
            ids = uow.requests.claimable(now=self._clock.now(), limit=n * limit)
            ours = [one for one in ids if share_of(one, n=n) == own][:limit]
            found = [request for one in ours if (request := uow.requests.get(one)) is not None]
        return [request.request_id for request in found if _is_untried(request, n_claims=0)]

    def _is_allowed(self, request: ErasureRequest) -> bool:
        """Whether the request has an attempt left; fail it if it has none."""
        if _used(request) <= self._allowed(request):
            return True
        self._fail(request, code=_EXHAUSTED)
        return False

    @contextmanager
    def held(self, claimed: Sequence[ErasureRequest]) -> Iterator[Checks]:
        """Extend the leases in the background; yield the checks that tell when one is lost."""
        stop = threading.Event()
        lost = {request.request_id: threading.Event() for request in claimed}

        def beat() -> None:
            while not stop.wait(self._config.heartbeat_s):
                held = [one for one in claimed if not lost[one.request_id].is_set()]
                for request_id in self._lost(held):
                    lost[request_id].set()

        thread = threading.Thread(target=beat, name="erasure-heartbeat", daemon=True)
        thread.start()
        try:
            yield {request_id: partial(_require, gone) for request_id, gone in lost.items()}
        finally:
            stop.set()
            thread.join()

    def _lost(self, held: Sequence[ErasureRequest]) -> list[RequestId]:
        """Extend the leases, in one transaction; return whose are lost."""
        lease_until = self._clock.now() + timedelta(seconds=self._config.lease_s)
        try:
            with self._uows.write() as uow:
                return [
                    one.request_id
                    for one in held
                    if not uow.requests.heartbeat(
                        one.request_id, fence=one.fence, lease_until=lease_until
                    )
                ]
        except DependencyUnavailableError as error:
            # One missed beat is not a lost lease; the next write finds out.
            _log.warning("erasure_heartbeat_missed", code=error.code)
            return []

    def put_off(
        self, request: ErasureRequest, error: AppError, *, at: tuple[Step, str] | None = None
    ) -> None:
        """Give a request back to be tried later, or fail it where it has been tried enough.

        Args:
            request: as it was claimed.
            error: what ended the attempt.
            at: the step it had come to, and the step's store.
        """
        step, store = at or (None, None)
        _log.warning(
            "erasure_put_off",
            request_id=request.request_id,
            attempt=request.attempts,
            code=error.code,
            cause=error.message,
            step=step,
            store=store,
        )
        is_outage = isinstance(error, DependencyUnavailableError)
        if not is_outage and _used(request) >= self._allowed(request):
            self._fail(request, code=error.code)
            return
        with self._uows.write() as uow:
            uow.requests.postpone(
                request.request_id,
                fence=request.fence,
                not_before=self._clock.now() + self._backoff(request.attempts),
                error_code=error.code,
                is_outage=is_outage,
            )

    def _backoff(self, attempts: int) -> timedelta:
        delay_s = self._config.backoff_s * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)
        return timedelta(seconds=min(delay_s, self._config.backoff_limit_s))

    def _allowed(self, request: ErasureRequest) -> int:
        """Return how many attempts there may be: one more than at the last failure, if any.

        A failed request is claimed again only because an admin retried it.
        """
        with self._uows.read() as uow:
            failures = uow.audit.page(
                after=-1,
                limit=_MOST_FAILURES,
                kind=LeafKind.FORGET_FAILED,
                request_id=request.request_id,
            )
        if not failures:
            return self._config.max_attempts
        return int(json.loads(failures[-1].body)["payload"][_COUNTED]) + 1

    def _fail(self, claimed: ErasureRequest, *, code: str) -> None:
        counted = {"attempts": claimed.attempts, _COUNTED: _used(claimed)}
        with self._uows.write() as uow:
            request = uow.requests.get(claimed.request_id)
            if request is not None and request.fence == claimed.fence:
                transition(
                    uow,
                    request,
                    RequestState.FAILED,
                    at=self._clock.now(),
                    fence=claimed.fence,
                    facts={"code": code, **counted},
                    error_code=code,
                )


def _used(request: ErasureRequest) -> int:
    return request.attempts - request.outages


def _is_untried(request: ErasureRequest, *, n_claims: int) -> bool:
    return _used(request) == n_claims


def _require(gone: threading.Event) -> None:
    if gone.is_set():
        raise LeaseLostError

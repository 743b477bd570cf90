"""Carrying out an erasure: claimed by lease, step by step, each step idempotent and journalled."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from app.domain.audit import LeafKind
from app.domain.errors import AppError, DependencyUnavailableError, IntegrityError
from app.domain.forgetting import Claim, RequestState, Step
from app.domain.models import RequestId
from app.domain.residue import ProbeReport
from app.ports.clock import Clock
from app.ports.unit_of_work import UnitsOfWork
from app.services.certification import Certification
from app.services.erasure_run import ErasureRun, LeaseLostError, OnPoint, move, pass_by
from app.services.erasure_steps import ErasureSteps

_log = structlog.get_logger(__name__)
_EXHAUSTED: Final = "attempts_exhausted"
"""Code of a request whose attempts ended without a word, as when each one killed its worker."""
_MOST_FAILURES: Final = 1_000
_COUNTED: Final = "attempts_counted"
_MOST_DOUBLINGS: Final = 20  # of the back-off; a thousand would not fit a float


@dataclass(frozen=True, slots=True)
class EraseConfig:
    """How workers work.

    Args:
        lease_s: seconds a claim holds without a heartbeat.
        heartbeat_s: seconds between heartbeats, well below ``lease_s``.
        max_attempts: claims after which a request fails and waits for an admin. Those that an
            outage ended do not count, and each retry by an admin allows one more.
        backoff_s: seconds before the second attempt; doubled for each further one.
        backoff_limit_s: most seconds between two attempts.
    """

    lease_s: float = 30.0
    heartbeat_s: float = 5.0
    max_attempts: int = 12
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0


class EraseService:
    """Works on erasure requests. Safe to call for any id, any number of times, anywhere."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        steps: ErasureSteps,
        certification: Certification,
        clock: Clock,
        owner: str,
        config: EraseConfig,
        on_point: OnPoint = pass_by,
    ) -> None:
        """Keep the collaborators; ``owner`` is a random name of this process."""
        self._uows = uows
        self._steps = steps
        self._certification = certification
        self._clock = clock
        self._owner = owner
        self._config = config
        self._on_point = on_point

    def execute(self, request_id: RequestId) -> bool:
        """Do all that is left of a request; return whether it is completed by this call.

        Nothing happens when another worker holds it or there is nothing to do. A dependency
        that is down puts the request off; too many attempts of other ends fail it.
        """
        claim = self._claim(request_id)
        if claim is None:
            return False
        if self._used(claim) > self._allowed(claim):
            self._fail(claim, code=_EXHAUSTED)
            return False
        try:
            with self._heartbeat(claim) as check:
                self._work(claim, check)
        except LeaseLostError:
            _log.warning("erasure_lease_lost", request_id=request_id)
            return False
        except AppError as error:
            self._put_off(claim, error)
            return False
        _log.info("erasure_completed", request_id=request_id, attempt=claim.request.attempts)
        return True

    def tidy(self) -> int:
        """Destroy what completed requests needed for their proof; return of how many.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """
        return self._certification.shred_leftovers()

    def _claim(self, request_id: RequestId) -> Claim | None:
        now = self._clock.now()
        lease_until = now + timedelta(seconds=self._config.lease_s)
        with self._uows.write() as uow:
            return uow.requests.claim(
                request_id, owner=self._owner, now=now, lease_until=lease_until
            )

    @contextmanager
    def _heartbeat(self, claim: Claim) -> Iterator[Callable[[], None]]:
        """Extend the lease in the background; yield a check that raises once it is lost."""
        stop, lost = threading.Event(), threading.Event()

        def beat() -> None:
            while not stop.wait(self._config.heartbeat_s):
                if not self._extend(claim):
                    lost.set()
                    return

        def check() -> None:
            if lost.is_set():
                raise LeaseLostError

        thread = threading.Thread(target=beat, name="erasure-heartbeat", daemon=True)
        thread.start()
        try:
            yield check
        finally:
            stop.set()
            thread.join()

    def _extend(self, claim: Claim) -> bool:
        lease_until = self._clock.now() + timedelta(seconds=self._config.lease_s)
        try:
            with self._uows.write() as uow:
                return uow.requests.heartbeat(
                    claim.request.request_id, fence=claim.fence, lease_until=lease_until
                )
        except DependencyUnavailableError as error:
            # One missed beat is not a lost lease; the next write finds out.
            _log.warning("erasure_heartbeat_missed", code=error.code)
            return True

    def _put_off(self, claim: Claim, error: AppError) -> None:
        request = claim.request
        _log.warning(
            "erasure_put_off",
            request_id=request.request_id,
            attempt=request.attempts,
            code=error.code,
        )
        is_outage = isinstance(error, DependencyUnavailableError)
        if not is_outage and self._used(claim) >= self._allowed(claim):
            self._fail(claim, code=error.code)
            return
        with self._uows.write() as uow:
            uow.requests.postpone(
                request.request_id,
                fence=claim.fence,
                not_before=self._clock.now() + self._backoff(request.attempts),
                error_code=error.code,
                is_outage=is_outage,
            )

    def _backoff(self, attempts: int) -> timedelta:
        delay_s = self._config.backoff_s * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)
        return timedelta(seconds=min(delay_s, self._config.backoff_limit_s))

    def _used(self, claim: Claim) -> int:
        return claim.request.attempts - claim.request.outages

    def _allowed(self, claim: Claim) -> int:
        """Return how many attempts there may be: one more than at the last failure, if any.

        A failed request is claimed again only because an admin retried it.
        """
        with self._uows.read() as uow:
            failures = uow.audit.page(
                after=-1,
                limit=_MOST_FAILURES,
                kind=LeafKind.FORGET_FAILED,
                request_id=claim.request.request_id,
            )
        if not failures:
            return self._config.max_attempts
        return int(json.loads(failures[-1].body)["payload"][_COUNTED]) + 1

    def _fail(self, claim: Claim, *, code: str) -> None:
        with self._uows.write() as uow:
            request = uow.requests.get(claim.request.request_id)
            if request is not None and request.fence == claim.fence:
                move(
                    uow,
                    request,
                    RequestState.FAILED,
                    at=self._clock.now(),
                    fence=claim.fence,
                    facts={
                        "code": code,
                        "attempts": request.attempts,
                        _COUNTED: self._used(claim),
                    },
                    error_code=code,
                )

    def _work(self, claim: Claim, check: Callable[[], None]) -> None:
        run = ErasureRun(
            uows=self._uows,
            clock=self._clock,
            claim=claim,
            check=check,
            on_point=self._on_point,
        )
        steps, certification = self._steps, self._certification
        box = certification.box(claim.request.request_id)
        order = run.order(box=box)
        run.enter(RequestState.ERASING)
        run.step(Step.DRAIN, "interaction", partial(steps.drain, order))
        # What an earlier attempt kept stands, also where it died before it could journal that.
        collect = partial(steps.collect, order) if box is None else partial(steps.kept, box)
        run.step(Step.COLLECT, "all", collect, is_repeated=box is None)
        run.step(Step.MEMORY, "memory", partial(steps.erase_memory, order))
        run.step(Step.CACHES, "cache", partial(steps.erase_cache, order))
        run.step(
            Step.KEYS, "vault", partial(steps.shred_key, order, require_fence=run.require_fence)
        )
        run.step(Step.NEIGHBOURS, "neighbours", partial(steps.await_neighbours, claim.request))
        run.step(
            Step.ROWS,
            "interaction",
            partial(
                steps.delete_rows,
                order,
                require_fence=run.require_fence,
                fence=claim.fence,
            ),
        )
        run.step(Step.MAINTENANCE, "all", partial(steps.maintain, order))
        run.enter(RequestState.SCRUBBED)
        run.enter(RequestState.VERIFYING)
        self._certify(run, claim.request.request_id)

    def _certify(self, run: ErasureRun, request_id: RequestId) -> None:
        """Search for what must be gone, and complete the request if it is."""
        box = self._certification.box(request_id)
        if box is None:
            raise IntegrityError("what the probe must look for was not kept")
        reports: list[ProbeReport] = []
        try:
            run.step(
                Step.PROBE,
                "all",
                partial(self._steps.probe, box, reports=reports),
                is_repeated=True,
            )
        except IntegrityError:
            run.start_over()
            raise
        run.complete(self._certification, box=box, probed=reports)

"""Carrying out erasures: claimed by lease, step by step, each step idempotent and journalled.

Requests that wait are worked on together: what costs by store and not by request (waiting for
other processes, cleaning files, searching them) is done once for all. Each keeps its own lease,
journal and certificate, and what one of them meets ends its own attempt only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import structlog

from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import Claim, ErasureOrder, RequestState, Step
from app.domain.erasure.residue import ProbeReport
from app.domain.errors import AppError, IntegrityError
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.certificates import CertificateService
from app.services.erasure.journal import ErasureJournal, OnPoint, Reports, pass_by
from app.services.erasure.leases import Checks, EraseConfig, ErasureLeases
from app.services.erasure.rechecks import RecheckService
from app.services.erasure.steps import ErasureSteps
from app.services.erasure.transitions import LeaseLostError

_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class _Work:
    """One request of a batch.

    Args:
        box: what the probe must look for, once it is collected.
    """

    claim: Claim
    run: ErasureJournal
    order: ErasureOrder
    box: ErasureManifest | None

    @property
    def request_id(self) -> RequestId:
        return self.claim.request.request_id


class _Once(Generic[T]):
    """An action that the first of several callers does and all share, its error, too."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action
        self._results: list[T] = []
        self._error: AppError | None = None

    def __call__(self) -> T:
        if self._error is not None:
            raise self._error
        if not self._results:
            try:
                self._results.append(self._action())
            except AppError as error:
                self._error = error
                raise
        return self._results[0]


class EraseService:
    """Works on erasure requests. Safe to call for any id, any number of times, anywhere."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        steps: ErasureSteps,
        certificates: CertificateService,
        watch: RecheckService,
        clock: Clock,
        owner: str,
        config: EraseConfig,
        on_point: OnPoint = pass_by,
    ) -> None:
        """Keep the collaborators; ``owner`` is a random name of this process."""
        self._uows = uows
        self._steps = steps
        self._certificates = certificates
        self._watch = watch
        self._clock = clock
        self._leases = ErasureLeases(uows=uows, clock=clock, owner=owner, config=config)
        self._on_point = on_point

    def execute(self, request_id: RequestId) -> frozenset[RequestId]:
        """Do all that is left of a request, and of others that wait; return what is completed.

        Nothing happens when another worker holds it or there is nothing to do. A dependency
        that is down puts a request off; too many attempts of other ends fail it.
        """
        claims = self._leases.claim(request_id)
        if not claims:
            return frozenset()
        with self._leases.held(claims) as checks:
            erased = self._each(claims, _itself, partial(self._erase, checks))
            follow = _Once(lambda: self._steps.await_neighbours([_claim_of(w) for w in erased]))
            deleted = self._each(erased, _claim_of, partial(self._delete_rows, follow))
            maintain = _Once(lambda: self._steps.maintain([work.order for work in deleted]))
            cleaned = self._each(deleted, _claim_of, partial(self._maintain, maintain))
            search = _Once(lambda: self._steps.search([_box_of(work) for work in cleaned]))
            completed = self._each(cleaned, _claim_of, partial(self._certify, search))
        return frozenset(work.request_id for work in completed)

    def tidy(self) -> int:
        """Destroy what completed requests needed for their proof; return of how many.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """
        return self._certificates.shred_leftovers()

    def _each(
        self, batch: Sequence[T], claim_of: Callable[[T], Claim], act: Callable[[T], _Work]
    ) -> list[_Work]:
        """Do ``act`` on each; return those that may go on, and end the others' attempts."""
        going_on: list[_Work] = []
        for one in batch:
            request_id = claim_of(one).request.request_id
            try:
                going_on.append(act(one))
            except LeaseLostError:
                _log.warning("erasure_lease_lost", request_id=request_id)
            except AppError as error:
                self._leases.put_off(claim_of(one), error)
        return going_on

    def _erase(self, checks: Checks, claim: Claim) -> _Work:
        """Take out of the stores, one by one, what the request is about."""
        request_id = claim.request.request_id
        run = ErasureJournal(
            uows=self._uows,
            clock=self._clock,
            claim=claim,
            check=checks[request_id],
            on_point=self._on_point,
        )
        steps = self._steps
        box = self._certificates.box(request_id)
        order = run.order(box=box)
        steps.require_alone(order)
        if claim.request.state is RequestState.SUPPRESSED:
            self._watch.witness(request_id)
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
        return _Work(claim, run, order, box)

    def _delete_rows(self, follow: Callable[[], int], work: _Work) -> _Work:
        """Once every process has taken note, delete the rows that say whom it is about."""
        run = work.run
        run.step(Step.NEIGHBOURS, "neighbours", follow)
        run.step(
            Step.ROWS,
            "interaction",
            partial(
                self._steps.delete_rows,
                work.order,
                require_fence=run.require_fence,
                fence=work.claim.fence,
            ),
        )
        return work

    def _maintain(self, maintain: Callable[[], int], work: _Work) -> _Work:
        """Clean the files, together with the others, and read what must not be in them."""
        work.run.step(Step.MAINTENANCE, "all", maintain)
        work.run.enter(RequestState.SCRUBBED)
        work.run.enter(RequestState.VERIFYING)
        self._steps.require_unnamed(work.order)
        work.box = self._certificates.box(work.request_id)
        _box_of(work)
        return work

    def _certify(self, search: Callable[[], Mapping[RequestId, Reports]], work: _Work) -> _Work:
        """Look at what the search found, and complete the request if that is nothing."""
        found: list[ProbeReport] = []

        def look() -> int:
            found[:] = search()[work.request_id]
            return self._steps.require_gone(work.order, found)

        try:
            work.run.step(Step.PROBE, "all", look, is_repeated=True)
        except IntegrityError:
            work.run.start_over()
            raise
        work.run.complete(self._certificates, box=_box_of(work), probed=found, watch=self._watch)
        _log.info(
            "erasure_completed",
            request_id=work.request_id,
            attempt=work.claim.request.attempts,
        )
        return work


def _itself(claim: Claim) -> Claim:
    return claim


def _claim_of(work: _Work) -> Claim:
    return work.claim


def _box_of(work: _Work) -> ErasureManifest:
    if work.box is None:
        raise IntegrityError("what the probe must look for was not kept")
    return work.box

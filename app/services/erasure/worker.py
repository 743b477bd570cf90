"""Carrying out erasures: claimed by lease, step by step, each step idempotent and journalled.

Requests that wait are worked on together, so that what costs by store and not by request is done
once for all. Each keeps its own lease, journal and certificate, and an error that concerns one of
them ends the attempt of that one only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import structlog

from app.domain.erasure.request import RequestState, Step
from app.domain.errors import AppError, IntegrityError
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.certificates import CertificateService
from app.services.erasure.journal import ErasureJournal, OnPoint, pass_by
from app.services.erasure.leases import EraseConfig, ErasureLeases
from app.services.erasure.rechecks import RecheckService
from app.services.erasure.steps import STEPS, ErasureSteps, StepDefinition
from app.services.erasure.transitions import LeaseLostError

_log = structlog.get_logger(__name__)


class _Shared:
    """Work that the first of several callers does; the others get its result or its error."""

    def __init__(self, action: Callable[[], int]) -> None:
        self._action = action
        self._result: int | AppError | None = None

    def __call__(self) -> int:
        if self._result is None:
            try:
                self._result = self._action()
            except AppError as error:
                self._result = error
        if isinstance(self._result, AppError):
            raise self._result
        return self._result


class EraseService:
    """Works on erasure requests. Safe to call for any id, any number of times, anywhere.

    Args:
        owner: a random name of this process.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        steps: ErasureSteps,
        certificates: CertificateService,
        rechecks: RecheckService,
        clock: Clock,
        owner: str,
        config: EraseConfig,
        on_point: OnPoint = pass_by,
    ) -> None:
        self._uows = uows
        self._steps = steps
        self._certificates = certificates
        self._rechecks = rechecks
        self._clock = clock
        self._leases = ErasureLeases(uows=uows, clock=clock, owner=owner, config=config)
        self._on_point = on_point

    def execute(self, request_id: RequestId) -> frozenset[RequestId]:
        """Do all that is left of a request, and of others that wait; return what is completed.

        Nothing happens when another worker holds it or there is nothing to do. A dependency
        that is down puts a request off; too many attempts that ended otherwise fail it.
        """
        claimed = self._leases.claim(request_id)
        if not claimed:
            return frozenset()
        with self._leases.held(claimed) as checks:
            batch = [
                ErasureJournal(
                    uows=self._uows,
                    clock=self._clock,
                    request=request,
                    check=checks[request.request_id],
                    on_point=self._on_point,
                )
                for request in claimed
            ]
            batch = self._each(batch, self._admit)
            for definition in STEPS:
                batch = self._each(batch, partial(self._prepare, definition))
                batch = self._each(
                    batch, partial(self._do, definition, self._shared(definition, batch))
                )
            batch = self._each(batch, self._complete)
            completed = frozenset(erasure.request.request_id for erasure in batch)
            self._shred_needles(completed)
        return completed

    def tidy(self) -> int:
        """Destroy what completed requests needed for their proof; return of how many.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """
        return self._certificates.shred_leftovers()

    def _each(
        self, batch: Sequence[ErasureJournal], act: Callable[[ErasureJournal], None]
    ) -> list[ErasureJournal]:
        """Do ``act`` on each; return those that may go on, and end the others' attempts."""
        going_on: list[ErasureJournal] = []
        for erasure in batch:
            try:
                act(erasure)
            except LeaseLostError:
                _log.warning("erasure_lease_lost", request_id=erasure.request.request_id)
            except AppError as error:
                self._leases.put_off(erasure.request, error, at=erasure.at)
            else:
                going_on.append(erasure)
        return going_on

    def _admit(self, erasure: ErasureJournal) -> None:
        """Read what earlier attempts left, and write the ledger before the first byte goes."""
        request = erasure.request
        erasure.manifest = self._certificates.manifest(request.request_id)
        self._steps.require_alone(erasure)
        if request.state is RequestState.SUPPRESSED:
            self._rechecks.note_in_ledger(request.request_id)

    def _prepare(self, definition: StepDefinition, erasure: ErasureJournal) -> None:
        """Enter the states of a step; before the probe, read the kept manifest once more."""
        erasure.enter(definition.enters)
        if definition.step is Step.PROBE:
            self._steps.require_unnamed(erasure)
            erasure.manifest = self._certificates.manifest(erasure.request.request_id)
            erasure.require_manifest()

    def _shared(self, definition: StepDefinition, batch: Sequence[ErasureJournal]) -> _Shared:
        together = definition.together
        return _Shared(lambda: together(self._steps, batch) if together else 0)

    def _do(self, definition: StepDefinition, shared: _Shared, erasure: ErasureJournal) -> None:
        """Do a step; what its probe finds sends the work back to the first one."""

        def act() -> int:
            touched = shared()
            return definition.each(self._steps, erasure) if definition.each else touched

        try:
            erasure.step(definition.step, definition.store, act, is_repeated=definition.is_repeated)
        except IntegrityError:
            if definition.step is Step.PROBE:
                erasure.start_over()
            raise

    def _complete(self, erasure: ErasureJournal) -> None:
        """Close the request, forget whom it was about and certify it, in one transaction.

        Raises:
            InvalidInputError: there is residue, or a search could not have found any.
            DependencyUnavailableError: the key store does not answer.
        """
        request_id, manifest = erasure.request.request_id, erasure.require_manifest()
        erasure.pass_point("complete:before")
        with self._uows.write() as uow:
            request = erasure.require_fence(uow)
            statement = self._certificates.statement(
                uow, request, manifest=manifest, reports=erasure.reports
            )
            at, facts = statement.completed_at, statement.leaf_payload()
            seq = erasure.transition(uow, RequestState.COMPLETED, at=at, facts=facts)
            self._certificates.certify(uow, statement, seq=seq)
            uow.requests.clear_subject(request_id, fence=request.fence)
            self._rechecks.keep_fingerprints(uow, manifest, at=at)
        erasure.pass_point("complete:done")
        _log.info("erasure_completed", request_id=request_id, attempt=erasure.request.attempts)

    def _shred_needles(self, completed: Collection[RequestId]) -> None:
        """Destroy what the proofs needed, once for all; what fails here ``tidy`` makes up for."""
        try:
            self._certificates.shred_needles(completed)
        except AppError as error:
            _log.warning("needles_kept", n=len(completed), code=error.code)

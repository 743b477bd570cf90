"""One claimed erasure as it moves through its states: journal, fence, audit leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.domain.audit.entries import LeafValue
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import (
    Claim,
    ErasureOrder,
    ErasureRequest,
    RequestState,
    Step,
    StepRecord,
)
from app.domain.erasure.residue import ProbeReport
from app.domain.erasure.scope import AllScope
from app.domain.errors import IntegrityError
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.audit.certificates import CertificateService
from app.services.erasure.rechecks import RecheckService
from app.services.erasure.transitions import LeaseLostError, move

_WAY: Final = (
    RequestState.SUPPRESSED,
    RequestState.ERASING,
    RequestState.SCRUBBED,
    RequestState.VERIFYING,
    RequestState.COMPLETED,
)


OnPoint = Callable[[str, int], None]
"""Called with a point of the work, such as ``memory:before``, and the attempt that passes it."""


def pass_by(_point: str, _attempt: int, /) -> None:
    """Do nothing at any point."""


Reports = Sequence[ProbeReport]


class ErasureJournal:
    """The state and journal of one claimed request; every write checks the fence."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        clock: Clock,
        claim: Claim,
        check: Callable[[], None],
        on_point: OnPoint = pass_by,
    ) -> None:
        """Read how far earlier attempts came; ``check`` raises once the lease is lost."""
        self._uows = uows
        self._clock = clock
        self._claim = claim
        self._check = check
        self._on_point = on_point
        self._request_id = claim.request.request_id
        self._state = claim.request.state
        with uows.read() as uow:
            self._done = {record.step for record in uow.requests.steps(self._request_id)}

    def order(self, *, box: ErasureManifest | None) -> ErasureOrder:
        """Return what the stores are to erase, as an earlier attempt found it if one did.

        Raises:
            IntegrityError: the row of an unfinished request has lost its subject.
        """
        if box is not None:
            return box.order
        request = self._claim.request
        if request.pseudonym is None:
            raise IntegrityError("an unfinished erasure request has no subject")
        is_whole_user = isinstance(request.scope, AllScope)
        with self._uows.read() as uow:
            record_ids = (
                uow.interactions.record_ids_of(request.pseudonym)
                if is_whole_user
                else uow.interactions.flagged(self._request_id)
            )
        return ErasureOrder(
            request_id=self._request_id,
            pseudonym=request.pseudonym,
            is_whole_user=is_whole_user,
            record_ids=tuple(record_ids),
        )

    def enter(self, target: RequestState) -> None:
        """Move on to ``target``, unless an earlier attempt was there already."""
        if _WAY.index(self._state) < _WAY.index(target):
            with self._uows.write() as uow:
                self._move(uow, target, {"attempt": self._claim.request.attempts})
            self._state = target

    def _move(self, uow: UnitOfWork, target: RequestState, facts: Mapping[str, LeafValue]) -> None:
        request = self.require_fence(uow)
        move(uow, request, target, at=self._clock.now(), fence=self._claim.fence, facts=facts)

    def step(
        self, step: Step, store: str, action: Callable[[], int], *, is_repeated: bool = False
    ) -> None:
        """Do a step and journal it, unless an earlier attempt did; or, if repeated, again."""
        self._check()
        if step in self._done and not is_repeated:
            return
        self._pass(f"{step}:before")
        started_s = self._clock.monotonic_s()
        touched = action()
        self._pass(f"{step}:done")
        self._check()
        record = StepRecord(
            request_id=self._request_id,
            step=step,
            store=store,
            touched=touched,
            duration_ms=round(1_000 * (self._clock.monotonic_s() - started_s), 3),
            attempt=self._claim.request.attempts,
            finished_at=self._clock.now(),
        )
        with self._uows.write() as uow:
            self.require_fence(uow)
            uow.requests.record_step(record)
        self._done.add(step)

    def _pass(self, point: str) -> None:
        self._on_point(point, self._claim.request.attempts)

    def require_fence(self, uow: UnitOfWork) -> ErasureRequest:
        """Return the request as it is now, once nobody has claimed it since.

        Raises:
            LeaseLostError: somebody has.
        """
        request = uow.requests.get(self._request_id)
        if request is None or request.fence != self._claim.fence:
            raise LeaseLostError
        return request

    def start_over(self) -> None:
        """Send the work back to the scrub: residue was found."""
        with self._uows.write() as uow:
            self._move(uow, RequestState.ERASING, {"residue": True})
            uow.requests.clear_steps(self._request_id)

    def complete(
        self,
        certificates: CertificateService,
        *,
        box: ErasureManifest,
        probed: Reports,
        watch: RecheckService,
    ) -> None:
        """Close the request, forget whom it was about and certify it, in one transaction.

        Raises:
            InvalidInputError: there is residue, or a search could not have found any.
            DependencyUnavailableError: the key store does not answer.
        """
        self._pass("complete:before")
        with self._uows.write() as uow:
            request = self.require_fence(uow)
            statement = certificates.statement(uow, request, box=box, reports=probed)
            seq = move(
                uow,
                request,
                RequestState.COMPLETED,
                at=statement.completed_at,
                fence=self._claim.fence,
                facts=statement.leaf_payload(),
            )
            certificates.certify(uow, statement, seq=seq)
            uow.requests.clear_subject(self._request_id, fence=self._claim.fence)
            watch.keep_fingerprints(uow, box, at=statement.completed_at)
        self._pass("complete:done")
        certificates.shred_needles(self._request_id)

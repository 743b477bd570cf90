"""One claimed erasure as its worker carries it out: state, journal, fence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final

from app.domain.audit.entries import LeafValue
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import (
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
from app.services.erasure.transitions import LeaseLostError, transition

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


class ErasureJournal:
    """One attempt at a claimed request: what is done, and what the later steps need to know.

    Every write checks that the claim's fence is still the newest.

    Args:
        request: as ``claim`` returned it.
        check: raises LeaseLostError once the lease is lost.

    ``manifest`` is what the probe must look for, None until it was collected; ``reports`` is what
    the probe found, one report a store.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        clock: Clock,
        request: ErasureRequest,
        check: Callable[[], None],
        on_point: OnPoint = pass_by,
    ) -> None:
        self._uows = uows
        self._clock = clock
        self._check = check
        self._on_point = on_point
        self._state = request.state
        self.request = request
        self.manifest: ErasureManifest | None = None
        self.reports: Sequence[ProbeReport] = ()
        self.at: tuple[Step, str] | None = None
        """The step that is being done, and the store it is done in, for the log of an outage."""

    @cached_property
    def _done(self) -> set[Step]:
        with self._uows.read() as uow:
            return {record.step for record in uow.requests.steps(self.request.request_id)}

    @cached_property
    def order(self) -> ErasureOrder:
        """What the stores are to erase, as an earlier attempt found it if one did.

        Raises:
            IntegrityError: the row of an unfinished request has lost its subject.
        """
        request = self.request
        if self.manifest is not None:
            return self.manifest.order
        if request.pseudonym is None:
            raise IntegrityError("an unfinished erasure request has no subject")
        is_whole_user = isinstance(request.scope, AllScope)
        with self._uows.read() as uow:
            record_ids = (
                uow.interactions.record_ids_of(request.pseudonym)
                if is_whole_user
                else uow.interactions.flagged(request.request_id)
            )
        return ErasureOrder(
            request_id=request.request_id,
            pseudonym=request.pseudonym,
            is_whole_user=is_whole_user,
            record_ids=tuple(record_ids),
        )

    def require_manifest(self) -> ErasureManifest:
        """Return the manifest.

        Raises:
            IntegrityError: there is none, so nothing could be searched for.
        """
        if self.manifest is None:
            raise IntegrityError("what the probe must look for was not kept")
        return self.manifest

    def enter(self, targets: Sequence[RequestState]) -> None:
        """Go on to these states, one after the other, unless an earlier attempt was there."""
        ahead = [one for one in targets if _WAY.index(self._state) < _WAY.index(one)]
        if not ahead:
            return
        with self._uows.write() as uow:
            for target in ahead:
                facts = {"attempt": self.request.attempts}
                self.transition(uow, target, at=self._clock.now(), facts=facts)
        self._state = ahead[-1]

    def transition(
        self,
        uow: UnitOfWork,
        target: RequestState,
        *,
        at: datetime,
        facts: Mapping[str, LeafValue],
    ) -> int:
        """Change the state in the caller's transaction; return the leaf's number.

        Raises:
            LeaseLostError: another worker has claimed the request since.
        """
        request = self.require_fence(uow)
        return transition(uow, request, target, at=at, fence=request.fence, facts=facts)

    def step(
        self, step: Step, store: str, action: Callable[[], int], *, is_repeated: bool = False
    ) -> None:
        """Do a step and journal it, unless an earlier attempt did; or, if repeated, again."""
        self._check()
        self.at = step, store
        if step in self._done and not is_repeated:
            return
        self.pass_point(f"{step}:before")
        started_s = self._clock.monotonic_s()
        touched = action()
        self.pass_point(f"{step}:done")
        self._check()
        record = StepRecord(
            request_id=self.request.request_id,
            step=step,
            store=store,
            touched=touched,
            duration_ms=round(1_000 * (self._clock.monotonic_s() - started_s), 3),
            attempt=self.request.attempts,
            finished_at=self._clock.now(),
        )
        with self._uows.write() as uow:
            self.require_fence(uow)
            uow.requests.record_step(record)
        self._done.add(step)

    def pass_point(self, point: str) -> None:
        """Say that the work has come to ``point``, where a test may stop the process."""
        self._on_point(point, self.request.attempts)

    def require_fence(self, uow: UnitOfWork) -> ErasureRequest:
        """Return the request as it is now.

        Raises:
            LeaseLostError: another worker has claimed it since.
        """
        request = uow.requests.get(self.request.request_id)
        if request is None or request.fence != self.request.fence:
            raise LeaseLostError
        return request

    def start_over(self) -> None:
        """Send the work back to the first step: residue was found."""
        with self._uows.write() as uow:
            facts = {"residue": True}
            self.transition(uow, RequestState.ERASING, at=self._clock.now(), facts=facts)
            uow.requests.clear_steps(self.request.request_id)

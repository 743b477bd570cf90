"""What each step of an erasure does, and the order in which the steps are done.

``STEPS``, at the end, is that order. Every step may be repeated at will.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from app.domain.erasure.request import ErasureOrder, RequestState, Step
from app.domain.erasure.residue import NeedleKind
from app.domain.erasure.scope import AllScope
from app.domain.errors import DependencyUnavailableError, IntegrityError, OtherRequestError
from app.ports.cache import Cache
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.vault import KeyVault
from app.services.audit.certificates import CertificateService
from app.services.erasure.journal import ErasureJournal
from app.services.erasure.residue_search import ResidueSearch

_log = structlog.get_logger(__name__)
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class StepsConfig:
    """Time limits of steps that wait.

    Args:
        wait_s: most seconds a step waits for other processes before the request is put off.
        drain_s: the same for writers; the rest of the batch waits meanwhile.
    """

    wait_s: float = 30.0
    drain_s: float = 2.0


class ErasureSteps:
    """The work on the stores, without any state of its own."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        cache: Cache,
        vault: KeyVault,
        search: ResidueSearch,
        certificates: CertificateService,
        clock: Clock,
        config: StepsConfig,
    ) -> None:
        self._uows = uows
        self._memory = memory
        self._cache = cache
        self._vault = vault
        self._search = search
        self._certificates = certificates
        self._clock = clock
        self._config = config

    def drain(self, erasure: ErasureJournal) -> int:
        """Wait until no memory write of the order's rows can still be under way.

        A write to the vector store that arrives after the scrub would bring the memory back.
        """
        waited = 0
        deadline_s = self._clock.monotonic_s() + self._config.drain_s
        while True:
            until = self._pending_until(erasure.order)
            if until is None or until <= self._clock.now():
                return waited
            if self._clock.monotonic_s() > deadline_s:
                raise DependencyUnavailableError("memory writes of this user are under way")
            waited += 1
            self._clock.sleep(_POLL_S)

    def _pending_until(self, order: ErasureOrder) -> datetime | None:
        with self._uows.read() as uow:
            if order.is_whole_user:
                # Rows that another request flagged first are of this user, too.
                return uow.interactions.pending_until_of(order.pseudonym)
            return uow.interactions.flagged_pending_until(order.request_id)

    def collect(self, erasure: ErasureJournal) -> int:
        """Keep, sealed, what the probe must look for; return how many needles there are.

        What an earlier attempt kept stands, also where it died before it could journal that.
        """
        if erasure.manifest is None:
            manifest = self._search.collect(erasure.order)
            self._certificates.keep(manifest)
            erasure.manifest = manifest
        return sum(erasure.manifest.needles.count(kind) for kind in NeedleKind)

    def erase_memory(self, erasure: ErasureJournal) -> int:
        """Scrub, delete and flush the memories."""
        return self._memory.erase(erasure.order)

    def erase_cache(self, erasure: ErasureJournal) -> int:
        """Drop everything cached for the user: answers may derive from the erased memories."""
        return self._cache.erase(erasure.order.pseudonym)

    def shred_key(self, erasure: ErasureJournal) -> int:
        """Destroy the user's key, and with it what old backups, logs and freed pages hold.

        Nothing is destroyed where only a part is erased: the rest is sealed by the same key.
        The fence is checked, because a worker that was frozen and wakes after another one has
        finished would destroy the key that came with a new consent.
        """
        order = erasure.order
        if not order.is_whole_user:
            return 0
        with self._uows.write() as uow:
            # Nobody makes a key meanwhile: whoever does holds this lock.
            uow.subjects.lock(order.pseudonym)
            erasure.require_fence(uow)
            # Their words are sealed by the key, and a batch of several users is read as one.
            uow.suppressions.remove_all(order.pseudonym)
            return self._vault.shred(order.pseudonym)

    def await_neighbours(self, batch: Sequence[ErasureJournal]) -> int:
        """Wait until every live process has these changes in its state and derived models.

        Returns:
            How many processes acknowledged.
        """
        deadline_s = self._clock.monotonic_s() + self._config.wait_s
        newest = max(erasure.request.change_seq for erasure in batch)
        while True:
            with self._uows.read() as uow:
                live = uow.processes.live(now=self._clock.now())
            behind = [process for process in live if process.acked_seq < newest]
            if not behind:
                return len(live)
            if self._clock.monotonic_s() > deadline_s:
                raise DependencyUnavailableError("not every process has acknowledged the change")
            self._clock.sleep(_POLL_S)

    def delete_rows(self, erasure: ErasureJournal) -> int:
        """Delete the rows, the feed entries that name the user, and for ``all`` the subject.

        From here on the sealed manifest alone knows whom the request is about.
        """
        late, order = 0, erasure.order
        with self._uows.write() as uow:
            uow.subjects.lock(order.pseudonym)
            request = erasure.require_fence(uow)
            touched = uow.interactions.delete_flagged(order.request_id)
            if order.is_whole_user:
                # A topic that the user named meanwhile was sealed by a new key.
                late = self._vault.shred(order.pseudonym)
                touched += uow.interactions.delete_all_of(order.pseudonym)
                touched += uow.suppressions.remove_all(order.pseudonym)
                touched += uow.subjects.delete(order.pseudonym)
                uow.requests.clear_subject(order.request_id, fence=request.fence)
                uow.requests.clear_final_of(order.pseudonym)
            uow.documents.drop_salt(order.request_id)
            live = uow.processes.live(now=self._clock.now())
            upto = min((process.acked_seq for process in live), default=uow.changes.head())
            touched += uow.changes.prune(upto=upto)
        return touched + late

    def maintain(self, batch: Sequence[ErasureJournal]) -> int:
        """Clean the files of every store of what was deleted in them; return bytes freed."""
        people = sorted({erasure.order.pseudonym for erasure in batch})
        freed = self._memory.maintain(people)
        mark = self._memory.mark() + 1
        self._memory.set_mark(mark)
        with self._uows.write() as uow:
            uow.restores.note_memory_mark(mark)
        self._uows.scrub(people)
        self._vault.flush()
        return freed

    def search(self, batch: Sequence[ErasureJournal]) -> int:
        """Search the bytes of every store once for all of the batch; return how many patterns."""
        needles = [erasure.require_manifest().needles for erasure in batch]
        for erasure, reports in zip(batch, self._search.search(needles), strict=True):
            erasure.reports = reports
        return sum(report.patterns for erasure in batch for report in erasure.reports)

    def require_gone(self, erasure: ErasureJournal) -> int:
        """Ask every store again, and look at what the search found.

        Returns:
            How many needles are left: 0, or an error is raised.

        Raises:
            IntegrityError: something is left, or a search did not find its canary. Nothing may
                be reported done.
        """
        order, reports = erasure.order, erasure.reports
        left = self._memory.count(order) + self._cache.count(order.pseudonym)
        if order.is_whole_user:
            left += self._vault.count(order.pseudonym)
        if left:
            raise IntegrityError("records are left after the scrub")
        unclean = [report.store for report in reports if not report.is_clean]
        if unclean:
            _log.error("residue", stores=unclean, residue=sum(one.residue for one in reports))
            raise IntegrityError(f"the probe is not satisfied with: {', '.join(unclean)}")
        return 0

    def require_unnamed(self, erasure: ErasureJournal) -> None:
        """Put an erasure of all off while another request of the user still names them.

        Raises:
            OtherRequestError: one does; the probe would find it.
        """
        order = erasure.order
        if not order.is_whole_user:
            return
        with self._uows.read() as uow:
            others = uow.requests.unfinished_of(order.pseudonym)
        if others:
            raise OtherRequestError("another request of the same user is not over")

    def require_alone(self, erasure: ErasureJournal) -> None:
        """Put an erasure of all off while a request of the user for a part is open.

        Their rows name the user, so the probe would find them; and what one of them has on hold
        must not be erased by another. A request for all no longer names anybody once its rows
        are gone, so two of these need not wait for each other.

        Raises:
            OtherRequestError: one is not over.
        """
        order = erasure.order
        if not order.is_whole_user:
            return
        with self._uows.read() as uow:
            others = uow.requests.unfinished_of(order.pseudonym)
        if any(
            one.request_id != order.request_id
            and (one.scope_kind != AllScope.kind or one.state is RequestState.ON_HOLD)
            for one in others
        ):
            raise OtherRequestError("another request of the same user is not over")


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """A step as the worker does it: first ``together``, then ``each``.

    Args:
        store: the name under which the journal keeps it.
        each: work on one erasure; returns how many records it touched.
        together: work that costs by store and not by request, done once for the whole batch; it
            counts as touched by each where there is no ``each``.
        enters: states that the request enters before.
        is_repeated: whether every attempt does it again, also where an earlier one journalled it.
    """

    step: Step
    store: str
    each: Callable[[ErasureSteps, ErasureJournal], int] | None = None
    together: Callable[[ErasureSteps, Sequence[ErasureJournal]], int] | None = None
    enters: tuple[RequestState, ...] = ()
    is_repeated: bool = False


STEPS: Final = (
    StepDefinition(Step.DRAIN, "interaction", ErasureSteps.drain, enters=(RequestState.ERASING,)),
    # Before the first byte goes: afterwards nothing may know what to look for.
    StepDefinition(Step.COLLECT, "all", ErasureSteps.collect, is_repeated=True),
    StepDefinition(Step.MEMORY, "memory", ErasureSteps.erase_memory),
    StepDefinition(Step.CACHES, "cache", ErasureSteps.erase_cache),
    StepDefinition(Step.KEYS, "vault", ErasureSteps.shred_key),
    StepDefinition(Step.NEIGHBOURS, "neighbours", together=ErasureSteps.await_neighbours),
    # Only once every process has taken note: these rows say whom it is about.
    StepDefinition(Step.ROWS, "interaction", ErasureSteps.delete_rows),
    StepDefinition(Step.MAINTENANCE, "all", together=ErasureSteps.maintain),
    # Repeated: what an earlier attempt did not find proves nothing about now.
    StepDefinition(
        Step.PROBE,
        "all",
        ErasureSteps.require_gone,
        together=ErasureSteps.search,
        enters=(RequestState.SCRUBBED, RequestState.VERIFYING),
        is_repeated=True,
    ),
)
"""The steps of an erasure in their order; completion and certificate follow."""

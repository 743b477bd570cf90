"""What each step of an erasure does to the stores; every one may be repeated at will."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import Claim, ErasureOrder, RequestState
from app.domain.erasure.residue import NeedleKind
from app.domain.erasure.scope import AllScope
from app.domain.errors import DependencyUnavailableError, IntegrityError, OtherRequestError
from app.domain.models import RequestId
from app.ports.cache import Cache
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.vault import KeyVault
from app.services.audit.certificates import CertificateService
from app.services.erasure.journal import Reports
from app.services.erasure.residue_search import ResidueSearch

_log = structlog.get_logger(__name__)
_POLL_S: Final = 0.05
RequireFence = Callable[[UnitOfWork], object]
"""Raises unless the lease is still held. A worker that was frozen and wakes after another one
finished would otherwise destroy what came with a new consent."""


@dataclass(frozen=True, slots=True)
class StepsConfig:
    """How steps wait.

    Args:
        wait_s: most seconds a step waits for other processes before it is put off.
        drain_s: the same for writers; others in the batch wait meanwhile.
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
        """Keep the collaborators."""
        self._uows = uows
        self._memory = memory
        self._cache = cache
        self._vault = vault
        self._search = search
        self._certificates = certificates
        self._clock = clock
        self._config = config

    def drain(self, order: ErasureOrder) -> int:
        """Wait until no memory write of the order's rows can still be under way.

        A write to the vector store that arrives after the scrub would bring the memory back.
        """
        waited = 0
        deadline_s = self._clock.monotonic_s() + self._config.drain_s
        while True:
            until = self._pending_until(order)
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

    def collect(self, order: ErasureOrder) -> int:
        """Keep, sealed, what the probe must look for; return how many needles there are."""
        box = self._search.collect(order)
        self._certificates.keep(box)
        return self.kept(box)

    def kept(self, box: ErasureManifest) -> int:
        """Return how many needles a box holds."""
        return sum(box.needles.count(kind) for kind in NeedleKind)

    def erase_memory(self, order: ErasureOrder) -> int:
        """Scrub, delete and flush the memories."""
        return self._memory.erase(order)

    def erase_cache(self, order: ErasureOrder) -> int:
        """Drop everything cached for the user; what was cached may rest on what must go."""
        return self._cache.erase(order.pseudonym)

    def shred_key(self, order: ErasureOrder, *, require_fence: RequireFence) -> int:
        """Destroy the user's key, and with it what old backups, logs and freed pages hold.

        Nothing is destroyed where only a part is erased: the rest is sealed by the same key.
        """
        if not order.is_whole_user:
            return 0
        with self._uows.write() as uow:
            # Nobody makes a key meanwhile: whoever does holds this lock.
            uow.subjects.lock(order.pseudonym)
            require_fence(uow)
            # Their words are sealed by the key, and a batch of several users is read as one.
            uow.suppressions.remove_all(order.pseudonym)
            return self._vault.shred(order.pseudonym)

    def maintain(self, orders: Sequence[ErasureOrder]) -> int:
        """Clean the files of every store of what was deleted in them; return bytes freed.

        Costs by store and shard, so all orders that have come this far share it.
        """
        freed = self._memory.maintain(sorted({order.pseudonym for order in orders}))
        mark = self._memory.mark() + 1
        self._memory.set_mark(mark)
        with self._uows.write() as uow:
            uow.restores.note_memory_mark(mark)
        self._uows.scrub()
        self._vault.flush()
        return freed

    def await_neighbours(self, claims: Sequence[Claim]) -> int:
        """Wait until every live process has these changes in its state and derived models.

        Returns:
            How many processes acknowledged.
        """
        deadline_s = self._clock.monotonic_s() + self._config.wait_s
        newest = max(claim.request.change_seq for claim in claims)
        while True:
            with self._uows.read() as uow:
                live = uow.processes.live(now=self._clock.now())
            behind = [process for process in live if process.acked_seq < newest]
            if not behind:
                return len(live)
            if self._clock.monotonic_s() > deadline_s:
                raise DependencyUnavailableError("not every process has acknowledged the change")
            self._clock.sleep(_POLL_S)

    def search(self, boxes: Sequence[ErasureManifest]) -> Mapping[RequestId, Reports]:
        """Search the bytes of every store once for several erasures.

        Returns:
            For each request one report a store.
        """
        reports = self._search.search([box.needles for box in boxes])
        return {box.order.request_id: found for box, found in zip(boxes, reports, strict=True)}

    def require_gone(self, order: ErasureOrder, reports: Reports) -> int:
        """Ask every store again, and look at what the search found.

        Returns:
            How many needles are left: 0, or an error is raised.

        Raises:
            IntegrityError: something is left, or a search did not find its canary. Nothing may
                be reported done.
        """
        self._require_none_left(order)
        unclean = [report.store for report in reports if not report.is_clean]
        if unclean:
            _log.error("residue", stores=unclean, residue=sum(one.residue for one in reports))
            raise IntegrityError(f"the probe is not satisfied with: {', '.join(unclean)}")
        return 0

    def _require_none_left(self, order: ErasureOrder) -> None:
        left = self._memory.count(order) + self._cache.count(order.pseudonym)
        if order.is_whole_user:
            left += self._vault.count(order.pseudonym)
        if left:
            raise IntegrityError("records are left after the scrub")

    def require_unnamed(self, order: ErasureOrder) -> None:
        """Let an erasure of all wait until no other request of the user names them.

        Raises:
            OtherRequestError: one does; the probe would find it.
        """
        if not order.is_whole_user:
            return
        with self._uows.read() as uow:
            others = uow.requests.unfinished_of(order.pseudonym)
        if others:
            raise OtherRequestError("another request of the same user is not over")

    def require_alone(self, order: ErasureOrder) -> None:
        """Let an erasure of all wait for the user's requests for a part.

        Their rows name the user, so the probe would find them; and what one of them has on hold
        must not be erased by another. A request for all no longer names anybody once its rows
        are gone, so two of these need not wait for each other.

        Raises:
            OtherRequestError: one is not over.
        """
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

    def delete_rows(self, order: ErasureOrder, *, require_fence: RequireFence, fence: int) -> int:
        """Delete the rows, the feed entries that name the user, and for ``all`` the subject.

        From here on the sealed needles alone know whom the request is about.
        """
        late = 0
        with self._uows.write() as uow:
            uow.subjects.lock(order.pseudonym)
            require_fence(uow)
            touched = uow.interactions.delete_flagged(order.request_id)
            if order.is_whole_user:
                # A topic that the user named meanwhile was sealed by a new key.
                late = self._vault.shred(order.pseudonym)
                touched += uow.interactions.delete_all_of(order.pseudonym)
                touched += uow.suppressions.remove_all(order.pseudonym)
                touched += uow.subjects.delete(order.pseudonym)
                uow.requests.clear_subject(order.request_id, fence=fence)
                uow.requests.clear_final_of(order.pseudonym)
            uow.documents.drop_salt(order.request_id)
            live = uow.processes.live(now=self._clock.now())
            upto = min((process.acked_seq for process in live), default=uow.changes.head())
            touched += uow.changes.prune(upto=upto)
        return touched + late

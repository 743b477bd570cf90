"""Searches again, days after an erasure, for what was erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure import fingerprint
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.models import RequestId
from app.ports.clock import Clock
from app.ports.ledger import ErasureLedger
from app.ports.persistence.rechecks import Recheck
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.erasure.residue_search import ResidueSearch

_log = structlog.get_logger(__name__)
_RECHECK_S: Final = 1_800.0
"""Seconds that a recheck may take before another process may do it."""
_AGAIN: Final = timedelta(hours=1)
_BATCH: Final = 100


class RecheckService:
    """Notes erasures in the ledger, and searches again for what was erased.

    Args:
        after: how long after its completion an erasure is searched for again, ascending.
        key: of the fingerprints.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        ledger: ErasureLedger,
        search: ResidueSearch,
        clock: Clock,
        after: Sequence[timedelta],
        key: bytes,
    ) -> None:
        self._uows = uows
        self._ledger = ledger
        self._search = search
        self._clock = clock
        self._after = tuple(after)
        self._key = key

    def note_in_ledger(self, request_id: RequestId) -> None:
        """Copy the request's tombstones to the ledger, which lies apart from the data.

        A backup of the data that is restored later lacks them; the ledger does not.
        """
        with self._uows.read() as uow:
            stones = uow.tombstones.of([request_id])
        self._ledger.note(stones)

    def keep_fingerprints(
        self, uow: UnitOfWork, manifest: ErasureManifest, *, at: datetime
    ) -> None:
        """Keep fingerprints of what was erased, in the transaction that completes it."""
        if not self._after:
            return
        encoded = fingerprint.encode(fingerprint.fingerprints_of(manifest.needles, key=self._key))
        recheck = Recheck(manifest.order.request_id, at, n_clean=0, fingerprints=encoded)
        uow.rechecks.add(recheck, due_at=at + self._after[0])

    def run_due(self) -> int:
        """Search again for every erasure whose time has come; return for how many.

        Each recheck leaves a leaf in the audit log. One that finds something, or does not find its
        canary, raises an alarm and is repeated; the certificate cannot be taken back.

        Raises:
            DependencyUnavailableError: a store cannot be read; the recheck is made later.
        """
        now = self._clock.now()
        until = now + timedelta(seconds=_RECHECK_S)
        with self._uows.write() as uow:
            due = uow.rechecks.take_due(now=now, until=until, limit=_BATCH)
        if not due:
            return 0
        groups = [Needles(fingerprints=fingerprint.decode(recheck.fingerprints)) for recheck in due]
        found = self._search.search(groups, key=self._key)
        with self._uows.write() as uow:
            for recheck, reports in zip(due, found, strict=True):
                self._note(uow, recheck, reports)
            n_unclean = sum(not all(one.is_clean for one in reports) for reports in found)
            if n_unclean:
                uow.rechecks.note_returned(n_unclean)
        return len(due)

    def _note(self, uow: UnitOfWork, recheck: Recheck, reports: Sequence[ProbeReport]) -> None:
        now, is_clean = self._clock.now(), all(report.is_clean for report in reports)
        facts = {
            "after_s": int((now - recheck.completed_at).total_seconds()),
            "control_found": all(report.control_found for report in reports),
            "residue": sum(report.residue for report in reports),
            "scanned_bytes": sum(report.bytes_read for report in reports),
        }
        uow.audit.append([Leaf(LeafKind.PROBE_REPEATED, now, recheck.request_id, facts)])
        n_clean = recheck.n_clean + is_clean
        if not is_clean:
            _log.error(
                "residue_returned",
                request_id=recheck.request_id,
                stores=[report.store for report in reports if not report.is_clean],
                residue=facts["residue"],
            )
            uow.rechecks.reschedule(recheck.request_id, n_clean=n_clean, due_at=now + _AGAIN)
        elif n_clean < len(self._after):
            due_at = recheck.completed_at + self._after[n_clean]
            uow.rechecks.reschedule(recheck.request_id, n_clean=n_clean, due_at=due_at)
        else:
            uow.rechecks.remove(recheck.request_id)

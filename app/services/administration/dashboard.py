"""Figures over many requests, and the state of the audit log, for the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from app.domain.audit.checkpoint import SignedCheckpoint, SignedNote, VerifierKey
from app.domain.certificates.certificate import Certificate
from app.domain.certificates.statement import ProbeFinding
from app.domain.erasure.request import ErasureRequest, RequestState
from app.domain.errors import IntegrityError, NotFoundError
from app.ports.clock import Clock
from app.ports.persistence.evidence import AnswerCount
from app.ports.persistence.feed import LiveProcess
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.signer import Signer
from app.services.audit.checkpoints import CheckpointService

N_DAYS: Final = 30
_DUE: Final = 5
_PAGE: Final = 1_000
_MOST_REQUESTS: Final = 10_000
"""Newest requests that figures are made from; bounds the time of a page."""
_MOST_CERTIFICATES: Final = 200
"""Newest certificates read for the probes' findings, one query each."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day, UTC."""

    day: date
    received: int
    completed: int


@dataclass(frozen=True, slots=True)
class StoreFindings:
    """What the searches of one store found, summed over certificates.

    Args:
        n_searches: searches, one for each certificate.
        n_controls: of these, how many found what was planted to test them.
        needles: byte patterns searched for.
        residue: patterns found that should have been gone.
    """

    store: str
    n_searches: int
    n_controls: int
    needles: int
    scanned_bytes: int
    residue: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over requests.

    Args:
        n_requests: how many newest ones ``days`` and ``durations_s`` are made from, not all
            where ``is_partial``.
        n_overdue: open requests past their due date; of all.
        due_next: open ones, the one due first before the others; a few.
        days: the last ``N_DAYS``, oldest first.
        durations_s: seconds from receipt to certificate, ascending.
        n_certificates: how many newest ones ``findings`` are made from.
    """

    count_by_state: Mapping[RequestState, int]
    n_requests: int
    is_partial: bool
    n_overdue: int
    due_next: Sequence[ErasureRequest]
    days: Sequence[Day]
    durations_s: Sequence[float]
    findings: Sequence[StoreFindings]
    n_certificates: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """Row counts of the relational stores, and the processes that serve from them.

    Args:
        feed_head: newest number of the change feed; a process that acknowledged less is behind.
        worker_seen_at: when a worker last did a task; None for never.
    """

    n_subjects: int
    n_interactions: int
    n_items: int
    n_leaves: int
    feed_head: int
    processes: Sequence[LiveProcess]
    worker_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogState:
    """The log's size, and its newest checkpoint if there is one."""

    size: int
    checkpoint: SignedCheckpoint | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a check of the log needs besides the leaves.

    Args:
        checkpoint: the newest; over the whole log unless ``refusal``.
        key: that signs now.
        rotations: notes that lead to it from the service's first key, oldest first.
        refusal: why the service refused to sign the log as it is now; None where it did not.
    """

    checkpoint: SignedCheckpoint
    key: VerifierKey
    rotations: Sequence[SignedNote]
    refusal: str | None


class DashboardService:
    """Reads for the console; only ``evidence`` writes: it signs a checkpoint."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        checkpoints: CheckpointService,
        signer: Signer,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._checkpoints = checkpoints
        self._signer = signer
        self._clock = clock

    def figures(self) -> Figures:
        """Return figures over the newest requests, in one snapshot."""
        now = self._clock.now()
        with self._uows.read() as uow:
            newest = _newest(uow)
            certificates = list(_certificates(uow, newest))
            count_by_state = uow.requests.count_by_state()
            due_next = uow.requests.due_next(before=None, limit=_DUE)
            n_overdue = uow.requests.n_overdue(now=now)
        return Figures(
            count_by_state=count_by_state,
            n_requests=len(newest),
            is_partial=sum(count_by_state.values()) > len(newest),
            n_overdue=n_overdue,
            due_next=due_next,
            days=_days(newest, today=now.date()),
            durations_s=sorted(
                (request.completed_at - request.received_at).total_seconds()
                for request in newest
                if request.completed_at is not None
            ),
            findings=_findings([one for each in certificates for one in each.statement.probes]),
            n_certificates=len(certificates),
        )

    def holdings(self) -> Holdings:
        """Return how much is held, in one snapshot."""
        with self._uows.read() as uow:
            return Holdings(
                n_subjects=uow.subjects.count(),
                n_interactions=uow.interactions.count(),
                n_items=uow.items.count(),
                n_leaves=uow.audit.size(),
                feed_head=uow.changes.head(),
                processes=uow.processes.live(now=self._clock.now()),
                worker_seen_at=uow.processes.worker_seen_at(),
            )

    def answers(self) -> Sequence[AnswerCount]:
        """Return how often lists were answered, by scenario and variant."""
        with self._uows.read() as uow:
            return uow.interactions.answers()

    def log(self) -> LogState:
        """Return the log's state."""
        with self._uows.read() as uow:
            return LogState(uow.audit.size(), uow.audit.newest_checkpoint())

    def evidence(self) -> Evidence:
        """Sign the log as it is now, and return what a check of it needs.

        A log that the service refuses to sign is evidence, too: then the newest checkpoint is
        the one from before.

        Raises:
            DependencyUnavailableError: the database or the key store does not answer.
            IntegrityError: not even the newest checkpoint can be read.
            NotFoundError: the log is empty.
        """
        refusal = None
        try:
            checkpoint = self._checkpoints.make()
        except IntegrityError as error:
            refusal = error.message
            checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            raise NotFoundError("the log is empty")
        # After the checkpoint: a rotation meanwhile adds a key and takes none away.
        signer = self._signer.current()
        return Evidence(checkpoint, signer.key, signer.rotations, refusal)


def _newest(uow: UnitOfWork) -> list[ErasureRequest]:
    """Return the newest requests, at most ``_MOST_REQUESTS``."""
    found: list[ErasureRequest] = []
    before = None
    while len(found) < _MOST_REQUESTS:
        page = uow.requests.page(state=None, before=before, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            break
        before = page[-1].received_at
    return found


def _certificates(uow: UnitOfWork, requests: Sequence[ErasureRequest]) -> Iterator[Certificate]:
    completed = [one for one in requests if one.state is RequestState.COMPLETED]
    for request in completed[:_MOST_CERTIFICATES]:
        documents = uow.documents.get(request.request_id)
        if documents is not None and documents.certificate is not None:
            yield Certificate.decode(documents.certificate.encode())


def _days(requests: Sequence[ErasureRequest], *, today: date) -> list[Day]:
    received = Counter(request.received_at.date() for request in requests)
    completed = Counter(
        request.completed_at.date() for request in requests if request.completed_at is not None
    )
    wanted = [today - timedelta(days=back) for back in range(N_DAYS - 1, -1, -1)]
    return [Day(day, received=received[day], completed=completed[day]) for day in wanted]


def _findings(probes: Sequence[ProbeFinding]) -> list[StoreFindings]:
    by_store: dict[str, list[ProbeFinding]] = {}
    for probe in probes:
        by_store.setdefault(probe.store, []).append(probe)
    return [
        StoreFindings(
            store=store,
            n_searches=len(found),
            n_controls=sum(probe.control_found for probe in found),
            needles=sum(probe.needles for probe in found),
            scanned_bytes=sum(probe.scanned_bytes for probe in found),
            residue=sum(probe.residue for probe in found),
        )
        for store, found in sorted(by_store.items())
    ]

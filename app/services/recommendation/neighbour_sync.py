"""Keeping the neighbours of this process equal to the interactions in SQL."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from app.domain.errors import ConflictError
from app.domain.models import Pseudonym
from app.domain.recommendation.everybody import Everybody, Rows
from app.domain.recommendation.opinion import OpinionRule
from app.domain.tally import Tally
from app.ports.clock import Clock
from app.ports.neighbours import Neighbours
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.recommendation.kept_users import KeptUsers
from app.services.recommendation.user_snapshot import UserSnapshot

_BATCH: Final = 1_000
_BEATS_PER_LEASE: Final = 3
_LOOKS: Final = 10
_REST: Final = 40
"""Times what a refresh took that pass until what was only written is worth another."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NeighbourSyncConfig:
    """How this process follows the change feed.

    Args:
        process_id: random name of this process.
        lease_s: seconds for which the process counts as live after a beat.
        fold_s: least seconds between two refreshes of derived models for what was only written.
        tell_every: rows after which a build tells how far it is.
        opinions: what speaks for an item, and so is counted.
    """

    process_id: str
    lease_s: float = 15.0
    fold_s: float = 0.0
    tell_every: int = 1_000_000
    opinions: OpinionRule = field(default_factory=OpinionRule)


class _Progress:
    """Tells how far a build is: a large one takes minutes."""

    def __init__(self, clock: Clock, *, tell_every: int) -> None:
        self._clock, self._tell_every = clock, tell_every
        self._started_s = clock.monotonic_s()

    def through(self, read: Iterable[Rows]) -> Iterator[Rows]:
        """Yield what is read."""
        n_rows = 0
        for rows in read:
            told, n_rows = n_rows // self._tell_every, n_rows + len(rows.items)
            if n_rows // self._tell_every > told:
                _log.info("neighbours_building", n_rows=n_rows, seconds=self.seconds())
            yield rows

    def seconds(self) -> float:
        """Return how long it has taken."""
        return round(self._clock.monotonic_s() - self._started_s, 3)


class NeighbourSync:
    """Follows the change feed.

    Every recommendation catches up inside its own read transaction, so its answer is never
    older than a forget that was committed before it began. The background thread refreshes
    derived models and acknowledges; an erasure completes only when every live process has.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        neighbours: Neighbours,
        kept: KeptUsers,
        topics: TopicMatcher,
        clock: Clock,
        config: NeighbourSyncConfig,
    ) -> None:
        """Follow nothing yet; ``start`` builds the state.

        What ``kept`` and ``topics`` hold of a user goes where the counts go.
        """
        self._kept = kept
        self._topics = topics
        self._uows = uows
        self._neighbours = neighbours
        self._clock = clock
        self._config = config
        self.work = Tally("built", "refreshed")
        self._lock = threading.Lock()
        self._seq = -1
        self._acked = -1
        self._beaten_s = -math.inf
        self._refreshed_s = -math.inf
        self._refresh_took_s = 0.0

    def start(self) -> None:
        """Build the neighbours from SQL, and count as live from then on."""
        with self._uows.read() as uow, self._lock:
            self._rebuild(uow)
        self.acknowledge()

    def catch_up(self, uow: UnitOfWork, *, head: int | None = None) -> None:
        """Apply every change that ``uow``'s snapshot holds and this process has not seen.

        A process that slept while the feed was pruned past it starts over from the rows.

        Args:
            uow: the snapshot.
            head: of its feed, where it is known.
        """
        if (uow.changes.head() if head is None else head) <= self._seq:
            return
        with self._lock:
            self._follow(uow)

    def keep(self, known: UserSnapshot, catalogue: CatalogueSnapshot, *, head: int) -> None:
        """Keep a user for the next answers, unless the feed has moved on since it was at ``head``.

        Whoever is followed at this moment is read once more instead of waited for.
        """
        if self._lock.acquire(blocking=False):
            try:
                if self._seq == head:
                    self._kept.keep(known, catalogue)
            finally:
                self._lock.release()

    def _follow(self, uow: UnitOfWork) -> None:
        if self._seq < uow.changes.tail():
            self._rebuild(uow)
            return
        while entries := uow.changes.since(self._seq, limit=_BATCH):
            users = sorted({entry.pseudonym for entry in entries})
            self._kept.drop(users)
            evidence = uow.interactions.evidence(users)
            if not all(evidence.values()):
                # Of somebody nothing is left; whose the meanings are, they do not say.
                self._topics.drop_meanings()
            self._neighbours.apply(
                {user: self._config.opinions.liked(said) for user, said in evidence.items()},
                at_once={entry.pseudonym for entry in entries if entry.at_once},
            )
            self._seq = entries[-1].seq

    def compare(self, *, without: Pseudonym) -> tuple[str, str]:
        """Return the hash of the state now, and of one built from the rows without a user.

        Both as of one snapshot. The build takes as long as at a start, beside the requests.

        Raises:
            ConflictError: others changed the state each time before it could be compared.
        """
        for _ in range(_LOOKS):
            with self._uows.read() as uow:
                state = self._hash_as_of(uow)
                if state is not None:
                    told = Everybody.of(uow.interactions.all_rows())
                    others = told.histories(self._config.opinions).without(without)
                    return state, self._neighbours.hash_of(others)
        raise ConflictError("the state changes too fast to be compared; ask again")

    def _hash_as_of(self, uow: UnitOfWork) -> str | None:
        """Return the state's hash as of a snapshot; None where the state is past it already."""
        head = uow.changes.head()
        with self._lock:
            self._follow(uow)
            return self._neighbours.state_hash(in_full=True) if self._seq == head else None

    def _rebuild(self, uow: UnitOfWork) -> None:
        head = uow.changes.head()
        progress = _Progress(self._clock, tell_every=self._config.tell_every)
        everybody = Everybody.of(progress.through(uow.interactions.all_rows()))
        histories = everybody.histories(self._config.opinions)
        self._kept.clear()
        self._topics.drop_meanings()
        n_users, n_pairs = len(histories.users), len(histories.cells)
        self._neighbours.build(histories)
        self._seq = head
        self.work.add("built")
        facts = {"n_users": n_users, "n_pairs": n_pairs, "seconds": progress.seconds()}
        _log.info("neighbours_built", seq=head, **facts)

    def acknowledge(self) -> int:
        """Catch up, refresh derived models, and tell the others how far this process is.

        Returns:
            The change number acknowledged: nothing removed up to it is left in any derived
            model of this process.
        """
        with self._uows.read() as uow:
            self.catch_up(uow)
        with self._lock:
            seq = self._seq
        self._fold()
        is_done = self._neighbours.is_settled() and self._neighbours.is_hashed()
        acked = seq if is_done else self._acked
        beat_due_s = self._beaten_s + self._config.lease_s / _BEATS_PER_LEASE
        if acked != self._acked or self._clock.monotonic_s() >= beat_due_s:
            self._beat(acked)
        return acked

    def _fold(self) -> None:
        """Refresh derived models: at once where something was forgotten, else now and then.

        And no more than a fortieth of the time, for a large model takes seconds of a core.
        """
        begun_s = self._clock.monotonic_s()
        due_s = self._refreshed_s + max(self._config.fold_s, _REST * self._refresh_took_s)
        is_due = not self._neighbours.is_settled() or begun_s >= due_s
        if is_due and self._neighbours.refresh():
            self._refreshed_s = self._clock.monotonic_s()
            self._refresh_took_s = self._refreshed_s - begun_s
            self.work.add("refreshed")

    def _beat(self, acked: int) -> None:
        # Without one the process counts, and serves; certificates wait until it has one.
        state_hash = self._neighbours.state_hash() if self._neighbours.is_hashed() else None
        lease_until = self._clock.now() + timedelta(seconds=self._config.lease_s)
        with self._uows.write() as uow:
            uow.processes.beat(
                self._config.process_id,
                acked_seq=acked,
                lease_until=lease_until,
                state_hash=state_hash,
            )
        self._acked = acked
        self._beaten_s = self._clock.monotonic_s()

    def prune(self) -> int:
        """Drop feed entries that every live process has acknowledged; return how many."""
        with self._uows.write() as uow:
            now = self._clock.now()
            uow.processes.remove_dead(before=now)
            live = uow.processes.live(now=now)
            upto = min((process.acked_seq for process in live), default=uow.changes.head())
            return uow.changes.prune(upto=upto)

    def stop(self) -> None:
        """Leave the list of live processes, so that no erasure waits for this one."""
        with self._uows.write() as uow:
            uow.processes.remove(self._config.process_id)

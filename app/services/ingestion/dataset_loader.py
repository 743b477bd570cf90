"""Loading a data set: batch by batch, resumable, idempotent, the good rest kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, Generic, TypeVar

from app.domain.errors import BusyError, InvalidInputError
from app.domain.models import Answered, Interaction
from app.domain.privacy.pseudonyms import Identity
from app.domain.privacy.served_list import answered_by
from app.ports.clock import Clock
from app.ports.dataset import (
    START,
    BadLine,
    Dataset,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.service import CatalogueService
from app.services.ingestion.outcomes import IngestResult, Outcome
from app.services.ingestion.service import IngestService

_BATCH: Final = 10_000
"""Large, because a batch touches nearly every shard, and a shard is written to disk whole at every
call. No larger, because a batch has to be over before the lease of its rows is (60 s)."""
_AHEAD: Final = 2
"""Batches under way at once: one in SQL, one in the vector store."""
_ATTEMPTS: Final = 12
"""Each waits 5 s for a lock: together as long as the lease of a batch's rows."""
_UNKNOWN: Final = "unknown item: load it first, or set LETHE_UNKNOWN_ITEMS=stub"
Record = TypeVar("Record", ItemRecord, InteractionRecord)


@dataclass(slots=True)
class LoadResult:
    """What became of a data set.

    Args:
        left_out: attributes of items that were loaded without them.
        bad: lines that were not loaded.
    """

    items: int = 0
    left_out: int = 0
    accepted: int = 0
    duplicate: int = 0
    updated: int = 0
    refused: int = 0
    bad: int = 0

    def count(self, result: IngestResult) -> None:
        """Add a batch's counts."""
        self.accepted += result.accepted
        self.duplicate += result.duplicate
        self.updated += result.updated
        self.refused += result.refused


@dataclass(frozen=True, slots=True)
class LoadWatcher:
    """Told of what happens.

    Args:
        moved: part (``items`` or ``interactions``), and the position reached.
        refused: a line that was not loaded, and why.
        left_out: an attribute that its item was loaded without, and why.
    """

    moved: Callable[[str, Position], None]
    refused: Callable[[BadLine], None]
    left_out: Callable[[BadLine], None]


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What became of a batch of interactions."""

    result: IngestResult = field(default_factory=IngestResult)
    bad: Sequence[BadLine] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """The watcher and the sums, kept by the thread that reads."""

    watcher: LoadWatcher
    result: LoadResult

    def refuse(self, line: BadLine) -> None:
        self.result.bad += 1
        self.watcher.refused(line)

    def leave_out(self, records: Sequence[ItemRecord], *, file: str) -> None:
        for record in records:
            for message in record.left_out:
                self.result.left_out += 1
                self.watcher.left_out(BadLine(file, record.position, message))

    def count(self, recorded: _Recorded) -> None:
        self.result.count(recorded.result)
        for line in recorded.bad:
            self.refuse(line)


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[Record]):
    """A batch as it was read, bad lines included."""

    entries: Sequence[Record | BadLine]

    def good(self, told: _Told) -> list[Record]:
        """Return the records; tell of the rest."""
        for entry in self.entries:
            if isinstance(entry, BadLine):
                told.refuse(entry)
        return [entry for entry in self.entries if not isinstance(entry, BadLine)]


class LoadService:
    """Reads data sets into the catalogue and the memories."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        catalogue: CatalogueService,
        ingest: IngestService,
        identity: Identity,
        clock: Clock,
        batch: int = _BATCH,
    ) -> None:
        """Take what it works with; ``batch`` lines are read and stored at once."""
        self._batch = batch
        self._uows = uows
        self._catalogue = catalogue
        self._ingest = ingest
        self._identity = identity
        self._clock = clock

    def load(self, dataset: Dataset, *, name: str, watcher: LoadWatcher) -> LoadResult:
        """Load ``dataset``; a load that was broken off goes on where it was.

        Args:
            dataset: what to read.
            name: under which the position is remembered, such as ``ml-100k:/data/ml-100k``.
            watcher: told of progress and of bad lines.

        Raises:
            InvalidInputError: a file cannot be read.
            DependencyUnavailableError: what was loaded until now stays; call again.
        """
        result = LoadResult()
        told = _Told(watcher, result)
        for chunk in self._chunks(dataset.items, f"{name}:items"):
            items = chunk.good(told)
            told.leave_out(items, file=dataset.file_names[0])
            if items:
                self._catalogue.upsert([record.item for record in items])
            result.items += len(items)
            self._reached(chunk, f"{name}:items", watcher)
        self._record_all(dataset, f"{name}:interactions", told)
        with self._uows.write() as uow:
            uow.loads.drop(f"{name}:items")
            uow.loads.drop(f"{name}:interactions")
        return result

    def _record_all(self, dataset: Dataset, name: str, told: _Told) -> None:
        """Record interactions, one batch ahead: rows are written while memories still are.

        The position follows the batch that is whole, so a load that breaks off does both anew.
        """
        ahead: deque[tuple[_Chunk[InteractionRecord], Future[_Recorded]]] = deque()

        def settle() -> None:
            chunk, done = ahead.popleft()
            told.count(done.result())
            self._reached(chunk, name, told.watcher)

        file = dataset.file_names[1]
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="load") as pool:
            for chunk in self._chunks(dataset.interactions, name):
                ahead.append((chunk, pool.submit(self._record, chunk.good(told), file)))
                if len(ahead) == _AHEAD:
                    settle()
            while ahead:
                settle()

    def _chunks(
        self, read: Callable[..., Iterator[Record | BadLine]], name: str
    ) -> Iterator[_Chunk[Record]]:
        iterator = self._resume(read, name)
        while entries := list(islice(iterator, self._batch)):
            yield _Chunk(entries)

    def _reached(self, chunk: _Chunk[Record], name: str, watcher: LoadWatcher) -> None:
        """Remember that everything up to the end of a chunk is stored."""
        reached = chunk.entries[-1].position
        with self._uows.write() as uow:
            now = self._clock.now()
            uow.loads.put(name, line=reached.line, offset=reached.offset, at=now)
        watcher.moved(name.rpartition(":")[2], reached)

    def _resume(
        self, read: Callable[..., Iterator[Record | BadLine]], name: str
    ) -> Iterator[Record | BadLine]:
        """Read from the remembered position, or from the start where the file has changed."""
        with self._uows.read() as uow:
            known = uow.loads.get(name)
        after = Position(*known) if known else START
        entries = read(after=after)
        try:
            first = next(entries, None)
        except InvalidInputError:
            if after == START:
                raise
            entries = read(after=START)
            first = next(entries, None)
        if first is not None:
            yield first
            yield from entries

    def _record(self, rows: list[InteractionRecord], file: str) -> _Recorded:
        good: list[InteractionRecord] = []
        answered: list[Answered | None] = []
        lines: list[BadLine] = []
        for row in rows:
            try:
                answered.append(answered_by(row.interaction, self._identity))
            except InvalidInputError as error:
                lines.append(BadLine(file, row.position, error.message))
            else:
                good.append(row)
        if not good:
            return _Recorded(bad=lines)
        interactions = self._identity.interactions([row.interaction for row in good])
        told = self._patiently(
            [
                replace(one, answered=answer) if answer else one
                for one, answer in zip(interactions, answered, strict=True)
            ]
        )
        bad = [at for at, why in told.errors if why is Outcome.UNKNOWN_ITEM]
        lines += [BadLine(file, good[at].position, _UNKNOWN) for at in bad]
        kept = [one for one in told.outcomes if one is not Outcome.UNKNOWN_ITEM]
        return _Recorded(IngestResult(kept), lines)

    def _patiently(self, interactions: Sequence[Interaction]) -> IngestResult:
        """Record a batch, again where its users were held for longer than a lock is waited for.

        The batch before mostly has the same users, and holds them until all its rows are in.
        """
        for _ in range(_ATTEMPTS - 1):
            with suppress(BusyError):
                return self._ingest.record(interactions, skip_unknown=True)
        return self._ingest.record(interactions, skip_unknown=True)

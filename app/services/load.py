"""Loading a data set: batch by batch, resumable, idempotent, the good rest kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from app.domain.errors import InvalidInputError, UnknownItemsError
from app.domain.identity import Identity
from app.ports.clock import Clock
from app.ports.dataset import (
    START,
    BadLine,
    Dataset,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.ports.unit_of_work import UnitsOfWork
from app.services.catalogue import CatalogueService
from app.services.ingest import IngestResult, IngestService

_BATCH: Final = 5_000
"""Large, because a batch touches nearly every shard, and a shard write costs by the call."""
Record = TypeVar("Record", ItemRecord, InteractionRecord)


@dataclass(slots=True)
class LoadResult:
    """What became of a data set."""

    items: int = 0
    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    bad: int = 0

    def count(self, result: IngestResult) -> None:
        """Add a batch's counts."""
        self.accepted += result.accepted
        self.duplicate += result.duplicate
        self.refused += result.refused


@dataclass(frozen=True, slots=True)
class LoadWatcher:
    """Told of what happens.

    Args:
        moved: part (``items`` or ``interactions``), and the position reached.
        refused: a line that was left out, and why.
    """

    moved: Callable[[str, Position], None]
    refused: Callable[[BadLine], None]


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
    ) -> None:
        """Keep the collaborators."""
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
        for batch in self._batches(dataset.items, f"{name}:items", watcher, result):
            result.items += len(batch)
            self._catalogue.upsert([record.item for record in batch])
        for rows in self._batches(dataset.interactions, f"{name}:interactions", watcher, result):
            self._record(rows, name, watcher, result)
        with self._uows.write() as uow:
            uow.loads.drop(f"{name}:items")
            uow.loads.drop(f"{name}:interactions")
        return result

    def _batches(
        self,
        read: Callable[..., Iterator[Record | BadLine]],
        name: str,
        watcher: LoadWatcher,
        result: LoadResult,
    ) -> Iterator[list[Record]]:
        """Yield batches; when the caller comes back for more, the last one is stored."""
        part = name.rpartition(":")[2]
        for chunk in _chunks(self._resume(read, name)):
            for entry in chunk:
                if isinstance(entry, BadLine):
                    result.bad += 1
                    watcher.refused(entry)
            good = [entry for entry in chunk if not isinstance(entry, BadLine)]
            if good:
                yield good
            reached = chunk[-1].position
            with self._uows.write() as uow:
                now = self._clock.now()
                uow.loads.put(name, line=reached.line, offset=reached.offset, at=now)
            watcher.moved(part, reached)

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

    def _record(
        self,
        rows: list[InteractionRecord],
        name: str,
        watcher: LoadWatcher,
        result: LoadResult,
    ) -> None:
        interactions = [self._identity.interaction(row.interaction) for row in rows]
        try:
            result.count(self._ingest.record(interactions))
        except UnknownItemsError as error:
            result.bad += len(error.indices)
            for index in sorted(error.indices):
                file = name.rpartition("/")[2]
                watcher.refused(BadLine(file, rows[index].position, "unknown item"))
            known = [one for i, one in enumerate(interactions) if i not in error.indices]
            if known:
                result.count(self._ingest.record(known))


def _chunks(entries: Iterable[Record | BadLine]) -> Iterator[list[Record | BadLine]]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, _BATCH)):
        yield chunk

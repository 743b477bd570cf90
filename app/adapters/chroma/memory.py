"""Memories of users in hash-sharded Chroma collections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from chromadb.api.models.Collection import Collection
from numpy.typing import NDArray

from app.adapters.chroma.control import control
from app.adapters.chroma.generations import Generation, Generations
from app.adapters.chroma.grid import on_grid
from app.adapters.chroma.layout import CollectionSpec, memory_family, shard_of
from app.adapters.chroma.maintenance_process import MaintenanceReport, run_maintenance
from app.adapters.chroma.reindex import drop_superseded, move_catalogue, reindex
from app.adapters.chroma.scrub import TEXT, batches, flush, known, scrub, with_text
from app.adapters.chroma.servers import Chroma
from app.domain.erasure.request import ErasureOrder
from app.domain.errors import (
    DependencyUnavailableError,
    FieldError,
    InvalidInputError,
    StoreDamagedError,
)
from app.domain.models import Pseudonym, RecordId
from app.ports.memory_store import Memory, Reindexed, StoreHealth

REINDEX_ABOVE: Final = 1_000
"""Dead slots up to which a shard is not worth a re-index."""
_MIN_NEIGHBORS, _MIN_WEIGHED = 4, 8
REINDEXED_AT_ONCE: Final = 2
"""Worn shards that one maintenance re-indexes at most; the others wait for the next."""


class ChromaMemoryStore:
    """MemoryStore over Chroma, embedded or on a server.

    Args:
        database: the shared client.
        spec: embedder, dimensions, number of shards (fixed for the life of the data).
        here: has the files of this machine cleaned; None: in a process of its own.
        elsewhere: have those of the other servers cleaned, each on its machine.

    Raises:
        IntegrityError: the stored vectors are another embedder's.
        DependencyUnavailableError: Chroma does not answer.
    """

    def __init__(
        self,
        database: Chroma,
        *,
        spec: CollectionSpec,
        here: Callable[[], MaintenanceReport] | None = None,
        elsewhere: Sequence[Callable[[], MaintenanceReport]] = (),
    ) -> None:
        self._database = database
        self._here = here
        self._elsewhere = elsewhere
        # Memories are read by id, never searched: each is turned by a key of its own, so a graph
        # of neighbours would say nothing. Its links cost a third of a load (ADR 0008).
        spec = replace(spec, max_neighbors=_MIN_NEIGHBORS, ef_construction=_MIN_WEIGHED)
        self._spec = spec
        families = frozenset(map(memory_family, range(spec.n_shards)))
        self._shards = Generations(database, families=families, spec=spec)

    def add(self, memories: Sequence[Memory]) -> None:
        by_family: dict[str, dict[RecordId, Memory]] = {}
        for memory in memories:
            by_family.setdefault(self._family(memory.pseudonym), {})[memory.record_id] = memory
        for family, unique in by_family.items():
            self._shards.ensure(family)
            for batch in batches(list(unique)):
                write = partial(_upsert, memories=[unique[i] for i in batch])
                self._shards.write(family, write)

    def vectors(
        self,
        pseudonym: Pseudonym,
        record_ids: Sequence[RecordId],
        *,
        within_s: float | None = None,
    ) -> dict[RecordId, NDArray[np.float32]]:
        unique, family = list(dict.fromkeys(record_ids)), self._family(pseudonym)
        with self._database.part(family).within(within_s):
            return self._shards.read(
                family,
                partial(_embeddings, ids=unique),
                default={},
                is_whole=lambda found: len(found) == len(unique),
            )

    def collect(self, order: ErasureOrder) -> list[Memory]:
        return self._shards.read(
            self._family(order.pseudonym),
            partial(_stored, order=order),
            default=[],
            is_whole=lambda _: False,
        )

    def erase(self, order: ErasureOrder) -> int:
        # Told apart by id: a re-index under way shows a record twice, in two generations.
        erased: set[RecordId] = set()
        erase = partial(_erase, order=order, dim=self._spec.dim, erased=erased)
        self._shards.write(self._family(order.pseudonym), erase)
        return len(erased)

    def count(self, order: ErasureOrder) -> int:
        return self._shards.read(
            self._family(order.pseudonym),
            partial(_n_ordered, order=order),
            default=0,
            is_whole=lambda _: False,
        )

    def maintain(self, pseudonyms: Sequence[Pseudonym]) -> int:
        """Also re-index worn shards, of any user, the most worn first, REINDEXED_AT_ONCE at most.

        A shard is worn that has more dead slots than live ones, and more than REINDEX_ABOVE.
        """
        directory = self._reachable_directory()
        drop_superseded(self._database, generations=self._shards)
        for family in sorted({self._family(pseudonym) for pseudonym in pseudonyms}):
            self._shards.write(family, flush)
        report = self._clean(directory)
        worn = self._worn(report)[:REINDEXED_AT_ONCE]
        if not worn:
            return report.bytes_freed
        for family in worn:
            reindex(self._database, generations=self._shards, family=family, directory=directory)
        return report.bytes_freed + self._clean(directory).bytes_freed

    def _clean(self, directory: Path) -> MaintenanceReport:
        """Clean the files of every server, all at once; return what was done here."""
        with ThreadPoolExecutor(max(1, len(self._elsewhere))) as pool:
            others = [pool.submit(clean) for clean in self._elsewhere]
            report = self._here() if self._here else run_maintenance(directory)
            for other in others:
                other.result()  # its damage is its own machine's to tell
        if report.damaged:
            self._database.damaged |= report.damaged
            names = ", ".join(sorted(report.damaged))
            raise StoreDamagedError(f"the files of {names} are damaged: re-index what they are of")
        return report

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        wanted = range(self._spec.n_shards) if shards is None else shards
        if not set(wanted) <= set(range(self._spec.n_shards)):
            raise InvalidInputError(FieldError("shard", f"0 to {self._spec.n_shards - 1}"))
        directory = self._reachable_directory()
        self._shards.refresh()
        held = {shard.family for shard in self._shards.all_present() if self._is_here(shard)}
        absent = {shard.family for shard in self._shards.all_present()} - held
        if shards is not None and not absent.isdisjoint(map(memory_family, shards)):
            raise InvalidInputError(
                FieldError("shard", "it lies on another server: run this there")
            )
        self._database.damaged |= run_maintenance(directory).damaged
        done = [
            reindex(self._database, generations=self._shards, family=family, directory=directory)
            for family in map(memory_family, wanted)
        ]
        move_catalogue(self._database, spec=self._spec, directory=directory)
        self._database.damaged |= run_maintenance(directory, is_compacted=shards is None).damaged
        return Reindexed(
            shards=sum(one.shards for one in done),
            copied=sum(one.copied for one in done),
            emptied=sum(one.emptied for one in done),
        )

    def misplaced(self) -> list[int]:
        self._shards.refresh()
        found = {
            shard.family
            for shard in self._shards.all_present()
            if self._is_here(shard) and not self._database.is_home(shard.collection.name)
        }
        return [shard for shard in range(self._spec.n_shards) if memory_family(shard) in found]

    def controls(self) -> list[Memory]:
        databases = self._database.all()
        if len(databases) == 1:
            return []  # whatever the canary has lies there
        return [control(database, spec=self._spec) for database in databases]

    def _is_here(self, shard: Generation) -> bool:
        return self._database.is_own(shard.collection.name)

    def owners(self) -> Iterator[dict[RecordId, Pseudonym]]:
        for generation in self._shards.all_present():
            yield self._shards.read(generation.family, _owners, default={}, is_whole=bool)

    def mark(self) -> int:
        return self._database.mark()

    def set_mark(self, mark: int) -> None:
        self._database.set_mark(mark)

    def size(self) -> int:
        damaged = self._database.damaged
        return sum(
            self._shards.read(shard.family, _n_records, default=0, is_whole=bool)
            for shard in self._shards.all_present()
            if shard.collection.name not in damaged
        )

    def health(self) -> StoreHealth:
        return StoreHealth(self._database.ping(), is_damaged=bool(self._database.damaged))

    def _reachable_directory(self) -> Path:
        directory = self._database.directory
        if directory is None:
            raise DependencyUnavailableError(
                "the vector store's files are not reachable: its persist directory is not set"
            )
        return directory

    def _family(self, pseudonym: Pseudonym) -> str:
        return memory_family(shard_of(pseudonym, n_shards=self._spec.n_shards))

    def _worn(self, report: MaintenanceReport) -> list[str]:
        """Return the worn shards, the most dead slots first."""
        here = filter(self._is_here, self._shards.all_present())
        present = {shard.collection.name: shard.family for shard in here}
        worn = [
            fill
            for fill in report.fill
            if fill.collection in present and fill.dead > max(REINDEX_ABOVE, fill.live)
        ]
        return [present[fill.collection] for fill in sorted(worn, key=lambda fill: -fill.dead)]


def _upsert(collection: Collection, *, memories: Sequence[Memory]) -> None:
    collection.upsert(
        ids=[memory.record_id for memory in memories],
        embeddings=on_grid(np.stack([memory.embedding for memory in memories])),
        # Not as documents: Chroma puts those into a full-text index, and ciphertext has no words.
        # That was half of a load's processor time.
        metadatas=[{"p": memory.pseudonym, TEXT: memory.document} for memory in memories],
    )


def _embeddings(
    collection: Collection, *, ids: Sequence[RecordId]
) -> dict[RecordId, NDArray[np.float32]]:
    found: dict[RecordId, NDArray[np.float32]] = {}
    for batch in batches(ids):
        answer = collection.get(ids=list(batch), include=["embeddings"])
        rows = on_grid(np.asarray(answer["embeddings"], dtype=np.float32))
        found.update(zip(map(RecordId, answer["ids"]), rows, strict=True))
    return found


def _ordered(collection: Collection, *, order: ErasureOrder) -> list[RecordId]:
    """Return the ids of the order, and for a whole user those of strays under the pseudonym."""
    ids = dict.fromkeys(order.record_ids)
    if order.is_whole_user:
        strays = collection.get(where={"p": order.pseudonym}, include=[])["ids"]
        ids |= dict.fromkeys(map(RecordId, strays))
    return list(ids)


def _n_ordered(collection: Collection, *, order: ErasureOrder) -> int:
    return len(known(collection, _ordered(collection, order=order)))


def _erase(collection: Collection, *, order: ErasureOrder, dim: int, erased: set[RecordId]) -> None:
    erased.update(scrub(collection, _ordered(collection, order=order), dim=dim))


def _stored(collection: Collection, *, order: ErasureOrder) -> list[Memory]:
    found: list[Memory] = []
    for batch in batches(_ordered(collection, order=order)):
        answer = collection.get(ids=list(batch), include=["embeddings", "documents", "metadatas"])
        rows = on_grid(np.asarray(answer["embeddings"], dtype=np.float32))
        found += [
            Memory(RecordId(record_id), order.pseudonym, str(facts[TEXT]), row)
            for record_id, facts, row in zip(answer["ids"], with_text(answer), rows, strict=True)
        ]
    return found


def _owners(collection: Collection) -> dict[RecordId, Pseudonym]:
    found = collection.get(include=["metadatas"])
    users = [str(metadata["p"]) for metadata in found["metadatas"] or ()]
    return dict(zip(map(RecordId, found["ids"]), map(Pseudonym, users), strict=True))


def _n_records(collection: Collection) -> int:
    return int(collection.count())

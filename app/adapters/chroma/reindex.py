"""Replaces a collection by a copy without its dead slots, while others read and write.

An HNSW index never shrinks: each erased record leaves a slot of noise. The order of the steps
keeps records from being lost or revived: the next generation exists before the records are
listed, so a later writer writes to both; erasures go to both, the present one first, so a record
that is in the copy but not in the original was erased meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.api.types import GetResult
from chromadb.errors import InternalError
from numpy.typing import NDArray

from app.adapters.chroma.client import vendor_errors
from app.adapters.chroma.generations import Generation, Generations
from app.adapters.chroma.layout import ITEMS, CollectionSpec, collection_name
from app.adapters.chroma.maintenance import locked
from app.adapters.chroma.scrub import batches, flush, scrub, with_text
from app.adapters.chroma.servers import Chroma
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.domain.models import RecordId
from app.ports.memory_store import Reindexed

LOCK_FILE: Final = "lethe-reindex.lock"
_ATTEMPTS: Final = 10
_PAUSE_S: Final = 0.02
_SAME: Final = 0.9999
"""Cosine from which two vectors are one; Chroma gives them back normalised, off by rounding."""


def reindex(
    database: Chroma, *, generations: Generations, family: str, directory: Path
) -> Reindexed:
    """Copy a family's records into its next generation, at its home, and drop the present one.

    The next maintenance removes the dropped generation's files. An interrupted copy is resumed.
    Nothing is copied from a collection whose files are damaged.

    Args:
        database: where the collections are.
        generations: the handles that readers and writers of this process use.
        family: which one.
        directory: the database's; one re-index at a time, by a lock file in it. A family that
            lies on another machine is left to that one.

    Raises:
        DependencyUnavailableError: Chroma does not answer; the present generation still stands.
        IntegrityError: the copy is not like it, which stands.
    """
    with locked(directory / LOCK_FILE):
        generations.refresh()
        present = generations.present(family)
        if present is None or not database.is_own(present.collection.name):
            return Reindexed(shards=0, copied=0, emptied=0)
        name = collection_name(family, generation=present.number + 1)
        copy = database.ensure(name, spec=generations.spec, is_ready=False)
        is_readable = present.collection.name not in database.damaged
        copied = 0
        with vendor_errors():
            if is_readable:
                copied = _fill(copy, present=present, turn=database.part(family).turn)
                _drop_erased(copy, present=present, dim=generations.spec.dim)
                _verify(copy, present=present)
            copy.modify(metadata=generations.spec.metadata(is_ready=True))
        database.drop(present.collection.name)
        generations.refresh()
        return Reindexed(shards=1, copied=copied, emptied=int(not is_readable))


def move_catalogue(database: Chroma, *, spec: CollectionSpec, directory: Path) -> None:
    """Move the catalogue's index from here to where it belongs, if its server is leaving.

    Args:
        database: where the collections are.
        spec: of any of them; embedder and dimensions are the same.
        directory: as for ``reindex``.
    """
    of_items = CollectionSpec(spec.embedder_id, spec.dim)
    index = Generations(database, families=frozenset({ITEMS}), spec=of_items)
    if not all(database.is_home(one.collection.name) for one in index.all_present()):
        reindex(database, generations=index, family=ITEMS, directory=directory)
    drop_superseded(database, generations=index)


def drop_superseded(database: Chroma, *, generations: Generations) -> int:
    """Drop older generations that an interrupted re-index has left; return how many."""
    generations.refresh()
    present = {g.family: g.number for g in generations.all_present()}
    dropped = 0
    for family, number in present.items():
        name = collection_name(family, generation=number - 1)
        if number > 1 and database.find(name) is not None:
            database.drop(name)
            dropped += 1
    return dropped


def _ids(collection: Collection) -> list[RecordId]:
    return [RecordId(i) for i in collection.get(include=[])["ids"]]


def _fill(
    copy: Collection, *, present: Generation, turn: Callable[[], AbstractContextManager[object]]
) -> int:
    ids = _ids(present.collection)
    for batch in batches(ids):
        records = _records(present.collection, ids=batch)
        if records["ids"]:
            with turn():
                copy.upsert(
                    ids=records["ids"],
                    embeddings=np.asarray(records["embeddings"], dtype=np.float32),
                    metadatas=[*with_text(records)],
                )
    return len(ids)


def _records(collection: Collection, *, ids: Sequence[RecordId]) -> GetResult:
    """Return the records of ``ids``; Chroma fails if one is deleted between its two look-ups."""
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE_S)
        with suppress(InternalError):
            return collection.get(ids=list(ids), include=["embeddings", "documents", "metadatas"])
    raise DependencyUnavailableError("the vector store does not answer")


def _drop_erased(copy: Collection, *, present: Generation, dim: int) -> None:
    erased = set(_ids(copy)) - set(_ids(present.collection))
    if erased:
        scrub(copy, sorted(erased), dim=dim)
        flush(copy)


def _verify(copy: Collection, *, present: Generation) -> None:
    """Compare what both hold; what is written or erased meanwhile is compared once more.

    Raises:
        IntegrityError: they still differ.
    """
    for _ in range(_ATTEMPTS):
        ids = _ids(present.collection)
        differing = [
            record_id
            for batch in batches(ids)
            for record_id in _differing(copy, present, ids=batch)
        ]
        if not differing:
            return
        time.sleep(_PAUSE_S)
    raise IntegrityError("the copy of a shard differs from it")


def _differing(copy: Collection, present: Generation, *, ids: Sequence[RecordId]) -> list[RecordId]:
    """Return which records the copy lacks, or has with other facts or another direction."""
    mine, theirs = (_by_id(_records(one, ids=ids)) for one in (present.collection, copy))
    return [
        record_id
        for record_id, (facts, vector) in mine.items()
        if record_id not in theirs
        or theirs[record_id][0] != facts
        or float(vector @ theirs[record_id][1]) < _SAME
    ]


def _by_id(
    found: GetResult,
) -> dict[RecordId, tuple[dict[str, str], NDArray[np.float32]]]:
    rows = np.asarray(found["embeddings"], dtype=np.float32).reshape(len(found["ids"]), -1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    facts = with_text(found)
    return dict(
        zip(map(RecordId, found["ids"]), zip(facts, rows / norms, strict=True), strict=True)
    )

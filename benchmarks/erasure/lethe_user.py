"""Lethe's store in a process of its own: ``-m benchmarks.erasure.lethe_user fill|erase DIR FILE``.

Without encryption and rotation, so that the scrub alone is measured. The process that erases writes
all records once more first (with no effect on the store), as one that has served these users.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.memory import ChromaMemoryStore
from app.domain.erasure.request import ErasureOrder
from app.domain.models import Pseudonym, RecordId, RequestId
from app.ports.memory_store import Memory
from benchmarks.erasure.plantation import DIM, Plantation

SPEC: Final = CollectionSpec("bench", DIM, n_shards=16)
_BATCH: Final = 1_000


def load(file: Path) -> Plantation:
    """Return what ``Plantation.save`` wrote."""
    rows = np.load(file)
    ids, users, texts = (tuple(rows[name].tolist()) for name in ("ids", "users", "texts"))
    return Plantation(ids=ids, users=users, texts=texts, vectors=rows["vectors"])


def fill(store: ChromaMemoryStore, plantation: Plantation) -> list[str]:
    """Write all records; return their ids."""
    memories = [
        Memory(RecordId(record_id), Pseudonym(user), text, vector)
        for record_id, user, text, vector in zip(
            plantation.ids, plantation.users, plantation.texts, plantation.vectors, strict=True
        )
    ]
    for start in range(0, len(memories), _BATCH):
        store.add(memories[start : start + _BATCH])
    return list(plantation.ids)


def erase(store: ChromaMemoryStore, plantation: Plantation) -> float:
    """Erase the leaving users one by one, clean the files once; return seconds."""
    rows = range(*plantation.leaving.indices(len(plantation.ids)))
    users = [Pseudonym(user) for user in plantation.leaving_users()]
    started = time.perf_counter()
    for user in users:
        ids = tuple(RecordId(plantation.ids[row]) for row in rows if plantation.users[row] == user)
        order = ErasureOrder(RequestId("0" * 32), user, is_whole_user=True, record_ids=ids)
        store.erase(order)
    store.maintain(users)
    return time.perf_counter() - started


if __name__ == "__main__":
    action, directory, plantation_file = sys.argv[1:]
    planted = load(Path(plantation_file))
    with ChromaDatabase.embedded(Path(directory)) as database:
        ids = fill(ChromaMemoryStore(database, spec=SPEC), planted)
    if action == "fill":
        print(json.dumps(ids))
    else:
        # The heap of a process that has served these users holds their records: the hard case.
        with ChromaDatabase.embedded(Path(directory)) as database:
            print(json.dumps(erase(ChromaMemoryStore(database, spec=SPEC), planted)))

"""Ways that Chroma itself offers to make a user leave."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chromadb
import numpy as np
from chromadb.api import ClientAPI
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings

from benchmarks.erasure.plantation import Plantation

_BATCH: Final = 1_000
_STOCK: Final = "records"


@dataclass(frozen=True, slots=True)
class Procedure:
    """How records get in and how users get out.

    Args:
        fill: writes all records.
        erase: makes the leaving users leave; returns the seconds that took.
    """

    name: str
    fill: Callable[[Path, Plantation], None]
    erase: Callable[[Path, Plantation], float]


def _stock_client(directory: Path) -> Any:  # noqa: ANN401 - its factory hides that it can be closed
    return chromadb.PersistentClient(
        path=str(directory), settings=Settings(anonymized_telemetry=False)
    )


def _insert(collection: Collection, plantation: Plantation, *, rows: np.ndarray) -> None:
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH].tolist()
        collection.add(
            ids=[plantation.ids[row] for row in batch],
            embeddings=plantation.vectors[batch],
            documents=[plantation.texts[row] for row in batch],
            metadatas=[{"user": plantation.users[row]} for row in batch],
        )


def _stock_collection(client: ClientAPI, name: str) -> Collection:
    made: Collection = client.create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    return made


def _fill_stock(directory: Path, plantation: Plantation) -> None:
    with _stock_client(directory) as client:
        rows = np.arange(len(plantation.ids))
        _insert(_stock_collection(client, _STOCK), plantation, rows=rows)


def _delete(directory: Path, plantation: Plantation) -> float:
    with _stock_client(directory) as client:
        collection = client.get_collection(_STOCK, embedding_function=None)
        started = time.perf_counter()
        for user in plantation.leaving_users():
            collection.delete(where={"user": user})
        return time.perf_counter() - started


def _delete_and_vacuum(directory: Path, plantation: Plantation) -> float:
    deleting_s = _delete(directory, plantation)
    program = Path(sys.executable).parent / "chroma"
    started = time.perf_counter()
    command = [str(program), "vacuum", "--force", "--path", str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return deleting_s + time.perf_counter() - started


def _reindex_and_drop(directory: Path, plantation: Plantation) -> float:
    left = set(range(*plantation.leaving.indices(len(plantation.ids))))
    stay = np.array([row for row in range(len(plantation.ids)) if row not in left])
    with _stock_client(directory) as client:
        started = time.perf_counter()
        _insert(_stock_collection(client, f"{_STOCK}-2"), plantation, rows=stay)
        client.delete_collection(_STOCK)
        return time.perf_counter() - started


CHROMA: Final = (
    Procedure("Chroma: delete", _fill_stock, _delete),
    Procedure("Chroma: delete, then chroma vacuum", _fill_stock, _delete_and_vacuum),
    Procedure("Chroma: copy the rest, drop the old collection", _fill_stock, _reindex_and_drop),
)

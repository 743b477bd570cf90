"""A store of memories in one SQLite file: all of its port, and nothing of anybody left behind."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.erasure.request import ErasureOrder
from app.domain.errors import DependencyUnavailableError, FieldError, InvalidInputError
from app.domain.models import Pseudonym, RecordId
from app.ports.memory_store import Memory, Reindexed, StoreHealth

_SCHEMA = """
PRAGMA journal_mode = DELETE;  -- a write-ahead log would keep what was deleted
PRAGMA secure_delete = ON;     -- overwrites with zeros what it deletes
CREATE TABLE IF NOT EXISTS memory (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, document TEXT NOT NULL, vector BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memory_owner ON memory (owner);
CREATE TABLE IF NOT EXISTS mark (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
"""
_THESE = "id IN (SELECT value FROM json_each(?))"
_ORDERED = f"{_THESE} OR (? AND owner = ?)"


class SqliteMemoryStore:
    """MemoryStore over a file. Put ``EncryptedMemoryStore`` before it, as before every other.

    Args:
        path: of the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._turn = threading.Lock()
        with self._asked() as db:
            db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, memories: Sequence[Memory]) -> None:
        rows = [
            (one.record_id, one.pseudonym, one.document, one.embedding.astype("<f4").tobytes())
            for one in memories
        ]
        with self._asked() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)", rows)
            db.execute("COMMIT")

    def vectors(
        self,
        pseudonym: Pseudonym,
        record_ids: Sequence[RecordId],
        *,
        within_s: float | None = None,  # noqa: ARG002 - a file is no server that keeps one waiting
    ) -> dict[RecordId, NDArray[np.float32]]:
        asked = f"SELECT id, vector FROM memory WHERE owner = ? AND {_THESE}"
        with self._asked() as db:
            rows = db.execute(asked, (pseudonym, json.dumps(list(record_ids)))).fetchall()
        return {RecordId(one): np.frombuffer(raw, dtype="<f4") for one, raw in rows}

    def collect(self, order: ErasureOrder) -> list[Memory]:
        asked = f"SELECT id, owner, document, vector FROM memory WHERE {_ORDERED}"
        with self._asked() as db:
            rows = db.execute(asked, _of(order)).fetchall()
        return [
            Memory(RecordId(one), Pseudonym(owner), document, np.frombuffer(raw, dtype="<f4"))
            for one, owner, document, raw in rows
        ]

    def erase(self, order: ErasureOrder) -> int:
        with self._asked() as db:
            return db.execute(f"DELETE FROM memory WHERE {_ORDERED}", _of(order)).rowcount

    def maintain(self, pseudonyms: Sequence[Pseudonym]) -> int:
        del pseudonyms  # one file holds everybody
        with self._asked() as db:
            before = self._path.stat().st_size
            db.execute("VACUUM")
            return before - self._path.stat().st_size

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        if shards is not None and set(shards) != {0}:
            raise InvalidInputError(FieldError("shard", "there is only shard 0"))
        self.maintain(())
        return Reindexed(shards=1, copied=self.size(), emptied=0)

    def misplaced(self) -> list[int]:
        return []

    def controls(self) -> list[Memory]:
        return []

    def count(self, order: ErasureOrder) -> int:
        return self._number(f"SELECT count(*) FROM memory WHERE {_ORDERED}", _of(order))

    def owners(self) -> Iterator[dict[RecordId, Pseudonym]]:
        with self._asked() as db:
            rows = db.execute("SELECT id, owner FROM memory").fetchall()
        yield {RecordId(one): Pseudonym(owner) for one, owner in rows}

    def mark(self) -> int:
        return self._number("SELECT coalesce(max(number), 0) FROM mark")

    def set_mark(self, mark: int) -> None:
        with self._asked() as db:
            db.execute("INSERT OR REPLACE INTO mark VALUES (0, ?)", (mark,))

    def size(self) -> int:
        return self._number("SELECT count(*) FROM memory")

    def health(self) -> StoreHealth:
        started = time.perf_counter()
        self._number("SELECT 1")
        return StoreHealth(latency_ms=(time.perf_counter() - started) * 1000)

    def _number(self, asked: str, given: tuple[object, ...] = ()) -> int:
        with self._asked() as db:
            return int(db.execute(asked, given).fetchone()[0])

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time; a vendor's error becomes one of ours."""
        with self._turn:
            try:
                yield self._db
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise DependencyUnavailableError("the memory store does not answer") from error


def _of(order: ErasureOrder) -> tuple[object, ...]:
    return json.dumps(list(order.record_ids)), order.is_whole_user, order.pseudonym

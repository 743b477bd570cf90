"""What neighbours would hold without anybody's lists: counts of pairs of items alone.

The first of two ways to ten million users (docs/decisions/0062). A process keeps how many users
have items i and j, sparse, and reads the list of whoever asks from SQL. A forget takes the pairs
of one user out of it; a count that falls to 0 must go, for its place alone says that somebody had
both. Up to a million users the counts are made; at ten million their number is told from a sample
of items, whose rows are counted whole.

What a start would read are the counts themselves, kept by SQL: the rate is measured on a table.

``python -m benchmarks.neighbours.host`` runs this, too.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.data import SEED, Ints
from benchmarks.neighbours.run import spread
from benchmarks.neighbours.scaling import N_ITEMS

N_FORGETS: Final = 500
N_ASKED: Final = 50
_SAMPLE: Final = 1_000
_READ: Final = 1_000_000
Data = tuple[NDArray[np.uint16], Ints]
"""The items of all users, one user's after another's, and how many each has."""
_BYTES: Final = 8
"""Of a count and the number of its item."""


class SparseCounts:
    """Row i holds the items that somebody has beside item i, and how many users have both."""

    def __init__(self, has: csr_matrix) -> None:
        """Count the pairs of a matrix of users and items."""
        counts = (has.T @ has).tocsr()
        counts.sort_indices()
        self.start: Ints = counts.indptr[:-1].astype(np.int64)
        self.length: Ints = np.diff(counts.indptr).astype(np.int64)
        self.items: NDArray[np.int32] = counts.indices.astype(np.int32, copy=False)
        self.counts: NDArray[np.int32] = counts.data.astype(np.int32, copy=False)

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self.items.nbytes + self.counts.nbytes + self.start.nbytes + self.length.nbytes

    def forget(self, items: Ints) -> None:
        """Take all pairs of a user's items out, and counts that nobody is left in."""
        items = np.sort(items)
        for item in items.tolist():
            begin, length = int(self.start[item]), int(self.length[item])
            row = slice(begin, begin + length)
            found = begin + np.searchsorted(self.items[row], items)
            self.counts[found] -= 1
            if not self.counts[found].all():
                left = np.flatnonzero(self.counts[row])
                for column in (self.items, self.counts):
                    kept = column[begin + left]
                    column[row] = 0
                    column[begin : begin + len(left)] = kept
                self.length[item] = len(left)

    def is_equal(self, other: SparseCounts) -> bool:
        """Return whether both hold the same counts."""
        if not np.array_equal(self.length, other.length):
            return False
        for item in range(len(self.length)):
            rows = [
                slice(int(s.start[item]), int(s.start[item] + s.length[item]))
                for s in (self, other)
            ]
            if not np.array_equal(self.items[rows[0]], other.items[rows[1]]):
                return False
            if not np.array_equal(self.counts[rows[0]], other.counts[rows[1]]):
                return False
        return True

    def scores(self, history: Ints) -> NDArray[np.float64]:
        """Return for each item how often it is had beside those of a history."""
        sums = np.zeros(len(self.length))
        for item in history.tolist():
            row = slice(int(self.start[item]), int(self.start[item] + self.length[item]))
            sums[self.items[row]] += self.counts[row]
        return sums


def matrix(data: Data) -> csr_matrix:
    """Return who has what, shape (n_users, 60,000)."""
    items, lengths = data
    ones, ends = np.ones(len(items), dtype=np.int32), np.concatenate([[0], np.cumsum(lengths)])
    has = csr_matrix((ones, items.astype(np.int32), ends), shape=(len(lengths), N_ITEMS))
    has.sort_indices()
    return has


def _timed(times: list[float], begun: float) -> None:
    times.append(1_000 * (time.process_time() - begun))


def measure(data: Data) -> dict[str, object]:
    """Count, forget 500 users, compare with counts of the others, and ask."""
    has, n_users = matrix(data), len(data[1])
    begun = time.process_time()
    counts = SparseCounts(has)
    counted_s = time.process_time() - begun
    gone = np.random.default_rng(SEED).permutation(n_users)[:N_FORGETS]
    size, n_counts = counts.nbytes, int(counts.length.sum())
    forgets: list[float] = []
    for user in gone.tolist():
        items = has[user].indices.astype(np.int64)
        begun = time.process_time()
        counts.forget(items)
        _timed(forgets, begun)
    asks: list[float] = []
    popular = np.argsort(-np.diff(has.tocsc().indptr))[:5_000]
    rng = np.random.default_rng(SEED)
    for _ in range(N_ASKED):
        history = rng.choice(popular, 20, replace=False)
        begun = time.process_time()
        counts.scores(history)
        _timed(asks, begun)
    others = np.setdiff1d(np.arange(n_users), gone)
    return {
        "users": n_users,
        "pairs": int(has.nnz),
        "counts": n_counts,
        "bytes": size,
        "counting_cpu_s": round(counted_s, ndigits=2),
        "forget_cpu_ms": spread(forgets),
        "rows_of_a_history_of_20_cpu_ms": spread(asks),
        "equal_to_rebuild": counts.is_equal(SparseCounts(has[others])),
        "counts_of_one": round(float((counts.counts == 1).sum() / n_counts), ndigits=3),
        **start(n_counts),
    }


def estimate(data: Data) -> dict[str, object]:
    """Count the rows of some items and tell the whole from them."""
    items, counts = data
    chosen = np.random.default_rng(SEED).choice(N_ITEMS, _SAMPLE, replace=False)
    row = np.full(N_ITEMS, -1)
    row[chosen] = np.arange(_SAMPLE)
    beside, ends = np.zeros((_SAMPLE, N_ITEMS), dtype=np.bool_), np.cumsum(counts)
    places = np.flatnonzero(row[items] >= 0)
    for at, user in zip(places.tolist(), np.searchsorted(ends, places, "right"), strict=True):
        own = slice(int(ends[user] - counts[user]), int(ends[user]))
        beside[row[items[at]], items[own]] = True
    lengths = beside.sum(axis=1)
    n_counts = round(float(np.mean(lengths)) * N_ITEMS)
    error = float(np.std(lengths)) / _SAMPLE**0.5 * N_ITEMS
    return {
        "users": len(counts),
        "pairs": len(items),
        "is_from_a_sample_of_items": _SAMPLE,
        "counts": n_counts,
        "counts_standard_error": round(error),
        "bytes": _BYTES * n_counts,
        **start(n_counts),
    }


def start(n_counts: int) -> dict[str, object]:
    """Read a million counts from SQLite, and tell how long so many take."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "counts.db")
        connection.execute(
            "CREATE TABLE counts (one INTEGER, other INTEGER, users INTEGER,"
            " PRIMARY KEY (one, other)) WITHOUT ROWID"
        )
        rows = ((at // 1_000, at % 1_000, at % 7 + 1) for at in range(_READ))
        connection.executemany("INSERT INTO counts VALUES (?, ?, ?)", rows)
        connection.commit()
        begun = time.process_time()
        read = np.fromiter(
            (number for row in connection.execute("SELECT * FROM counts") for number in row),
            dtype=np.int32,
            count=3 * _READ,
        )
        second = (time.process_time() - begun) / (len(read) // 3)
        connection.close()
    return {
        "start_cpu_us_a_count": round(1e6 * second, ndigits=2),
        "start_cpu_s_computed": round(second * n_counts),
    }

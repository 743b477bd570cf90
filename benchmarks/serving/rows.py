"""Writing a million users' rows into a filled data directory, straight into SQLite.

The rows are in the order of time, everybody's among everybody's, as they would have come in; so
reading them by user is as scattered as it would be. The service's own constraints and indexes are
built over them at the end, which is twenty times as fast as keeping them meanwhile.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.data import SEED, Ints
from benchmarks.neighbours.scaling import synthetic

N_USERS: Final = 1_000_000
_CHUNK: Final = 100_000
_SECOND: Final = 1_000_000
_BEGUN: Final = 1_767_225_600 * _SECOND
"""2026-01-01, in the microseconds that SQLite is given."""
_UNIQUE: Final = {
    "bulk_event": "pseudonym, event_key",
    "bulk_record": "record_id",
}


def name(user: int) -> str:
    """Return the pseudonym of the user with a number."""
    return hashlib.sha256(str(user).encode()).hexdigest()


def pairs(n_users: int) -> tuple[Ints, list[str], Ints]:
    """Return owners, item ids, and for each pair the number of its item; each pair once."""
    known: dict[str, int] = {}
    owners, numbers = [], []
    for user, (_, items) in enumerate(synthetic(n_users)):
        distinct = [known.setdefault(item, len(known)) for item in set(items)]
        owners.append(np.full(len(distinct), user, dtype=np.int32))
        numbers.append(np.array(distinct, dtype=np.int32))
    return np.concatenate(owners), list(known), np.concatenate(numbers)


def _rows(n_users: int) -> Iterator[tuple[object, ...]]:
    """Yield the rows of everybody in a random order."""
    owners, items, numbers = pairs(n_users)
    names = [name(user) for user in range(n_users)]
    order = np.random.default_rng(SEED).permutation(len(owners))
    for start in range(0, len(order), _CHUNK):
        part = order[start : start + _CHUNK]
        columns = zip(owners[part].tolist(), numbers[part].tolist(), strict=True)
        for at, (owner, number) in enumerate(columns, start):
            moment = _BEGUN + at * _SECOND
            yield (
                names[owner],
                f"{at:064x}",
                items[number],
                "rating",
                4.0,
                moment,
                moment,
                f"{at:032x}",
            )


def write(path: Path, *, n_users: int) -> int:
    """Write the users and their rows into a database; return how many rows."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.execute("BEGIN")
    indexes = _bare(connection)
    names = ((name(user),) for user in range(n_users))
    connection.executemany(
        "INSERT INTO subject (pseudonym, status, epoch) VALUES (?, 'active', 1)", names
    )
    columns = "pseudonym, event_key, item_id, kind, value, occurred_at, received_at, record_id"
    connection.executemany(
        f"INSERT INTO interaction ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own
        _rows(n_users),
    )
    connection.execute("COMMIT")
    for statement in indexes:
        connection.execute(statement)
        print(statement, flush=True)
    (n_rows,) = connection.execute("SELECT count(*) FROM interaction").fetchone()
    connection.close()
    return int(n_rows)


def _bare(connection: sqlite3.Connection) -> list[str]:
    """Make the table anew without constraints and indexes; return the statements that make them."""
    (made,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'interaction'"
    ).fetchone()
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master"
        " WHERE tbl_name = 'interaction' AND type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    kept = "\n".join(line for line in made.splitlines() if "UNIQUE" not in line)
    connection.execute("ALTER TABLE interaction RENAME TO before")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(kept.rstrip().removesuffix(")").rstrip().removesuffix(",") + "\n)")
    connection.execute("INSERT INTO interaction SELECT * FROM before")
    connection.execute("DROP TABLE before")
    unique = [f"CREATE UNIQUE INDEX {name} ON interaction ({of})" for name, of in _UNIQUE.items()]
    return unique + [statement for _, statement in indexes]


def main() -> None:
    """Write into ``--data-dir``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--users", type=int, default=N_USERS)
    options = parser.parse_args()
    print(write(options.data_dir / "lethe.db", n_users=options.users))


if __name__ == "__main__":
    main()

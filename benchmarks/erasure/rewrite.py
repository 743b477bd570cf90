"""What an erasure's rewriting of PostgreSQL's tables costs as they grow, and who waits for it.

An erasure writes the tables of people anew (``VACUUM (FULL)``), because PostgreSQL leaves the bytes
of deleted rows where they were. Meanwhile nobody reads what is written. Here people's rows are made
in a server of its own under the schema from before the partitions; somebody is deleted, the
service's own cleaning runs, and readers ask for a user's rows again and again, as a list does. Then
the schema is migrated, and the same is done for one person and for a batch of 50: with a reader
who lies in a partition that is written anew, and one who does not.

``python -m benchmarks.erasure.rewrite`` writes ``results/erasure_rewrite.json`` and
``docs/images/erasure_rewrite.png``; a million users take a quarter of an hour and 25 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import psycopg

from app.adapters.db import postgres_files, schema
from app.adapters.db.engine import open_engine
from app.adapters.db.session import Session
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.vault.tables import create_tables
from app.domain.models import EventKey, Interaction, Kind, Pseudonym, RecordId
from app.ports.persistence.records import NewInteraction
from benchmarks.harness import write_result
from tests.servers.postgres import started_postgres

mpl.use("Agg")
from matplotlib import pyplot as plt

SEED: Final = 20
PICTURE: Final = Path(__file__).parents[2] / "docs/images/erasure_rewrite.png"
SIZES: Final = (10_000, 100_000, 1_000_000)
PER_USER: Final = 14
BATCH: Final = 50
BEFORE: Final = "0018"
_LONGER_S: Final = 1_000.0
"""A time limit that nobody reaches: a list gives up after 5 s, and is not served."""
_REST_S: Final = 0.002
_ASKED: Final = 300
_PEOPLE: Final = """
    INSERT INTO subject (pseudonym, status, epoch)
    SELECT encode(sha256(g::text::bytea), 'hex'), 'active', 1
    FROM generate_series(0, %(users)s - 1) AS g
"""
_ROWS: Final = """
    INSERT INTO interaction
        (pseudonym, event_key, item_id, kind, value, occurred_at, received_at, record_id)
    SELECT encode(sha256((g %% %(users)s)::text::bytea), 'hex'),
        encode(sha256(g::text::bytea), 'hex'), (g %% 59999)::text, 'rating', 4,
        now() - g * interval '1 second', now(), md5(g::text)
    FROM generate_series(0, %(rows)s - 1) AS g
"""
_MADE_BY: Final = """
    SELECT format('ALTER TABLE interaction DROP CONSTRAINT %I', conname),
        format('ALTER TABLE interaction ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = 'interaction'::regclass AND contype IN ('p', 'u')
    UNION ALL
    SELECT format('DROP INDEX %I', indexname), indexdef FROM pg_indexes
    WHERE tablename = 'interaction'
        AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))
"""
_PARTITION: Final = """
    SELECT tableoid::regclass::text FROM interaction WHERE pseudonym = %s LIMIT 1
"""
_KEYS: Final = """
    INSERT INTO data_key (pseudonym, wrapped, kek_id)
    SELECT pseudonym, decode(pseudonym || pseudonym, 'hex'), 'kek' FROM subject
"""


def user(number: int) -> Pseudonym:
    """Return the pseudonym that ``fill`` gives the user of this number."""
    return Pseudonym(hashlib.sha256(str(number).encode()).hexdigest())


def fill(connection: psycopg.Connection, *, n_users: int) -> None:
    """Write everybody's rows; constraints and indexes are built over them at the end."""
    connection.execute(_PEOPLE, {"users": n_users})
    made = connection.execute(_MADE_BY).fetchall()
    for drop, _ in made:
        connection.execute(drop)
    connection.execute(_ROWS, {"users": n_users, "rows": PER_USER * n_users})
    for _, make in made:
        connection.execute(make)


@contextmanager
def opened(url: str) -> Iterator[SqlUnitsOfWork]:
    """Give the service's transactions, that wait as long as it takes."""
    uows = SqlUnitsOfWork(open_engine(url, lock_timeout_s=_LONGER_S, statement_timeout_s=_LONGER_S))
    try:
        yield uows
    finally:
        uows.close()


@contextmanager
def asking(url: str, who: Pseudonym) -> Iterator[list[float]]:
    """Read one user's rows again and again until the block ends; give the seconds waited."""
    waited, is_done = list[float](), threading.Event()
    with opened(url) as uows:

        def ask() -> None:
            while not is_done.wait(_REST_S):
                begun = time.perf_counter()
                look(uows, who)
                waited.append(time.perf_counter() - begun)

        reader = threading.Thread(target=ask)
        reader.start()
        try:
            yield waited
        finally:
            is_done.set()
            reader.join()


def look(uows: SqlUnitsOfWork, who: Pseudonym) -> None:
    """Read what a list is made from."""
    with uows.read() as uow:
        uow.subjects.get(who)
        uow.interactions.history(who, with_texts=False)
        uow.interactions.evidence([who])


def write(uows: SqlUnitsOfWork, who: Pseudonym) -> None:
    """Store a note, as the service does."""
    now = datetime.now(UTC)
    key = EventKey(hashlib.sha256(f"{who}{now}".encode()).hexdigest())
    told = Interaction(who, key, Kind.NOTE, now, text="sealed")
    row = NewInteraction(told, RecordId(key[:32]))
    with uows.write() as uow:
        uow.subjects.lock_all([who])
        uow.interactions.find([(who, key)])
        uow.interactions.add([row], pending_until=now, received_at=now)
        uow.interactions.mark_stored([row.record_id], lease=now, of=[who])


def cost(uows: SqlUnitsOfWork, action: Callable[[SqlUnitsOfWork, Pseudonym], None]) -> float:
    """Return the median milliseconds of an action, each of another user."""
    took = []
    for number in range(_ASKED):
        begun = time.perf_counter()
        action(uows, user(5_000 + number))
        took.append(time.perf_counter() - begun)
    return round(statistics.median(took) * 1_000, 2)


def read_all(uows: SqlUnitsOfWork) -> float:
    """Return the seconds in which everybody's evidence is read, as a process does at its start."""
    begun = time.perf_counter()
    with uows.read() as uow:
        for _ in uow.interactions.all_rows():
            pass
    return round(time.perf_counter() - begun, 2)


def clean(url: str, people: Sequence[Pseudonym], readers: Sequence[Pseudonym]) -> dict[str, Any]:
    """Delete people's rows and clean, beside these readers; return the seconds of each."""
    with opened(url) as uows, ExitStack() as stack:
        with uows.write() as uow:
            for one in people:
                uow.interactions.delete_all_of(one)
                uow.subjects.delete(one)
        waited = [stack.enter_context(asking(url, one)) for one in readers]
        begun = time.perf_counter()
        uows.scrub(people)
        took = time.perf_counter() - begun
        stack.close()
    return {"cleaning_s": round(took, 3), "longest_waits_s": [round(max(w), 3) for w in waited]}


def measure(url: str, *, n_users: int) -> dict[str, Any]:
    """Fill a database and clean it, before the partitions and with them."""
    schema.upgrade(url, revision=BEFORE)
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection, n_users=n_users)
    found = {"users": n_users, "rows": PER_USER * n_users}
    return found | {"before": measure_whole(url)} | migrate(url) | {"now": measure_parts(url)}


def measure_whole(url: str) -> dict[str, Any]:
    """Clean where all rows of people lie in one table."""
    with psycopg.connect(url, autocommit=True) as connection:
        size = "SELECT pg_total_relation_size('interaction')"
        (n_bytes,) = connection.execute(size).fetchone() or (0,)
    found = _costs(url) | {"table_mib": int(n_bytes) >> 20, "key_table_s": _key_table(url)}
    return found | {"one_person": clean(url, [user(0)], [user(1)])}


def migrate(url: str) -> dict[str, Any]:
    """Lay the rows on partitions, as an upgrade does."""
    begun = time.perf_counter()
    schema.upgrade(url)
    return {"migration_s": round(time.perf_counter() - begun, 1)}


def measure_parts(url: str) -> dict[str, Any]:
    """Clean where they lie on partitions."""
    found = _costs(url)
    found["one_person"] = clean(url, [user(1)], _beside(url, user(1)))
    people = [user(2 + number) for number in range(BATCH)]
    return found | {"batch": clean(url, people, _beside(url, user(2)))}


def _costs(url: str) -> dict[str, Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    with opened(url) as uows:
        found: dict[str, Any] = {"read_ms": cost(uows, look), "write_ms": cost(uows, write)}
        return found | {"everybody_s": read_all(uows)}


def _beside(url: str, who: Pseudonym) -> tuple[Pseudonym, Pseudonym]:
    """Return somebody of the same partition, and somebody of another."""
    with psycopg.connect(url) as connection:
        where = connection.execute(_PARTITION, (who,)).fetchone()
        others = {
            connection.execute(_PARTITION, (other,)).fetchone() == where: other
            for other in map(user, range(1_000, 2_000))
        }
    return others[True], others[False]


def _key_table(url: str) -> float:
    """Return the seconds that the vault's table is written anew in: a row a user."""
    engine = open_engine(url, statement_timeout_s=_LONGER_S)
    with engine.begin() as connection:
        create_tables(Session(connection, is_postgres=True))
        connection.exec_driver_sql(_KEYS)
    begun = time.perf_counter()
    postgres_files.rewrite(engine, ["data_key"])
    took = time.perf_counter() - begun
    engine.dispose()
    return round(took, 2)


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw how long a reader waits by the number of users."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    sizes = [row["users"] for row in rows]
    for when, key, reader, label in (
        ("before", "one_person", 0, "before: the whole table"),
        ("now", "batch", 0, f"{BATCH} people erased; reader in one of their partitions"),
        ("now", "one_person", 0, "one person erased; reader in the same partition"),
        ("now", "one_person", 1, "reader in another partition"),
    ):
        waits = [row[when][key]["longest_waits_s"][reader] for row in rows]
        axes.plot(sizes, waits, "o-", label=label)
    axes.set(xscale="log", yscale="log", xlabel=f"users, {PER_USER} rows each")
    axes.set_ylabel("longest wait of a reader, s")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure each size in a database of its own, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with started_postgres("max_wal_size=4GB", "maintenance_work_mem=256MB") as server:
        for n_users in options.users:
            load = round(os.getloadavg()[0], ndigits=1)
            with server.database() as url:
                rows.append(measure(url, n_users=n_users) | {"load_average": load})
            print(rows[-1], flush=True)
    print(write_result("erasure_rewrite", {"seed": SEED, "rows": rows}))
    draw(rows)


if __name__ == "__main__":
    main()

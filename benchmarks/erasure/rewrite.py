"""What an erasure's rewriting of PostgreSQL's tables costs as they grow, and who waits for it.

An erasure writes the tables of people anew (``VACUUM (FULL)``), because PostgreSQL leaves the bytes
of deleted rows where they were. Meanwhile nobody reads the table. Here people's rows are made in
a server of its own, the service's own cleaning runs, and a reader asks for one person's rows again
and again. The same rows are then laid on 64 partitions by the person, and one of these is written
anew: what a cleaning would cost that touches only the partition of whoever leaves. The service
does not do that.

``python -m benchmarks.erasure.rewrite`` writes ``results/erasure_rewrite.json`` and
``docs/images/erasure_rewrite.png``; a million users take some minutes and 15 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import psycopg

from app.adapters.db import maintenance, schema
from app.adapters.db.engine import open_engine
from benchmarks.harness import write_result
from tests.servers.postgres import started_postgres

mpl.use("Agg")
from matplotlib import pyplot as plt

SEED: Final = 20
PICTURE: Final = Path(__file__).parents[2] / "docs/images/erasure_rewrite.png"
SIZES: Final = (10_000, 100_000, 1_000_000)
PER_USER: Final = 14
N_PARTITIONS: Final = 64
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
_ONE: Final = "SELECT item_id, value FROM interaction WHERE pseudonym = %s"
_SOMEBODY: Final = "SELECT pseudonym FROM interaction LIMIT 1"
_PARTED: Final = "CREATE TABLE parted (LIKE interaction) PARTITION BY HASH (pseudonym)"
_PART: Final = """
    CREATE TABLE parted_{n} PARTITION OF parted FOR VALUES WITH (MODULUS {of}, REMAINDER {n})
"""
_INDEXED: Final = """
    CREATE UNIQUE INDEX ON parted_0 (pseudonym, event_key);
    CREATE UNIQUE INDEX ON parted_0 (record_id);
    CREATE INDEX ON parted_0 (pseudonym, occurred_at DESC, record_id);
    CREATE INDEX ON parted_0 (item_id)
"""


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
def asking(url: str) -> Iterator[list[float]]:
    """Ask for one person's rows without a rest until the block ends; give the seconds waited."""
    waited, is_done = list[float](), threading.Event()
    with psycopg.connect(url, autocommit=True) as connection:
        (who,) = connection.execute(_SOMEBODY).fetchone() or ("",)

        def ask() -> None:
            while not is_done.is_set():
                begun = time.perf_counter()
                connection.execute(_ONE, (who,)).fetchall()
                waited.append(time.perf_counter() - begun)

        reader = threading.Thread(target=ask)
        reader.start()
        try:
            yield waited
        finally:
            is_done.set()
            reader.join()


def measure(url: str, *, n_users: int) -> dict[str, object]:
    """Fill a database and clean it, whole and one partition."""
    schema.upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection, n_users=n_users)
        (size,) = connection.execute("SELECT pg_total_relation_size('interaction')").fetchone() or (
            0,
        )
        engine = open_engine(url)
        with asking(url) as waited:
            begun = time.perf_counter()
            maintenance.scrub(engine)
            whole_s = time.perf_counter() - begun
        engine.dispose()
        connection.execute(_PARTED)
        for number in range(N_PARTITIONS):
            connection.execute(_PART.format(n=number, of=N_PARTITIONS))
        connection.execute("INSERT INTO parted SELECT * FROM interaction")
        connection.execute(_INDEXED)
        begun = time.perf_counter()
        connection.execute("VACUUM (FULL) parted_0")
        part_s = time.perf_counter() - begun
    return {
        "users": n_users,
        "rows": PER_USER * n_users,
        "table_mib": round(int(size) / 2**20),
        "cleaning_s": round(whole_s, 2),
        "longest_wait_of_a_reader_s": round(max(waited), 2),
        "one_partition_s": round(part_s, 3),
    }


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw how long a table is locked by the number of users."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    sizes = [row["users"] for row in rows]
    for key, label in (
        ("longest_wait_of_a_reader_s", "as it is: a reader waits"),
        ("one_partition_s", f"one of {N_PARTITIONS} partitions (not built)"),
    ):
        axes.plot(sizes, [row[key] for row in rows], "o-", label=label)
    axes.set(xscale="log", yscale="log", xlabel="users, 14 rows each", ylabel="s")
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

"""A hundred users leave, and the files are searched for each before and after.

Each run: a user with up to 20 memories (half of them in a store of 10) is added, everything the
stores hold of them is noted, a search must find every kind of it, the user is forgotten by the
service, and a search of our own, beside the service's, must find nothing but its canary. Stock
Chroma gets the same texts and directions in a collection of its own, and its own ``delete``.

PostgreSQL's write-ahead log is no part of that (the service cannot read it, and a certificate says
so), but it is searched as well, with and without the setting under which the service retires it.

``python -m benchmarks.erasure.hundred [--minutes M] [--state FILE]`` goes on where an earlier call
stopped, and writes ``benchmarks/results/erasure_hundred.json`` when all runs are done.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chromadb
import psycopg
from chromadb.config import Settings as ChromaClientSettings

from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.db import schema
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import NeedleKind, Needles, ProbeReport
from app.domain.models import RequestId
from app.settings import Settings
from benchmarks.erasure.household import Household, opened
from benchmarks.harness import machine, write_result
from tests.servers.chroma import running_chroma
from tests.servers.postgres import PostgresServer, running_postgres

SEED: Final = 8
PER_USER: Final = 20
MODES: Final = ("embedded", "server")
DATABASES: Final = ("sqlite", "postgresql")
RUNS: Final = {10: 8, 100: 7, 1_000: 6, 10_000: 3, 100_000: 1}
"""Runs of each mode and database at a size: memories in the store; a hundred in all."""
IN_ROWS: Final = frozenset({NeedleKind.ID, NeedleKind.PSEUDONYM, NeedleKind.DOCUMENT})


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs over one filled store."""

    mode: str
    database: str
    size: int
    runs: int


def cells() -> list[Cell]:
    """Return all cells, the small ones first; a hundred runs."""
    return [
        Cell(mode, database, size, runs)
        for size, runs in RUNS.items()
        for mode in MODES
        for database in DATABASES
    ]


@contextmanager
def _settings(cell: Cell, folder: Path, stack: ExitStack) -> Iterator[tuple[Settings, Any]]:
    postgres: PostgresServer | None = None
    values: dict[str, Any] = {"data_dir": folder / "data", "chroma": {"n_shards": 16}}
    if cell.mode == "server":
        (folder / "chroma").mkdir()
        chroma = stack.enter_context(running_chroma(folder / "chroma"))
        values["chroma"] |= {"url": chroma.url, "persist_dir": folder / "chroma"}
    if cell.database == "postgresql":
        postgres = stack.enter_context(running_postgres())
        for group in ("database", "vault"):
            url = stack.enter_context(postgres.database())
            values[group] = {"url": url}
            if group == "database":
                schema.upgrade(url)
    yield Settings.model_validate(values), postgres


def _stores(settings: Settings, postgres: PostgresServer | None) -> list[ProbedStore]:
    """Return every file of the service: those that its own probe reads, and PostgreSQL's."""
    chroma = settings.chroma.persist_dir or settings.data_dir / "chroma"
    stores = [
        ProbedStore("memory", StoreFormat.CHROMA, chroma, IN_ROWS | {NeedleKind.VECTOR}),
    ]
    if postgres is None or postgres.data is None:
        for name, file in (("rows", "lethe.db"), ("vault", "vault.db")):
            control = IN_ROWS if name == "rows" else frozenset({NeedleKind.KEY})
            stores.append(ProbedStore(name, StoreFormat.SQLITE, settings.data_dir / file, control))
        return stores
    control = IN_ROWS | {NeedleKind.KEY}
    base = ProbedStore("tables", StoreFormat.DIRECTORY, postgres.data / "base", control)
    return [*stores, base]


def _search(
    stores: Sequence[ProbedStore],
    needles: Needles,
    control: Needles,
    postgres: PostgresServer | None,
) -> list[ProbeReport]:
    if postgres is not None:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")  # else tables are in the server's memory still
    (reports,) = FileProbe(stores).search([needles], control=control)
    return list(reports)


def _left_in_wal(postgres: PostgresServer | None, needles: Needles, canary: Needles) -> list[str]:
    """Return the kinds that the write-ahead log still holds."""
    if postgres is None or postgres.data is None:
        return []
    log = ProbedStore("wal", StoreFormat.DIRECTORY, postgres.data / "pg_wal", frozenset())
    ((report,),) = FileProbe([log]).search([needles], control=canary)
    return _kinds([report])


def _set_recycling(postgres: PostgresServer, *, is_on: bool) -> None:
    """Let the server reuse old segments of its log, as it does by default, or remove them."""
    wanted = "on" if is_on else "off"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET wal_recycle = {wanted}")
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute("SHOW wal_recycle").fetchone() != (wanted,):
            time.sleep(0.01)


def _needles(household: Household, name: str) -> Needles:
    user = household.user(name)
    with household.adapters.uows.read() as uow:
        ids = tuple(uow.interactions.record_ids_of(user))
    order = ErasureOrder(RequestId(""), user, is_whole_user=True, record_ids=ids)
    return household.container.search.collect(order).needles


def _kinds(reports: Sequence[ProbeReport]) -> list[str]:
    return sorted({kind.value for report in reports for kind, _ in report.left})


def run_cell(cell: Cell, *, first: int, deadline_s: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each run from ``first`` on, until the deadline."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-hundred-")))
        settings, postgres = stack.enter_context(_settings(cell, folder, stack))
        household = stack.enter_context(opened(settings))
        stock = stack.enter_context(_stock(folder / "stock"))
        n_user = min(PER_USER, cell.size // 2)
        others = {f"other-{n}": n_user for n in range(max(1, cell.size // n_user - 1))}
        household.fill(others, seed=SEED)
        stores = _stores(settings, postgres)
        canary = _needles(household, "other-0")
        for number in range(first, cell.runs):
            if time.monotonic() > deadline_s:
                return
            name = f"leaver-{number}"
            household.fill({name: n_user}, seed=SEED + number)
            needles = _needles(household, name)
            is_recycled = number % 2 == 1
            if postgres is not None:
                _set_recycling(postgres, is_on=is_recycled)
            before = _search(stores, needles, canary, postgres)
            started = time.perf_counter()
            request_id = household.forget(name)
            attempts = 1
            while request_id not in household.erase(request_id):
                attempts += 1
                time.sleep(1.0)
            seconds = time.perf_counter() - started
            after = _search(stores, needles, canary, postgres)
            wal = {
                "is_recycled": is_recycled,
                "left": _left_in_wal(postgres, needles, canary),
            }
            yield {
                "mode": cell.mode,
                "database": cell.database,
                "memories": cell.size,
                "run": number,
                "found_before": _kinds(before),
                "residue": sum(report.residue for report in after),
                "control_found": all(one.control_found for one in (*before, *after)),
                "attempts": attempts,
                "seconds": round(seconds, 3),
                "bytes_searched": sum(report.bytes_read for report in after),
                "wal": wal if postgres is not None else None,
                "stock_left": _stock_run(stock, folder / "stock", needles, canary),
                "load_average": machine()["load_average"],
            }


@contextmanager
def _stock(directory: Path) -> Iterator[chromadb.Collection]:
    settings = ChromaClientSettings(anonymized_telemetry=False)
    with chromadb.PersistentClient(path=str(directory), settings=settings) as client:  # type: ignore[attr-defined]  # the export is not told
        yield client.create_collection(
            "records", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )


def _stock_run(
    collection: chromadb.Collection, directory: Path, mine: Needles, canary: Needles
) -> list[str]:
    """Give stock Chroma the same records, delete them its own way; return the kinds left."""
    for needles in (canary, mine):
        n = len(needles.vectors)
        collection.upsert(
            ids=list(needles.ids[:n]),
            embeddings=[vector.tolist() for vector in needles.vectors],
            documents=list(needles.documents[:n]),
            metadatas=[{"user": needles.pseudonyms[0]}] * n,
        )
    collection.delete(where={"user": mine.pseudonyms[0]})
    store = ProbedStore("stock", StoreFormat.CHROMA, directory, frozenset({NeedleKind.VECTOR}))
    ((report,),) = FileProbe([store]).search([mine], control=canary)
    return _kinds([report])


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, object]:
    """Return the counts that are promised."""
    return {
        "runs": len(rows),
        "found_before": sum("vector" in row["found_before"] for row in rows),
        "clean": sum(row["residue"] == 0 for row in rows),
        "control_found": sum(row["control_found"] for row in rows),
        "stock_dirty": sum("vector" in row["stock_left"] for row in rows),
        "wal_recycled": _logs(rows, is_recycled=True),
        "wal_removed": _logs(rows, is_recycled=False),
        "repeated_attempts": sum(row["attempts"] > 1 for row in rows),
    }


def _logs(rows: Sequence[dict[str, Any]], *, is_recycled: bool) -> dict[str, int]:
    """Return in how many runs the write-ahead log was searched, and how often it had something."""
    found = [
        row["wal"]["left"]
        for row in rows
        if row["wal"] and row["wal"]["is_recycled"] == is_recycled
    ]
    return {"searched": len(found), "dirty": sum(map(bool, found))}


def main() -> None:
    """Do the runs that are not done; write the result when none is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--state", type=Path, default=Path("build/erasure_hundred.jsonl"))
    parser.add_argument("--up-to", type=int, default=max(RUNS), help="no larger store in this call")
    options = parser.parse_args()
    deadline_s = time.monotonic() + 60 * options.minutes
    options.state.parent.mkdir(parents=True, exist_ok=True)
    options.state.touch()
    rows = [json.loads(line) for line in options.state.read_text().splitlines()]
    for cell in cells():
        place = (cell.mode, cell.database, cell.size)
        done = sum((row["mode"], row["database"], row["memories"]) == place for row in rows)
        if done == cell.runs or cell.size > options.up_to or time.monotonic() > deadline_s:
            continue
        for row in run_cell(cell, first=done, deadline_s=deadline_s):
            rows.append(row)
            with options.state.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(place, row["residue"], row["control_found"], row["seconds"], flush=True)
    print(json.dumps(summary(rows)))
    if len(rows) == sum(cell.runs for cell in cells()):
        write_result("erasure_hundred", {"seed": SEED, "summary": summary(rows), "rows": rows})


if __name__ == "__main__":
    require_overwritten_heap()
    main()

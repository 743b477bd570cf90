"""What an erased user leaves in Chroma's files: with Chroma's delete, and with ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.adapters.chroma import maintenance
from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.heap import VALUE, VARIABLE, is_heap_overwritten
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.maintenance_process import run_maintenance
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.probe.process import FileProbe
from app.domain.erasure.residue import NeedleKind, ProbeReport
from app.domain.errors import DependencyUnavailableError
from app.ports.memory_store import Memory
from tests.planted import a_user, an_order, chroma_files, emptied, memories_of, needles_of
from tests.servers.chroma import RunningChroma, running_chroma

SPEC = CollectionSpec("test-embedder", 32, n_shards=2)
N_OTHERS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChroma]:
    with running_chroma(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.chroma)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChromaDatabase]:
    if request.param == "embedded":
        _require_overwritten_heap()
        with ChromaDatabase.embedded(tmp_path) as opened:
            yield opened
    else:
        server: RunningChroma = request.getfixturevalue("server")
        with ChromaDatabase.server(server.url, directory=server.directory) as opened:
            yield emptied(opened)


def _require_overwritten_heap() -> None:
    """Without it this very process leaks other records into young index files, now and then."""
    if not is_heap_overwritten():
        reason = f"start pytest with {VARIABLE}={VALUE}, as `make test` does"
        if os.environ.get("LETHE_REQUIRE_SERVICES") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def store(database: ChromaDatabase) -> ChromaMemoryStore:
    return ChromaMemoryStore(database, spec=SPEC)


@pytest.fixture
def others(store: ChromaMemoryStore) -> list[list[Memory]]:
    users = [memories_of(a_user(), n=20) for _ in range(N_OTHERS)]
    store.add([memory for memories in users for memory in memories])
    return users


def searched(
    database: ChromaDatabase, mine: list[Memory], *, canary: list[Memory], all_of: bool = True
) -> ProbeReport:
    assert database.directory is not None
    probe = FileProbe([chroma_files(database.directory)])
    needles = needles_of(mine, is_whole_user=all_of)
    ((report,),) = probe.search([needles], control=needles_of(canary))
    return report


def left(report: ProbeReport) -> set[NeedleKind]:
    assert report.control_found
    return {finding.kind for finding in report.findings}


EVERYTHING = {NeedleKind.DOCUMENT, NeedleKind.ID, NeedleKind.PSEUDONYM, NeedleKind.VECTOR}


def test_everything_is_left_when_chroma_deletes(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    mine = memories_of(a_user(), n=20)
    store.add(mine)
    for collection in database.collections():
        collection.delete(where={"p": mine[0].pseudonym})

    assert store.count(an_order(mine)) == 0
    assert left(searched(database, mine, canary=others[0])) == EVERYTHING


def test_vectors_are_left_when_chroma_deletes_and_sqlite_is_vacuumed(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    mine = memories_of(a_user(), n=20)
    store.add(mine)
    for collection in database.collections():
        collection.delete(where={"p": mine[0].pseudonym})

    store.maintain([mine[0].pseudonym])

    assert NeedleKind.VECTOR in left(searched(database, mine, canary=others[0]))


@pytest.mark.parametrize("n_memories", [1, 20, 250])
def test_nothing_is_left_when_lethe_erases(
    database: ChromaDatabase,
    store: ChromaMemoryStore,
    others: list[list[Memory]],
    n_memories: int,
) -> None:
    mine = memories_of(a_user(), n=n_memories)
    store.add(mine)
    assert left(searched(database, mine, canary=others[0])) == EVERYTHING

    store.erase(an_order(mine))
    store.maintain([mine[0].pseudonym])

    report = searched(database, mine, canary=others[0])
    assert report.is_clean, report
    assert store.size() == 20 * N_OTHERS
    kept = others[3]
    assert len(store.vectors(kept[0].pseudonym, [m.record_id for m in kept])) == 20


def test_nothing_is_left_when_the_shard_never_reached_its_threshold(
    database: ChromaDatabase, store: ChromaMemoryStore
) -> None:
    canary, mine = memories_of(a_user(), n=3), memories_of(a_user(), n=5)
    store.add([*canary, *mine])

    store.erase(an_order(mine))
    store.maintain([mine[0].pseudonym])

    report = searched(database, mine, canary=canary)
    assert report.is_clean, report


def test_nothing_is_left_when_collections_were_dropped_before(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    """SQLite's merge of a full-text index that has shrunk keeps the markers of what is deleted."""
    gone = memories_of(a_user(), n=20)
    store.add(gone)
    for collection in database.collections():
        collection.delete(where={"p": gone[0].pseudonym})
    fresh = ChromaMemoryStore(emptied(database), spec=SPEC)
    canary, mine = memories_of(a_user(), n=3), memories_of(a_user(), n=5)
    fresh.add([*canary, *mine])

    fresh.erase(an_order(mine))
    fresh.maintain([mine[0].pseudonym])

    report = searched(database, [*mine, *gone], canary=canary)
    assert report.is_clean, report


def test_nothing_is_left_in_young_indexes_when_opened_again(tmp_path: Path) -> None:
    """16 shards of 60 records: files of 100 slots, the unused ones as malloc gave them."""
    _require_overwritten_heap()
    spec = CollectionSpec("test-embedder", 384, n_shards=16)
    users = [memories_of(a_user(), n=20, dim=384) for _ in range(48)]
    leaving = users[1:6]
    with ChromaDatabase.embedded(tmp_path) as database:
        filled = ChromaMemoryStore(database, spec=spec)
        filled.add([memory for memories in users for memory in memories])
    with ChromaDatabase.embedded(tmp_path) as database:
        store = ChromaMemoryStore(database, spec=spec)
        for memories in leaving:
            store.erase(an_order(memories))
        store.maintain([memories[0].pseudonym for memories in leaving])

        gone = [memory for memories in leaving for memory in memories]
        report = searched(database, gone, canary=users[0])

    assert report.is_clean, report


def test_only_the_rest_is_left_when_a_part_is_erased(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    mine = memories_of(a_user(), n=12)
    store.add(mine)

    store.erase(an_order(mine[:5], is_whole_user=False))
    store.maintain([mine[0].pseudonym])

    assert searched(database, mine[:5], canary=others[0], all_of=False).is_clean
    assert left(searched(database, mine[5:], canary=others[0])) == EVERYTHING


def test_nothing_is_left_when_many_are_erased_under_traffic(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    leaving = [memories_of(a_user(), n=10) for _ in range(4)]
    store.add([memory for memories in leaving for memory in memories])
    arrived: list[list[Memory]] = []

    def traffic() -> None:
        fresh = memories_of(a_user(), n=5)
        store.add(fresh)
        arrived.append(fresh)
        store.vectors(others[1][0].pseudonym, [m.record_id for m in others[1]])

    with _repeated(traffic):
        for memories in leaving:
            store.erase(an_order(memories))
        store.maintain([memories[0].pseudonym for memories in leaving])
        gone = [memory for memories in leaving for memory in memories]
        report = searched(database, gone, canary=others[0])

    assert report.is_clean, report
    assert arrived
    assert all(store.count(an_order(fresh)) == 5 for fresh in arrived)
    assert _is_sound(database)


def test_database_is_sound_when_maintenance_is_killed(
    database: ChromaDatabase, store: ChromaMemoryStore, others: list[list[Memory]]
) -> None:
    mine = memories_of(a_user(), n=20)
    store.add(mine)
    store.erase(an_order(mine))

    for delay_s in (0.05, 0.1, 0.15, 0.2):
        _killed_maintenance(database, delay_s=delay_s)

    assert _is_sound(database)
    store.maintain([mine[0].pseudonym])
    assert searched(database, mine, canary=others[0]).is_clean
    assert store.size() == 20 * N_OTHERS


def test_maintenance_fails_aloud_when_there_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError, match="maintenance failed"):
        run_maintenance(tmp_path)


def test_maintenance_fails_aloud_when_it_takes_too_long(
    database: ChromaDatabase, store: ChromaMemoryStore
) -> None:
    store.add(memories_of(a_user(), n=5))
    assert database.directory is not None

    with (
        maintenance.locked(database.directory / maintenance.LOCK_FILE),
        pytest.raises(DependencyUnavailableError, match="maintenance failed"),
    ):
        run_maintenance(database.directory, timeout_s=1.0)


@contextmanager
def _repeated(action: Callable[[], None]) -> Iterator[None]:
    """Repeat an action in a thread during the block; its error is the test's."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.is_set():
            action()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(repeat)
        try:
            yield
        finally:
            is_over.set()
        running.result()


def _killed_maintenance(database: ChromaDatabase, *, delay_s: float) -> None:
    command = [sys.executable, "-m", maintenance.__name__, str(database.directory)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)


def _is_sound(database: ChromaDatabase) -> bool:
    """Ask SQLite, in a process of its own: this one may have Chroma open."""
    assert database.directory is not None
    file = database.directory / maintenance.DATABASE_FILE
    code = """if True:
        import sqlite3, sys
        print(sqlite3.connect(sys.argv[1]).execute("PRAGMA quick_check").fetchone()[0])
    """
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout.strip() == "ok"

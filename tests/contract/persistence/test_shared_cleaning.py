"""One cleaning of PostgreSQL's files serves all who wait, and nobody who asked later."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy import Connection

from app.adapters.db import postgres_files, schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.errors import BusyError, DependencyUnavailableError
from app.domain.models import Kind
from tests.contract.persistence.sql_rows import add, interaction, user
from tests.e2e.processes import wait_for
from tests.servers.postgres import PostgresServer, started_postgres

pytestmark = pytest.mark.postgres
NAMES = [f"person-{n}" for n in range(200)]
_ASKERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %(asker)s"
_HOLD = "SELECT pg_advisory_lock(%(turn)s, 0)"
_LET_GO = "SELECT pg_advisory_unlock(%(turn)s, 0)"
_LIES_IN = "SELECT tableoid::regclass::text, pseudonym FROM interaction"
_FILE_OF = "SELECT pg_relation_filenode(%s::regclass)"
_KILLED = """
import sys, time
from app.adapters.db import postgres_files
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork

def stop(*_):
    print("cleaning", flush=True)
    time.sleep(600)

setattr(postgres_files, sys.argv[3], stop)
SqlUnitsOfWork(open_engine(sys.argv[1])).scrub([sys.argv[2]])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server whose files can be read."""
    with started_postgres("max_prepared_transactions=1") as server:
        yield server


@dataclass
class Passes:
    """Counts the passes, and can stop the first where it has waited for older transactions.

    Args:
        wanted: by each pass, how many tables.
    """

    wanted: list[int] = field(default_factory=list)
    is_stopping: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    going_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    found = Passes()
    write, await_older = postgres_files.write_anew, postgres_files.await_older

    def counted(connection: Connection, wanted: Sequence[int], *, own: set[int]) -> set[int]:
        found.wanted.append(len(wanted))
        return write(connection, wanted, own=own)

    def stopping(connection: Connection, pauses: Iterator[None]) -> None:
        await_older(connection, pauses)
        if found.is_stopping and not found.stopped.is_set():
            found.stopped.set()
            found.going_on.wait(timeout=60)

    monkeypatch.setattr(postgres_files, "write_anew", counted)
    monkeypatch.setattr(postgres_files, "await_older", stopping)
    return found


@dataclass
class Place:
    """A database with two rows of each of ``NAMES``, and one connection to look into it."""

    server: PostgresServer
    url: str
    uows: SqlUnitsOfWork
    look: psycopg.Connection

    def forget(self, name: str) -> None:
        with self.uows.write() as uow:
            uow.interactions.delete_all_of(user(name))
            uow.subjects.delete(user(name))

    def scrub(self, name: str) -> None:
        self.uows.scrub([user(name)])

    def lies_in(self, name: str) -> str:
        rows = {who: part for part, who in self.look.execute(_LIES_IN).fetchall()}
        return str(rows[user(name)])

    def file_of(self, table: str) -> int:
        found = self.look.execute(_FILE_OF, [table]).fetchone()
        assert found is not None
        return int(found[0])

    def await_askers(self, n: int) -> None:
        def found() -> bool:
            return self.look.execute(_ASKERS, postgres_files.KEYS).fetchone() == (n,)

        wait_for(f"{n} have asked", found)

    def residue(self, name: str) -> int:
        assert self.server.data is not None
        self.look.execute("CHECKPOINT")
        files = [one for one in (self.server.data / "base").rglob("*") if one.is_file()]
        return sum(one.read_bytes().count(user(name).encode()) for one in files)

    @contextmanager
    def turn_is_taken(self) -> Iterator[None]:
        self.look.execute(_HOLD, postgres_files.KEYS)
        yield
        self.look.execute(_LET_GO, postgres_files.KEYS)


@pytest.fixture
def place(server: PostgresServer) -> Iterator[Place]:
    with server.database() as url:
        schema.upgrade(url)
        uows = SqlUnitsOfWork(open_engine(url))
        rows = [
            interaction(name, f"{name}/{n}", kind=Kind.NOTE, item=None, text="words")
            for name in NAMES
            for n in range(2)
        ]
        add(uows, *rows)
        with uows.write() as uow:
            for name in NAMES:
                uow.subjects.create(user(name), epoch=1)
        with psycopg.connect(url, autocommit=True) as look:
            yield Place(server, url, uows, look)
        uows.close()


@pytest.fixture
def started() -> Iterator[Callable[..., Future[None]]]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


Started = Callable[..., Future[None]]


def test_all_who_wait_are_served_by_one_pass(
    place: Place, passes: Passes, started: Started
) -> None:
    people = NAMES[:3]
    tables = {place.lies_in(name) for name in people}
    before = {table: place.file_of(table) for table in [*tables, "tombstone"]}
    for name in people:
        place.forget(name)
    with place.turn_is_taken():
        waiting = [started(place.scrub, name) for name in people]
        place.await_askers(3)
    for one in waiting:
        one.result(timeout=60)

    assert len(passes.wanted) == 1
    assert all(place.file_of(table) != file for table, file in before.items())
    assert [place.residue(name) for name in people] == [0, 0, 0]


def test_who_asks_during_a_pass_is_not_served_by_it(
    place: Place, passes: Passes, started: Started
) -> None:
    """That pass writes the tables anew, and a reader that it has not waited for sees the rows."""
    first, second = next((a, b) for a, b in _pairs(NAMES) if place.lies_in(a) == place.lies_in(b))
    place.forget(first)
    passes.is_stopping = True
    cleaning = started(place.scrub, first)
    assert passes.stopped.wait(timeout=60)
    with psycopg.connect(place.url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM item")
        place.forget(second)
        late = started(place.scrub, second)
        place.await_askers(2)
        passes.going_on.set()
        cleaning.result(timeout=60)
        assert place.residue(second) > 0
    late.result(timeout=60)

    assert len(passes.wanted) == 2
    assert place.residue(first) == place.residue(second) == 0


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((a, b) for n, a in enumerate(names) for b in names[n + 1 :])


@pytest.mark.parametrize("at", ["await_older", "retire_log"])
def test_where_a_cleaner_is_killed_those_who_wait_clean_themselves(
    place: Place, passes: Passes, started: Started, *, at: str
) -> None:
    """Before its first table, and after its last: it has told nobody."""
    dead, first, second = NAMES[:3]
    for name in (dead, first, second):
        place.forget(name)
    command = [sys.executable, "-c", _KILLED, place.url, user(dead), at]
    with place.turn_is_taken():
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        place.await_askers(1)
        assert process.stdout is not None
    process.stdout.readline()
    waiting = [started(place.scrub, name) for name in (first, second)]
    place.await_askers(3)
    assert not any(one.done() for one in waiting)
    process.kill()
    process.communicate()
    for one in waiting:
        one.result(timeout=60)

    assert len(passes.wanted) == 1
    assert place.residue(first) == place.residue(second) == 0
    place.scrub(dead)
    assert place.residue(dead) == 0


def test_a_cleaner_that_stands_still_loses_its_turn(
    place: Place, passes: Passes, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = [one.replace("60s", "1s") for one in postgres_files.SESSION]
    monkeypatch.setattr(postgres_files, "SESSION", soon)
    for name in NAMES[:2]:
        place.forget(name)
    passes.is_stopping = True
    frozen = started(place.scrub, NAMES[0])
    assert passes.stopped.wait(timeout=60)
    started(place.scrub, NAMES[1]).result(timeout=60)
    passes.going_on.set()

    with pytest.raises(DependencyUnavailableError):
        frozen.result(timeout=60)
    assert place.residue(NAMES[1]) == 0


def test_a_table_in_use_keeps_those_waiting_who_need_it_and_no_other(
    place: Place, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_files, "_PAUSES", 3)
    first, second = next((a, b) for a, b in pairwise(NAMES) if place.lies_in(a) != place.lies_in(b))
    used = place.lies_in(second)
    for name in (first, second):
        place.forget(name)
    place.look.execute("BEGIN")
    place.look.execute(f"LOCK TABLE {used} IN ACCESS SHARE MODE")
    place.look.execute("PREPARE TRANSACTION 'long'")
    with place.turn_is_taken():
        waiting = [started(place.scrub, name) for name in (first, second)]
        place.await_askers(2)
    waiting[0].result(timeout=60)
    with pytest.raises(BusyError):
        waiting[1].result(timeout=60)
    place.look.execute("ROLLBACK PREPARED 'long'")
    assert place.residue(first) == 0

    place.scrub(second)
    assert place.residue(second) == 0

"""PostgreSQL's tables of people in partitions: which of them a cleaning writes, and who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.adapters.db import postgres_files, schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.scope import AllScope
from app.domain.errors import BusyError, DependencyUnavailableError
from app.domain.models import EventKey, Kind, Pseudonym
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import DatabaseSettings
from tests.contract.persistence.sql_rows import NOW, add, hashed, interaction, request_id, user
from tests.e2e.processes import wait_for
from tests.servers.postgres import PostgresServer, started_postgres
from tests.world import catalogue, open_world

pytestmark = pytest.mark.postgres
CANARY = "canary-of-anna"
ANNA, BERT = user("anna"), user("bert")
_FILES = """
    SELECT relname, pg_relation_filenode(oid) FROM pg_class
    WHERE relispartition AND relkind = 'r'
"""
_LIES_IN = """
    SELECT tableoid::regclass::text FROM interaction WHERE pseudonym = ANY(%(who)s)
    UNION SELECT tableoid::regclass::text FROM subject WHERE pseudonym = ANY(%(who)s)
"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"

_LOOKING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE '%SELECT virtualxid%' AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server whose files can be read."""
    with started_postgres("max_prepared_transactions=1") as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.database() as url:
        schema.upgrade(url)
        yield url


@pytest.fixture
def uows(url: str) -> Iterator[SqlUnitsOfWork]:
    """Rows of Anna, Bert and 200 others."""
    uows = SqlUnitsOfWork(open_engine(url, lock_timeout_s=1.0))
    names = ["anna", "bert", *map(str, range(200))]
    add(
        uows,
        *(
            interaction(name, f"{name}/{n}", kind=Kind.NOTE, item=None, text=_words(name))
            for name in names
            for n in range(3)
        ),
    )
    with uows.write() as uow:
        for name in names:
            uow.subjects.create(user(name), epoch=1)
    yield uows
    uows.close()


def _words(name: str) -> str:
    return f"{CANARY} said so" if name == "anna" else "words"


def _forget(uows: SqlUnitsOfWork, who: Pseudonym = ANNA) -> None:
    with uows.write() as uow:
        uow.interactions.delete_all_of(who)
        uow.subjects.delete(who)


@contextmanager
def _asking(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def _files(url: str) -> dict[str, int]:
    with _asking(url) as connection:
        return dict(connection.execute(_FILES).fetchall())


def _lies_in(url: str, *people: Pseudonym) -> set[str]:
    """Return the partitions as the rows themselves say."""
    with _asking(url) as connection:
        return {name for (name,) in connection.execute(_LIES_IN, {"who": list(people)})}


def _written(url: str, before: dict[str, int]) -> set[str]:
    return {name for name, file in _files(url).items() if before[name] != file}


def _residue(server: PostgresServer, url: str, *needles: str) -> int:
    """Count them in every file of tables and indexes, whosever it is."""
    assert server.data is not None
    with _asking(url) as connection:
        connection.execute("CHECKPOINT")
    contents = [one.read_bytes() for one in (server.data / "base").rglob("*") if one.is_file()]
    return sum(content.count(needle.encode()) for content in contents for needle in needles)


def test_there_are_64_partitions_of_both_tables(url: str) -> None:
    names = [f"{table}_p{n:02}" for table in ("interaction", "subject") for n in range(64)]
    assert sorted(_files(url)) == names


def test_a_scrub_writes_the_partitions_of_the_erased_anew_and_no_other(
    server: PostgresServer, uows: SqlUnitsOfWork, url: str
) -> None:
    before, theirs = _files(url), _lies_in(url, ANNA, BERT)
    _forget(uows)
    _forget(uows, BERT)
    assert _residue(server, url, CANARY, ANNA) > 0
    uows.scrub([ANNA, BERT])

    assert _written(url, before) == theirs
    assert len(theirs) in {2, 4}
    assert _residue(server, url, CANARY, ANNA, BERT) == 0
    with uows.read() as uow:
        assert uow.interactions.count() == 600


def test_old_versions_of_a_changed_row_go_with_its_partition(
    server: PostgresServer, uows: SqlUnitsOfWork, url: str
) -> None:
    with _asking(url) as connection:
        connection.execute("UPDATE interaction SET text = 'no more' WHERE pseudonym = %s", [ANNA])
    assert _residue(server, url, CANARY) >= 3
    uows.scrub([ANNA])

    assert _residue(server, url, CANARY) == 0


def test_a_scrub_that_knows_nobody_writes_all_and_one_for_items_none(
    uows: SqlUnitsOfWork, url: str
) -> None:
    before = _files(url)
    uows.scrub((), has_items=True)
    assert _written(url, before) == set()
    uows.scrub()
    assert _written(url, before) == set(before)


def test_after_a_death_before_the_cleaning_the_next_attempt_knows_the_partitions(
    server: PostgresServer, url: str, tmp_path: Path
) -> None:
    """Rows, subject and the request's own user are gone by then: the sealed manifest knows."""
    database = DatabaseSettings(url=SecretStr(url))
    with open_world(tmp_path, database=database) as world:
        world.container.catalogue.upsert(catalogue())
        for name in ("anna", "bert", "carl", "dora"):
            world.read(name, ["sea-00", "sea-01"], text="whales")
        world.container.feed.start()
        anna = world.user("anna")
        before, hers = _files(url), _lies_in(url, anna)
        command = ForgetCommand(pseudonym=anna, scope=AllScope())
        request = world.container.forget.accept(command).request
        with world.answering("memory", "set_mark"):
            assert not world.erase(request.request_id)
        world.container.feed.stop()
    assert _lies_in(url, anna) == set()
    assert _written(url, before) == set()
    assert _residue(server, url, anna) > 0

    with open_world(tmp_path, database=database) as world:
        world.container.feed.start()
        world.clock.ahead = request.due_at - request.received_at
        assert world.erase(request.request_id)
        world.container.feed.stop()
    assert _written(url, before) == hers
    assert _residue(server, url, anna) == 0


@contextmanager
def _in_use(url: str, table: str) -> Iterator[None]:
    """Keep a lock on a table, in a transaction that no cleaning waits for at its beginning."""
    with _asking(url) as connection:
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        connection.execute("PREPARE TRANSACTION 'long'")
        yield
        connection.execute("ROLLBACK PREPARED 'long'")


@pytest.mark.parametrize("kind", ["interaction", "subject"])
def test_a_cleaning_that_was_cut_short_is_done_by_the_next(
    server: PostgresServer,
    uows: SqlUnitsOfWork,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
) -> None:
    """As of a worker that dies between two tables; one that is in use keeps no other waiting."""
    monkeypatch.setattr(postgres_files, "_PAUSES", 2)
    (table,) = (name for name in _lies_in(url, ANNA) if name.startswith(kind))
    before = _files(url)
    _forget(uows)
    with _in_use(url, table), pytest.raises(BusyError):
        uows.scrub([ANNA])
    assert len(_written(url, before)) == 1
    assert _residue(server, url, ANNA) > 0

    uows.scrub([ANNA])
    assert len(_written(url, before)) == 2
    assert _residue(server, url, CANARY, ANNA) == 0


def test_who_comes_later_waits_a_moment_behind_a_cleaning_that_waits(
    uows: SqlUnitsOfWork, url: str
) -> None:
    (table,) = (name for name in _lies_in(url, ANNA) if name.startswith("interaction"))
    cleaning = threading.Thread(target=uows.scrub, args=[[ANNA]])
    with _asking(url) as reader:
        reader.execute("SET lock_timeout = 500")
        with _in_use(url, table):
            cleaning.start()
            n_behind, until = 0, time.monotonic() + 2
            while time.monotonic() < until:
                n_behind += reader.execute(_WAITING).fetchone() != (0,)
                reader.execute("SELECT count(*) FROM interaction WHERE pseudonym = %s", [ANNA])
    cleaning.join()
    assert n_behind > 0


def test_nobody_waits_for_the_partition_of_somebody_else(uows: SqlUnitsOfWork, url: str) -> None:
    """Ten times each: from the fifth on the driver's statements are prepared."""
    theirs = _lies_in(url, ANNA, BERT)
    locked = [name for name in _files(url) if name not in theirs]
    known = interaction("anna", "anna/0").record_id

    def read(n: int) -> None:
        with uows.read() as uow:
            uow.subjects.get(ANNA)
            uow.subjects.known([ANNA, BERT])
            uow.interactions.history(ANNA)
            uow.interactions.evidence([ANNA, BERT])
            uow.interactions.answered(ANNA)
            uow.interactions.event_ids(ANNA)
            uow.interactions.traces(ANNA, record_ids=[known])
            uow.interactions.pending_until_of(ANNA)
            uow.interactions.record_ids_of(ANNA)
            uow.interactions.count(ANNA)
            uow.interactions.find([(ANNA, EventKey(hashed("anna/0"))), (BERT, EventKey(str(n)))])

    def write(n: int) -> None:
        row = interaction("anna", f"new/{n}", kind=Kind.NOTE, item=None, text="more")
        with uows.write() as uow:
            uow.subjects.lock_all([ANNA, BERT])
            uow.subjects.lock(ANNA)
            uow.subjects.create(ANNA, epoch=1)
            uow.subjects.raise_epoch(ANNA, status=None)
            uow.interactions.add([row], pending_until=NOW, received_at=NOW)
        with uows.write() as uow:
            uow.interactions.mark_stored([row.record_id], lease=NOW, of=[ANNA])
            uow.interactions.supersede(request_id("c"), [row.record_id], of=[ANNA])
            uow.interactions.flag(request_id("r"), [known], of=[ANNA])

    def erase(_: int) -> None:
        with uows.write() as uow:
            uow.interactions.delete_all_of(BERT)
            uow.subjects.delete(BERT)

    with psycopg.connect(url) as other:
        other.execute(f"LOCK TABLE {', '.join(locked)} IN ACCESS EXCLUSIVE MODE")
        _each_often(read, write, erase)
        with pytest.raises(BusyError), uows.read() as uow:
            uow.interactions.count()  # which is of everybody


def _each_often(*actions: Callable[[int], None]) -> None:
    for action in actions:
        for n in range(12):
            action(n)


def test_rows_that_an_older_reader_may_still_see_are_waited_for(
    server: PostgresServer, uows: SqlUnitsOfWork, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read another table, and PostgreSQL would copy them into the new file for it."""
    monkeypatch.setattr(postgres_files, "_PAUSES", 2)
    with uows.read() as uow:
        uow.items.all_items()
        uow.changes.head()
        _forget(uows)
        with pytest.raises(BusyError):
            uows.scrub([ANNA])
    uows.scrub([ANNA])

    assert _residue(server, url, CANARY) == 0


def test_who_begins_beside_an_old_writer_is_waited_for_too(
    server: PostgresServer, uows: SqlUnitsOfWork, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads as of before the writer, and so of before the deletion."""
    monkeypatch.setattr(postgres_files, "_PAUSES", 20)
    found: list[BusyError] = []

    def scrub() -> None:
        try:
            uows.scrub([ANNA])
        except BusyError as error:
            found.append(error)

    cleaning = threading.Thread(target=scrub)
    with _asking(url) as writer, _asking(url) as reader:
        writer.execute("BEGIN")
        writer.execute("SELECT pg_current_xact_id()")
        _forget(uows)
        cleaning.start()
        wait_for("it waits", lambda: reader.execute(_LOOKING).fetchone() != (0,))
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM item")
        writer.execute("COMMIT")
        cleaning.join()
    uows.scrub([ANNA])

    assert len(found) == 1
    assert _residue(server, url, CANARY) == 0


def test_a_role_that_may_not_clean_is_not_believed(url: str, uows: SqlUnitsOfWork) -> None:
    """PostgreSQL passes over the tables of others with a warning."""
    with _asking(url) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
    engine = open_engine(
        make_url(url).set(username="guest", password="guest").render_as_string(hide_password=False)
    )
    try:
        with pytest.raises(DependencyUnavailableError, match="did not write a table anew"):
            SqlUnitsOfWork(engine).scrub([ANNA])
    finally:
        engine.dispose()
        with _asking(url) as connection:
            connection.execute("DROP OWNED BY guest")
            connection.execute("DROP ROLE guest")

"""What is left in the database's files after a deletion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from app.adapters.db import maintenance, postgres_files, schema
from app.adapters.db.engine import alone, open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Kind
from tests.contract.persistence.sql_rows import add, interaction, request_id, user
from tests.servers.postgres import PostgresServer, started_postgres

CANARY = "canary-of-anna"
ANNA, BERT = user("anna"), user("bert")
N_BATCHES = 40


def _fill(uows: SqlUnitsOfWork) -> int:
    """Let a database grow as it does in life; return how many rows of Anna's it has.

    Texts of all lengths come, and some of Bert's go, so that the database moves rows between
    its pages. What is moved leaves copies behind, which deleting the row does not reach.
    """
    rng = np.random.default_rng(1)
    writers = [("anna", CANARY), ("bert", "words"), ("carl", "words")]
    n_mine = 0
    for batch in range(N_BATCHES):
        rows = []
        for n in range(60):
            who, word = writers[rng.integers(3)]
            text = word * int(rng.integers(1, 60))
            rows.append(interaction(who, f"{batch}/{n}", kind=Kind.NOTE, item=None, text=text))
            n_mine += who == "anna"
        add(uows, *rows)
        with uows.write() as uow:
            berts = uow.interactions.record_ids_of(BERT)
            uow.interactions.flag(request_id("bert"), berts[rng.integers(3) :: 3])
            uow.interactions.delete_flagged(request_id("bert"))
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        uow.changes.append([ANNA])
    return n_mine


def _forget(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), uow.interactions.record_ids_of(ANNA))
    with uows.write() as uow:
        uow.interactions.delete_flagged(request_id("r"))
        uow.subjects.delete(ANNA)
        uow.changes.prune(upto=uow.changes.head())


def _residue(*folders: Path) -> int:
    """Count the forgotten user's text and pseudonym in all files below."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]
    return sum(
        content.count(CANARY.encode()) + content.count(ANNA.encode()) for content in contents
    )


@pytest.fixture
def sqlite_uows(tmp_path: Path) -> Iterator[SqlUnitsOfWork]:
    """A database with rows of many users, and nothing else in its folder."""
    url = f"sqlite:///{tmp_path / 'lethe.db'}"
    schema.upgrade(url)
    uows = SqlUnitsOfWork(open_engine(url, lock_timeout_s=0.2))
    _fill(uows)
    yield uows
    uows.close()


@pytest.mark.parametrize("vacuumed_bytes", [0, 1 << 30])
def test_sqlite_keeps_nothing_after_the_scrub(
    sqlite_uows: SqlUnitsOfWork, tmp_path: Path, vacuumed_bytes: int
) -> None:
    """Neither in a small file, which is written anew, nor in a large one, which is not."""
    with sqlite_uows.read() as uow:
        n_mine, n_all = uow.interactions.count(ANNA), uow.interactions.count()
    assert _residue(tmp_path) > n_mine

    _forget(sqlite_uows)
    assert _residue(tmp_path) > 0  # deleting alone is not enough
    engine = open_engine(f"sqlite:///{tmp_path / 'lethe.db'}", lock_timeout_s=0.2)
    try:
        maintenance.scrub(engine, vacuumed_bytes=vacuumed_bytes)
        log = tmp_path / "lethe.db-wal"
        assert not log.exists() or log.stat().st_size == 0
    finally:
        engine.dispose()

    assert _residue(tmp_path) == 0
    with sqlite_uows.read() as uow:
        assert uow.interactions.count() == n_all - n_mine


def test_sqlite_says_so_while_a_reader_needs_the_old_pages(sqlite_uows: SqlUnitsOfWork) -> None:
    with sqlite_uows.read() as reader:
        assert reader.interactions.count() > 0
        _forget(sqlite_uows)
        with pytest.raises(DependencyUnavailableError):
            sqlite_uows.scrub()

    sqlite_uows.scrub()


def test_scrubbing_twice_is_scrubbing_once(sqlite_uows: SqlUnitsOfWork, tmp_path: Path) -> None:
    _forget(sqlite_uows)

    sqlite_uows.scrub()
    sqlite_uows.scrub()

    assert _residue(tmp_path) == 0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A server whose files can be read, and that removes old segments of its log."""
    with started_postgres("wal_recycle=off") as server:
        yield server


@pytest.mark.postgres
def test_postgres_keeps_nothing_in_its_files_after_the_scrub(own_postgres: PostgresServer) -> None:
    """In tables, indexes, statistics and the write-ahead log."""
    assert own_postgres.data is not None
    tables = [own_postgres.data / name for name in ("base", "global", "pg_stat")]
    log = own_postgres.data / "pg_wal"
    with own_postgres.database() as url:
        schema.upgrade(url)
        uows = SqlUnitsOfWork(open_engine(url))
        n_mine = _fill(uows)
        _checkpoint(url)
        assert _residue(*tables) > n_mine
        assert _residue(log) > 0
        _forget(uows)
        _checkpoint(url)
        assert _residue(log) > 0  # a checkpoint alone is not enough
        uows.scrub()
        _checkpoint(url)
        assert _residue(*tables) == 0
        assert _residue(log) == 0
        uows.close()


@pytest.mark.postgres
def test_postgres_says_whether_old_segments_of_the_log_are_gone(
    own_postgres: PostgresServer,
) -> None:
    with (
        own_postgres.database() as url,
        psycopg.connect(url, autocommit=True) as connection,
        _may(connection, "plain"),
    ):
        plain = make_url(url).set(username="plain", password="plain")
        assert _kept(make_url(url)) == 0
        assert _kept(plain) == 0
        connection.execute("SELECT pg_create_physical_replication_slot('standby', true)")
        n_kept = _kept(plain)
        connection.execute("SELECT pg_drop_replication_slot('standby')")
        assert n_kept
        assert _kept(plain) == 0


@pytest.mark.postgres
def test_the_log_is_left_alone_where_it_may_not_be_retired(own_postgres: PostgresServer) -> None:
    with own_postgres.database() as url, psycopg.connect(url, autocommit=True) as connection:
        reusing = make_url(url).update_query_dict({"options": "-c wal_recycle=on"})
        assert _kept(reusing) is None
        with _may(connection, "plain"):
            connection.execute("REVOKE pg_checkpoint FROM plain")
            assert _kept(make_url(url).set(username="plain", password="plain")) is None


@contextmanager
def _may(connection: psycopg.Connection, role: str) -> Iterator[None]:
    """Give a role that may do what retiring the log takes, and nothing else."""
    statements = (
        "CREATE ROLE {role} LOGIN PASSWORD 'plain'",
        "GRANT pg_checkpoint TO {role}",
        "GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_ls_waldir() TO {role}",
    )
    for statement in statements:
        connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))
    try:
        yield
    finally:
        for statement in ("DROP OWNED BY {role}", "DROP ROLE {role}"):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def _kept(url: URL) -> int | None:
    engine = open_engine(url.render_as_string(hide_password=False))
    try:
        with alone(engine) as connection:
            return postgres_files.retire_log(connection)
    finally:
        engine.dispose()


def _checkpoint(url: str) -> None:
    """Write everything to the files, statistics included."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
    os.sync()

"""What is left in the database's files after a deletion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Kind
from tests.contract.sql_rows import add, interaction, request_id, user
from tests.servers import service_or_skip
from tests.servers.postgres import started_postgres

CANARY = "canary-7f3a-of-anna"
N_USERS, N_ROWS = 40, 2_000
ANNA = user("user 7")


def _fill(uows: SqlUnitsOfWork) -> None:
    """Store rows of many users, each page with some of the one who will be forgotten."""
    rows = []
    for n in range(N_ROWS):
        who = f"user {n % N_USERS}"
        text = (CANARY if user(who) == ANNA else "words of others") * (1 + n % 5)
        rows.append(interaction(who, str(n), kind=Kind.NOTE, item=None, text=text))
    add(uows, *rows)
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=1)
        uow.changes.append([ANNA])


def _forget(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.interactions.flag(request_id("r"), uow.interactions.record_ids_of(ANNA))
    with uows.write() as uow:
        assert uow.interactions.delete_flagged(request_id("r")) == N_ROWS // N_USERS
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


def test_sqlite_keeps_nothing_after_the_scrub(sqlite_uows: SqlUnitsOfWork, tmp_path: Path) -> None:
    planted = _residue(tmp_path)

    _forget(sqlite_uows)
    deleted = _residue(tmp_path)
    sqlite_uows.scrub()

    assert planted > N_ROWS // N_USERS
    assert deleted > 0  # in the write-ahead log: deleting alone is not enough
    assert _residue(tmp_path) == 0
    assert (tmp_path / "lethe.db-wal").stat().st_size == 0
    with sqlite_uows.read() as uow:
        assert uow.interactions.count() == N_ROWS - N_ROWS // N_USERS


def test_sqlite_says_so_while_a_reader_needs_the_old_pages(sqlite_uows: SqlUnitsOfWork) -> None:
    with sqlite_uows.read() as reader:
        assert reader.interactions.count() == N_ROWS
        _forget(sqlite_uows)
        with pytest.raises(DependencyUnavailableError):
            sqlite_uows.scrub()

    sqlite_uows.scrub()


def test_scrubbing_twice_is_scrubbing_once(sqlite_uows: SqlUnitsOfWork, tmp_path: Path) -> None:
    _forget(sqlite_uows)

    sqlite_uows.scrub()
    sqlite_uows.scrub()

    assert _residue(tmp_path) == 0


@pytest.mark.postgres
def test_postgres_keeps_nothing_in_its_tables_after_the_scrub() -> None:
    """In tables, indexes and statistics; the write-ahead log is said to keep it for a while."""
    with service_or_skip("PostgreSQL", started_postgres()) as server:
        assert server.data is not None
        folders = [server.data / name for name in ("base", "global", "pg_stat")]
        with server.database() as url:
            schema.upgrade(url)
            uows = SqlUnitsOfWork(open_engine(url))
            _fill(uows)
            _checkpoint(url)
            planted = _residue(*folders)
            _forget(uows)
            uows.scrub()
            _checkpoint(url)
            assert planted > N_ROWS // N_USERS
            assert _residue(*folders) == 0
            uows.close()


def _checkpoint(url: str) -> None:
    """Write everything to the files, statistics included."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
    os.sync()

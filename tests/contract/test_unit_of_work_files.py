"""What is left in the database's files after a deletion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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


def test_sqlite_keeps_nothing_after_the_scrub(sqlite_uows: SqlUnitsOfWork, tmp_path: Path) -> None:
    with sqlite_uows.read() as uow:
        n_mine, n_all = uow.interactions.count(ANNA), uow.interactions.count()
    assert _residue(tmp_path) > n_mine

    _forget(sqlite_uows)
    assert _residue(tmp_path) > 0  # deleting alone is not enough
    sqlite_uows.scrub()

    assert _residue(tmp_path) == 0
    assert (tmp_path / "lethe.db-wal").stat().st_size == 0
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


@pytest.mark.postgres
def test_postgres_keeps_nothing_in_its_tables_after_the_scrub() -> None:
    """In tables, indexes and statistics; the write-ahead log is said to keep it for a while."""
    with service_or_skip("PostgreSQL", started_postgres()) as server:
        assert server.data is not None
        folders = [server.data / name for name in ("base", "global", "pg_stat")]
        with server.database() as url:
            schema.upgrade(url)
            uows = SqlUnitsOfWork(open_engine(url))
            n_mine = _fill(uows)
            _checkpoint(url)
            assert _residue(*folders) > n_mine
            _forget(uows)
            uows.scrub()
            _checkpoint(url)
            assert _residue(*folders) == 0
            uows.close()


def _checkpoint(url: str) -> None:
    """Write everything to the files, statistics included."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
    os.sync()

"""A database that a benchmark wrote in bulk is one that the service could have written."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from app.bootstrap.database import prepare_database
from app.domain.models import ItemId, Pseudonym
from app.settings import Settings
from benchmarks.neighbours.scaling import synthetic
from benchmarks.serving.rows import write
from tests.world import catalogue, open_world

N_USERS = 60
_AGAIN = (
    "INSERT INTO interaction (event_key, record_id, pseudonym, kind, occurred_at, received_at)"
    " SELECT {}, pseudonym, kind, occurred_at, received_at FROM interaction LIMIT 1"
)


def test_the_service_starts_from_rows_written_in_bulk(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        world.container.catalogue.upsert(catalogue())
        world.read("asker", ["sea-01"])
        asker = world.user("asker")
    histories = {
        Pseudonym(hashlib.sha256(str(number).encode()).hexdigest()): sorted(set(items))
        for number, (_, items) in enumerate(synthetic(N_USERS))
    }

    histories[asker] = [ItemId("sea-01")]

    n_rows = write(tmp_path / "lethe.db", n_users=N_USERS)

    newest_first = "SELECT pseudonym, item_id FROM interaction ORDER BY occurred_at DESC"
    stored: dict[Pseudonym, list[ItemId]] = {}
    with sqlite3.connect(tmp_path / "lethe.db") as connection:
        for pseudonym, item_id in connection.execute(newest_first):
            stored.setdefault(pseudonym, []).append(item_id)
    connection.close()
    assert {one: sorted(items) for one, items in stored.items()} == histories
    assert n_rows == sum(map(len, histories.values()))
    with open_world(tmp_path) as world:
        world.container.feed.start()
        neighbours = world.adapters.neighbours
        assert neighbours.state_hash(in_full=True) == neighbours.hash_of(stored.items())
        with world.adapters.uows.read() as uow:
            assert [uow.subjects.get(one) is not None for one in histories] == [True] * (
                N_USERS + 1
            )


def test_what_the_schema_forbids_stays_forbidden(tmp_path: Path) -> None:
    prepare_database(Settings(data_dir=tmp_path))
    write(tmp_path / "lethe.db", n_users=5)

    with sqlite3.connect(tmp_path / "lethe.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for repeated in ("event_key, 'new'", "'new', record_id"):
            with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
                connection.execute(_AGAIN.format(repeated))
    connection.close()

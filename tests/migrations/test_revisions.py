"""The migrations make the schema that the code expects, forth and back, on both databases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from app.adapters.db import schema
from app.adapters.db.audit_tables import metadata
from app.adapters.db.engine import open_engine
from app.adapters.db.maintenance import PERSONAL_TABLES
from app.domain.errors import DependencyUnavailableError
from tests.servers.postgres import PostgresServer

_AT = datetime(2026, 3, 1, tzinfo=UTC)
_ROOT = Path(__file__).parents[2]
PARTITION = re.compile(r"(subject|interaction)_p\d\d")
REVISIONS = [
    script.revision
    for script in reversed([*ScriptDirectory.from_config(schema.config()).walk_revisions()])
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'lethe.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


def _tables(url: str) -> set[str]:
    engine = open_engine(url)
    try:
        found = {*sa.inspect(engine).get_table_names()} - {"alembic_version"}
        return {name for name in found if not PARTITION.fullmatch(name)}
    finally:
        engine.dispose()


def test_every_revision_goes_up_down_and_up(empty_url: str) -> None:
    for revision in REVISIONS:
        schema.upgrade(empty_url, revision=revision)
        schema.downgrade(empty_url, revision="-1")
        schema.upgrade(empty_url, revision=revision)

    assert schema.current(empty_url) == schema.head()
    assert _tables(empty_url) == {*metadata.tables}


def test_nothing_is_left_at_the_base(empty_url: str) -> None:
    schema.upgrade(empty_url)
    schema.downgrade(empty_url, revision="base")

    assert schema.current(empty_url) is None
    assert _tables(empty_url) == set()


def test_the_migrations_make_the_tables_of_the_code(empty_url: str) -> None:
    schema.upgrade(empty_url)
    engine = open_engine(empty_url)
    is_postgres = engine.dialect.name == "postgresql"

    def is_compared(_: object, name: str | None, *__: object) -> bool:
        # Partitions, and a key that has to name their column as well, are PostgreSQL's alone.
        apart = PARTITION.fullmatch(name or "") or name == "uq_interaction_record_id"
        return not (is_postgres and apart)

    with engine.connect() as connection:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": is_compared,
        }
        context = MigrationContext.configure(connection, opts=options)
        drift = compare_metadata(context, metadata)

    engine.dispose()
    assert drift == []


def test_rows_of_people_outlive_the_partitions_and_are_numbered_on(empty_url: str) -> None:
    said = ("pseudonym", "event_key", "kind", "occurred_at", "received_at", "record_id")
    insert = sa.insert(metadata.tables["interaction"])
    told = [
        dict.fromkeys(said, f"{n}") | {"occurred_at": _AT, "received_at": _AT} for n in range(300)
    ]
    schema.upgrade(empty_url, revision="0018")
    engine = open_engine(empty_url)
    query = "SELECT interaction_id, pseudonym, record_id FROM interaction ORDER BY 1"
    with engine.begin() as connection:
        connection.execute(insert, told[:200])
        connection.exec_driver_sql(
            "INSERT INTO subject (pseudonym, status, epoch) VALUES ('1', '', 7)"
        )
        first = connection.exec_driver_sql(query).all()
    schema.upgrade(empty_url, revision="0019")
    with engine.begin() as connection:
        connection.execute(insert, told[200:])
        grown = connection.exec_driver_sql(query).all()
    schema.downgrade(empty_url, revision="0018")
    with engine.begin() as connection:
        left = connection.exec_driver_sql(query).all()
        epoch = connection.exec_driver_sql("SELECT epoch FROM subject").scalar_one()
    engine.dispose()

    assert len(first) == 200
    assert grown[:200] == first
    assert left == grown
    assert [row[0] for row in left] == list(range(first[0][0], first[0][0] + 300))
    assert epoch == 7


def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    assert schema.current(empty_url) is None
    schema.upgrade(empty_url)
    schema.upgrade(empty_url)

    assert schema.current(empty_url) == schema.head() == REVISIONS[-1]


def test_moves_from_before_their_account_are_taken_from_the_log(empty_url: str) -> None:
    schema.upgrade(empty_url, revision="0004")
    engine = open_engine(empty_url)
    kinds = ("received", "suppressed", "on_hold", "released", "erasing", "extended", "failed")
    leaves = [
        {"seq": seq, "kind": f"forget.{kind}", "request_id": "r", "at": _AT}
        | {"body": b"{}", "leaf_hash": bytes(32)}
        for seq, kind in enumerate(kinds)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(metadata.tables["audit_leaf"]), leaves)
    schema.upgrade(empty_url)

    move = metadata.tables["erasure_move"]
    with engine.connect() as connection:
        moves = connection.execute(sa.select(move.c.source, move.c.target).order_by(move.c.number))
        found = [tuple(one) for one in moves]
    engine.dispose()
    way = ["suppressed", "on_hold", "suppressed", "erasing", "failed"]
    assert found == list(zip([None, *way], way, strict=False))


def test_processes_that_start_together_upgrade_once(empty_url: str) -> None:
    """As processes, because Alembic's context belongs to the process."""
    code = "import sys; from app.adapters.db import schema; schema.upgrade(sys.argv[1])"

    def upgrade(_: int) -> None:
        subprocess.run([sys.executable, "-c", code, empty_url], check=True, cwd=_ROOT)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(upgrade, range(3)))

    assert schema.current(empty_url) == schema.head()


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_alembics_own_command_finds_the_database(tmp_path: Path, way: str) -> None:
    url = f"sqlite:///{tmp_path / 'lethe.db'}"
    argument = ["-x", f"url={url}"] if way == "argument" else []
    environment = os.environ | ({} if argument else {"LETHE_DATABASE__URL": url})
    command = [sys.executable, "-m", "alembic", *argument, "upgrade", "head"]

    subprocess.run(command, check=True, cwd=_ROOT, env=environment)

    assert schema.current(url) == schema.head()


def test_without_a_database_nothing_is_guessed() -> None:
    with pytest.raises(RuntimeError, match="no database"):
        schema.downgrade("", revision="base")


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError):
        schema.upgrade(f"sqlite:///{tmp_path / 'none' / 'lethe.db'}")


def test_a_new_file_forgets_from_its_first_page(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lethe.db'}"
    schema.upgrade(url)
    engine = open_engine(url)

    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("secure_delete", "journal_mode", "foreign_keys", "synchronous")
        }

    engine.dispose()
    assert settings == {
        "secure_delete": 1,
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
    }


def test_maintenance_cleans_every_table_with_a_person_in_it() -> None:
    named = {
        table.name
        for table in metadata.tables.values()
        if {"pseudonym", "token", "salt", "prints"} & {column.name for column in table.columns}
    }

    assert named == {*PERSONAL_TABLES}


@pytest.mark.postgres
def test_postgres_keeps_no_statistics_about_people(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        schema.upgrade(url)
        engine = open_engine(url)
        query = sa.text(
            "SELECT attrelid::regclass || '.' || attname FROM pg_attribute"
            " WHERE attname IN ('pseudonym', 'token', 'event_key', 'record_id', 'text', 'scope',"
            " 'body_hash', 'topic_id', 'topic_text', 'salt', 'needles', 'event_id', 'title',"
            " 'description', 'attributes') AND attstattarget <> 0"
            " AND attrelid IN (SELECT oid FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)"
        )
        with engine.connect() as connection:
            measured = connection.execute(query).scalars().all()
        engine.dispose()

    assert measured == []


@pytest.mark.postgres
def test_the_owner_has_no_right_to_edit_the_log(postgres_server: PostgresServer) -> None:
    """As an ordinary role, which owns the tables; a superuser has every right."""
    with postgres_server.database() as url:
        admin = open_engine(url)
        with admin.begin() as connection:
            connection.execute(sa.text("CREATE ROLE lethe_plain"))
            connection.execute(sa.text("GRANT CREATE, USAGE ON SCHEMA public TO lethe_plain"))
        plain = make_url(url).update_query_dict({"options": "-c role=lethe_plain"})
        as_plain = plain.render_as_string(hide_password=False)
        schema.upgrade(as_plain)
        engine = open_engine(as_plain)
        try:
            for name in ("audit_leaf", "audit_node", "audit_checkpoint", "erasure_move"):
                with (
                    pytest.raises(DependencyUnavailableError) as refused,
                    engine.begin() as connection,
                ):
                    connection.execute(sa.delete(metadata.tables[name]))
                assert "InsufficientPrivilege" in str(refused.value.__cause__)
        finally:
            engine.dispose()
            with admin.begin() as connection:
                connection.execute(sa.text("DROP OWNED BY lethe_plain CASCADE"))
                connection.execute(sa.text("DROP ROLE lethe_plain"))
            admin.dispose()

"""The log's Merkle tree as both databases keep it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from app.adapters.db import schema
from app.adapters.db.audit_tables import audit_checkpoint, audit_leaf, audit_node
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.checkpoint import SignedCheckpoint
from app.domain.audit.merkle import Frontier, NodeId, extend, leaf_hash
from app.domain.errors import IntegrityError
from tests.audit_samples import MemoryLog
from tests.contract.persistence.sql_rows import NOW, at_once, leaf

N_THREADS = 8
N_EACH = 40


def as_signed(log: MemoryLog) -> SignedCheckpoint:
    return SignedCheckpoint(log.checkpoint_value(), log.checkpoint(), NOW)


def test_the_tree_grows_with_the_leaves_however_they_are_batched(uows: SqlUnitsOfWork) -> None:
    twin = MemoryLog()
    for n_leaves in (1, 2, 5, 1, 30):
        leaves = [leaf(f"r{number}") for number in range(n_leaves)]
        twin.append(*leaves)
        with uows.write() as uow:
            uow.audit.append(leaves)
        with uows.read() as uow:
            assert uow.audit.frontier() == twin.frontier
            assert uow.audit.nodes(list(twin.nodes)) == twin.nodes


def test_an_empty_log_has_an_empty_frontier(uows: SqlUnitsOfWork) -> None:
    with uows.read() as uow:
        assert uow.audit.frontier() == Frontier()
        assert uow.audit.nodes([]) == {}
        assert uow.audit.nodes([NodeId(0, 0), NodeId(3, 1)]) == {}


def test_a_rolled_back_append_leaves_no_node(uows: SqlUnitsOfWork) -> None:
    def append_and_stop() -> None:
        with uows.write() as uow:
            uow.audit.append([leaf("r"), leaf("s")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_stop()
    with uows.write() as uow:
        uow.audit.append([leaf("t"), leaf("u")])
        assert len(uow.audit.nodes([NodeId(0, 0), NodeId(0, 1), NodeId(1, 0)])) == 3


def test_concurrent_appenders_never_fork_the_tree(uows: SqlUnitsOfWork) -> None:
    def append(number: int) -> list[int]:
        numbers = []
        for each in range(N_EACH):
            with uows.write() as uow:
                uow.audit.lock()
                numbers += uow.audit.append([leaf(f"{number}.{each}")] * (1 + each % 2))
        return numbers

    given = [number for numbers in at_once(N_THREADS, append) for number in numbers]

    assert sorted(given) == list(range(len(given)))
    with uows.read() as uow:
        leaves = uow.audit.page(after=-1, limit=10**6, kind=None, request_id=None)
        assert [each.seq for each in leaves] == sorted(given)
        frontier, completed = extend(Frontier(), [leaf_hash(each.body) for each in leaves])
        assert uow.audit.frontier() == frontier
        assert uow.audit.nodes([at for at, _ in completed]) == dict(completed)


def test_appending_stops_when_the_tree_has_a_hole(uows: SqlUnitsOfWork, engine: Engine) -> None:
    with uows.write() as uow:
        uow.audit.append([leaf("r"), leaf("s")])
    without_triggers(engine, sa.delete(audit_node))

    with pytest.raises(IntegrityError, match="has holes"), uows.write() as uow:
        uow.audit.append([leaf("t")])
    with uows.read() as uow:
        assert uow.audit.size() == 2


def test_checkpoints_are_kept_by_size(uows: SqlUnitsOfWork) -> None:
    twin = MemoryLog()
    made = []
    for _ in range(3):
        twin.fill(4)
        made.append(as_signed(twin))
    with uows.write() as uow:
        assert uow.audit.newest_checkpoint() is None
        for each in made:
            uow.audit.add_checkpoint(each)
    with uows.read() as uow:
        assert uow.audit.newest_checkpoint() == made[-1]
        assert uow.audit.checkpoints(after=-1, limit=9) == made
        assert uow.audit.checkpoints(after=4, limit=1) == made[1:2]


def test_a_second_checkpoint_of_a_size_is_refused(uows: SqlUnitsOfWork) -> None:
    twin = MemoryLog()
    twin.fill(4)
    with uows.write() as uow:
        uow.audit.add_checkpoint(as_signed(twin))

    with pytest.raises(IntegrityError), uows.write() as uow:
        uow.audit.add_checkpoint(replace(as_signed(twin), at=NOW))


def test_a_checkpoint_that_is_not_the_signed_one_is_refused(
    uows: SqlUnitsOfWork, engine: Engine
) -> None:
    twin = MemoryLog()
    twin.fill(4)
    with uows.write() as uow:
        uow.audit.add_checkpoint(as_signed(twin))
    without_triggers(engine, sa.update(audit_checkpoint).values(root=bytes(32)))

    with uows.read() as uow, pytest.raises(IntegrityError, match="not the one that was signed"):
        uow.audit.newest_checkpoint()


def test_nodes_only_grow(uows: SqlUnitsOfWork, engine: Engine) -> None:
    with uows.write() as uow:
        uow.audit.append([leaf("r"), leaf("s")])
    overwrite = {
        "sqlite": "INSERT OR REPLACE INTO audit_node SELECT * FROM audit_node",
        "postgresql": "TRUNCATE audit_node",
    }
    attacks: list[sa.Executable] = [
        sa.update(audit_node).values(hash=bytes(32)),
        sa.delete(audit_node),
        sa.text(overwrite[engine.dialect.name]),
    ]

    for attack in attacks:
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(attack)


def test_upgrading_computes_the_tree_of_an_older_log(database_url: str, engine: Engine) -> None:
    schema.downgrade(database_url, revision="0001")
    twin = MemoryLog()
    twin.fill(1_023)
    rows = [
        {
            "seq": each.seq,
            "kind": "x",
            "at": NOW,
            "body": each.body,
            "leaf_hash": each.leaf_hash,
        }
        for each in twin.leaves
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(audit_leaf), rows)

    schema.upgrade(database_url)

    with engine.connect() as connection:
        found = connection.execute(sa.select(audit_node)).all()
    nodes = {NodeId(row.level, row.position): bytes(row.hash) for row in found}
    assert nodes == {at: hashed for at, hashed in twin.nodes.items() if at.level > 0}


def test_nodes_are_looked_up_and_never_scanned_for(migrated_file: Path, tmp_path: Path) -> None:
    """SQLite reads the whole table for ``(level, position) IN (...)``; found by a benchmark."""
    shutil.copyfile(migrated_file, tmp_path / "lethe.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'lethe.db'}")
    plans: list[str] = []

    def explain(
        connection: sa.Connection, _: object, text: str, values: Sequence[object], *__: object
    ) -> None:
        if text.startswith("SELECT audit_"):
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {text}", values)
            plans.extend(str(row[3]) for row in cursor.fetchall())

    with SqlUnitsOfWork(engine).read() as uow:
        event.listen(engine, "before_cursor_execute", explain)
        uow.audit.nodes([NodeId(0, 1), NodeId(0, 9), NodeId(1, 4), NodeId(1, 5), NodeId(7, 3)])
    engine.dispose()

    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")], plans


def without_triggers(engine: Engine, statement: sa.Executable) -> None:
    """Do what only the database's owner can do."""
    with engine.begin() as connection, no_triggers(connection):
        connection.execute(statement)


@contextmanager
def no_triggers(connection: Connection) -> Iterator[None]:
    """Let no trigger fire until the block ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET session_replication_role = replica"))
        yield
        connection.execute(sa.text("SET session_replication_role = DEFAULT"))
        return
    query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = connection.execute(query).all()
    for trigger in triggers:
        connection.execute(sa.text(f"DROP TRIGGER {trigger.name}"))
    yield
    for trigger in triggers:
        connection.execute(sa.text(trigger.sql))

"""The change feed, its followers and the audit log, on both databases."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from app.adapters.db.audit_tables import audit_checkpoint, audit_leaf
from app.adapters.db.session import Session
from app.adapters.db.tables import change
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.entries import LeafKind, StoredLeaf
from app.domain.errors import AppError, IntegrityError
from app.domain.models import Consent
from app.ports.persistence.feed import LiveProcess
from tests.contract.persistence.sql_rows import NOW, SECOND, leaf, request_id, user

ANNA, BERT = user("anna"), user("bert")
_REPLACE = {
    "audit_leaf": "INSERT OR REPLACE INTO audit_leaf SELECT * FROM audit_leaf",
    "audit_checkpoint": "INSERT OR REPLACE INTO audit_checkpoint SELECT * FROM audit_checkpoint",
}


def test_the_feed_begins_empty(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert (uow.changes.head(), uow.changes.tail()) == (0, 0)
        assert uow.changes.since(0, limit=9) == []
        assert uow.changes.append([]) == 0
        assert uow.changes.prune(upto=99) == 0
        assert uow.changes.tail() == 0


def test_every_user_gets_one_number(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert uow.changes.append([ANNA, BERT, ANNA]) == 2
        assert uow.changes.append([ANNA]) == 3
        first, second = sorted([ANNA, BERT])
        found = uow.changes.since(0, limit=9)
        assert found == [(1, first, True), (2, second, True), (3, ANNA, True)]
        assert uow.changes.since(1, limit=1) == found[1:2]
        assert uow.changes.since(3, limit=9) == []
        assert uow.changes.head() == 3


def test_what_was_not_told_to_wait_acts_at_once(uows: SqlUnitsOfWork, engine: Engine) -> None:
    """The version before writes entries without the column, while it is being replaced."""
    with uows.write() as uow:
        uow.changes.append([ANNA], at_once=False)
        uow.changes.append([ANNA])
        uow.changes.append([BERT], at_once=False)
    with engine.begin() as connection:
        connection.execute(sa.update(change).where(change.c.seq == 3).values(at_once=None))

    with uows.read() as uow:
        assert [one.at_once for one in uow.changes.since(0, limit=9)] == [False, True, True]


def test_standing_tells_of_a_user_what_the_row_does(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(ANNA, epoch=3, consent=Consent(NOW, "account"))
        uow.subjects.create(BERT, epoch=1)
        uow.changes.append([ANNA, BERT])

    with uows.read() as uow:
        for who in (ANNA, BERT):
            told = uow.changes.standing(who)
            assert told.subject == uow.subjects.get(who)
            assert told.head == 2
        assert uow.changes.standing(ANNA).subject is not None
        assert uow.changes.standing(user("nobody")).subject is None
        assert uow.changes.standing(None).subject is None


def test_what_the_driver_refuses_is_an_error_of_ours(engine: Engine) -> None:
    nowhere: sa.Select[Any] = sa.select(sa.column("x")).select_from(sa.table("nowhere"))
    with engine.connect() as connection, connection.begin():
        session = Session(connection, engine.dialect.name == "postgresql")
        with pytest.raises(AppError):
            session.briefly(nowhere, {})


def test_pruning_remembers_how_far(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        for _ in range(4):
            uow.changes.append([ANNA])
        assert uow.changes.prune(upto=2) == 2
        assert uow.changes.prune(upto=1) == 0
        assert (uow.changes.tail(), uow.changes.head()) == (2, 4)
        assert uow.changes.since(0, limit=9) == [(3, ANNA, True), (4, ANNA, True)]
        assert uow.changes.prune(upto=99) == 2
        assert (uow.changes.tail(), uow.changes.head()) == (4, 4)
        assert uow.changes.append([BERT]) == 5


def test_a_rolled_back_number_is_given_again(uows: SqlUnitsOfWork) -> None:
    def append_and_stop() -> None:
        with uows.write() as uow:
            uow.changes.append([ANNA])
            uow.audit.append([leaf("r")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_stop()

    with uows.write() as uow:
        assert uow.changes.append([BERT]) == 1
        assert uow.audit.append([leaf("r")]) == [0]


def test_a_process_lives_by_its_lease(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.processes.beat("b", acked_seq=1, lease_until=NOW)
        uow.processes.beat("a", acked_seq=1, lease_until=NOW)
        uow.processes.beat("a", acked_seq=7, lease_until=NOW + SECOND)
        assert uow.processes.live(now=NOW) == [LiveProcess("a", 7, NOW + SECOND)]
        assert [p.process_id for p in uow.processes.live(now=NOW - SECOND)] == ["a", "b"]

        uow.processes.beat("a", acked_seq=2, lease_until=NOW + SECOND)
        assert uow.processes.live(now=NOW) == [LiveProcess("a", 2, NOW + SECOND)]


def test_dead_and_leaving_processes_are_removed(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        for n in range(3):
            uow.processes.beat(str(n), acked_seq=0, lease_until=NOW + n * SECOND)
        assert uow.processes.remove_dead(before=NOW + SECOND) == 1
        uow.processes.remove("1")
        uow.processes.remove("nobody")
        assert [p.process_id for p in uow.processes.live(now=NOW)] == ["2"]


def test_leaves_are_numbered_and_hashed(uows: SqlUnitsOfWork) -> None:
    leaves = [leaf("r"), leaf("s"), leaf("r", kind=LeafKind.FORGET_COMPLETED)]
    with uows.write() as uow:
        assert uow.audit.append([]) == []
        assert uow.audit.append(leaves[:2]) == [0, 1]
        assert uow.audit.append(leaves[2:]) == [2]

    stored = [
        StoredLeaf(seq, one.canonical(), hashlib.sha256(b"\x00" + one.canonical()).digest())
        for seq, one in enumerate(leaves)
    ]
    with uows.read() as uow:
        assert uow.audit.size() == 3
        assert uow.audit.page(after=-1, limit=9, kind=None, request_id=None) == stored
        assert uow.audit.page(after=0, limit=1, kind=None, request_id=None) == stored[1:2]
        mine = uow.audit.page(after=-1, limit=9, kind=None, request_id=request_id("r"))
        assert mine == [stored[0], stored[2]]
        done = uow.audit.page(after=-1, limit=9, kind="forget.completed", request_id=None)
        assert done == [stored[2]]


@pytest.mark.parametrize("table", [audit_leaf, audit_checkpoint], ids=lambda table: table.name)
def test_the_log_only_grows(uows: SqlUnitsOfWork, engine: Engine, table: sa.Table) -> None:
    """By plain SQL, as somebody with the service's own rights would try."""
    with uows.write() as uow:
        uow.audit.append([leaf("r")])
    with engine.begin() as connection:
        point = {"size": 1, "root": b"root", "note": "note", "at": NOW}
        connection.execute(sa.insert(audit_checkpoint), point)
    overwrite = {"sqlite": _REPLACE[table.name], "postgresql": f"TRUNCATE {table.name}"}
    attacks: list[sa.Executable] = [
        sa.update(table).values(at=NOW + SECOND),
        sa.delete(table),
        sa.text(overwrite[engine.dialect.name]),
    ]

    for attack in attacks:
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(attack)

    with engine.connect() as connection:
        assert connection.execute(sa.select(table.c.at)).scalars().all() == [NOW]


def test_the_latest_sign_of_a_worker_is_kept(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert uow.processes.worker_seen_at() is None
        uow.processes.note_worker(at=NOW + SECOND)
        uow.processes.note_worker(at=NOW)

    with uows.read() as uow:
        seen_at = uow.processes.worker_seen_at()
    assert seen_at is not None
    assert abs(seen_at - (NOW + SECOND)) < SECOND / 1_000

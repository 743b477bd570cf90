"""The log tells of every move of a request that the database made, and of no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from app.adapters.db.accounts import SqlAccounts
from app.adapters.db.audit_log import SqlAuditLog
from app.adapters.db.audit_tables import audit_leaf
from app.adapters.db.session import Session
from app.adapters.db.tables import erasure_document, erasure_move, erasure_request
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.reconciliation import contradictions
from app.domain.erasure.request import Extension, Ground, RequestState
from app.domain.errors import AppError
from app.ports.persistence.documents import ErasureDocuments
from app.services.audit.reconciliation import ReconcileService
from app.services.erasure.transitions import transition
from tests.contract.persistence.sql_rows import NOW, new_request, request_id
from tests.contract.persistence.test_audit_tree import no_triggers

S = RequestState
WAY = (S.ERASING, S.SCRUBBED, S.VERIFYING, S.COMPLETED)


@pytest.fixture
def service(uows: SqlUnitsOfWork) -> ReconcileService:
    return ReconcileService(uows=uows)


def receive(uows: SqlUnitsOfWork, name: str) -> None:
    """Do what the acceptance of a request does in SQL."""
    new = new_request(name, who=name)
    one = new.request
    facts = {"scope": one.scope_kind, "due_at": one.due_at.isoformat()}
    with uows.write() as uow:
        uow.requests.add(new)
        uow.audit.append(
            [
                Leaf(LeafKind.FORGET_RECEIVED, one.received_at, one.request_id, facts),
                Leaf(LeafKind.FORGET_SUPPRESSED, one.received_at, one.request_id, {}),
            ]
        )
        uow.documents.add(one.request_id, ErasureDocuments("{}", salt=None, state_before=None))


def go(uows: SqlUnitsOfWork, name: str, *way: RequestState, ground: Ground | None = None) -> None:
    """Move a request as the services do."""
    for target in way:
        with uows.write() as uow:
            request = uow.requests.get(request_id(name))
            assert request is not None
            facts = {"ground": ground.value} if ground else {}
            transition(uow, request, target, at=NOW, fence=None, facts=facts, ground=ground)
            if target is S.COMPLETED:
                uow.documents.complete(request_id(name), certificate="{}")


@pytest.fixture(autouse=True)
def _lives(uows: SqlUnitsOfWork) -> None:
    """Requests of every end, and one under way."""
    for name in ("done", "refused", "failed", "open", "other"):
        receive(uows, name)
    go(uows, "done", *WAY)
    go(uows, "refused", S.ON_HOLD, S.SUPPRESSED, S.ON_HOLD)
    go(uows, "refused", S.REJECTED, ground=Ground.LEGAL_CLAIMS)
    go(uows, "failed", S.ERASING, S.FAILED, S.ERASING, S.SCRUBBED, S.VERIFYING, S.ERASING)
    later = NOW + timedelta(days=60)
    with uows.write() as uow:
        assert uow.requests.extend(
            request_id("open"), due_at=later, at=NOW, extension=Extension.COMPLEXITY, told_at=NOW
        )
        facts = {"due_at": later.isoformat()}
        uow.audit.append([Leaf(LeafKind.FORGET_EXTENDED, NOW, request_id("open"), facts)])


def test_what_the_services_did_is_consistent(service: ReconcileService) -> None:
    found = service.check()

    assert found.problems == ()
    assert found.is_consistent
    assert (found.n_requests, found.n_moves) == (5, 5 + 4 + 4 + 6)


def test_a_rolled_back_move_is_in_neither_account(
    uows: SqlUnitsOfWork, service: ReconcileService
) -> None:
    def move_and_stop() -> None:
        with uows.write() as uow:
            request = uow.requests.get(request_id("open"))
            assert request is not None
            transition(uow, request, S.ERASING, at=NOW, fence=None, facts={})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        move_and_stop()

    assert service.check().is_consistent


def _row(name: str, **values: object) -> sa.Update:
    update = sa.update(erasure_request).where(erasure_request.c.request_id == request_id(name))
    return update.values(**values)


def _leaf_of(name: str, kind: LeafKind) -> sa.ColumnElement[bool]:
    one = audit_leaf.c
    return sa.and_(one.request_id == request_id(name), one.kind == kind.value)


BEHIND_THE_SERVICE: dict[str, tuple[list[sa.Update | sa.Delete], str]] = {
    "moved": ([_row("open", state="completed")], "moved to completed, and no leaf says so"),
    "there and back": (
        [_row("open", state="on_hold"), _row("open", state="suppressed")],
        "moved to on_hold, and no leaf says so",
    ),
    "illegal": ([_row("done", state="erasing")], "from completed to erasing, which is no legal"),
    "no state": ([_row("open", state="gone")], "to gone, which is no legal move"),
    "due later": ([_row("other", due_at=NOW + timedelta(days=400))], "agree on when it is due"),
    "received later": ([_row("other", received_at=NOW + timedelta(1))], "when it was received"),
    "completed earlier": ([_row("done", completed_at=NOW - timedelta(1))], "it was completed"),
    "another scope": ([_row("other", scope_kind="items")], "agree on its scope"),
    "another ground": ([_row("refused", ground="expression")], "the ground of its rejection"),
    "row deleted": (
        [sa.delete(erasure_request).where(erasure_request.c.request_id == request_id("done"))],
        "its row is gone",
    ),
    "certificate deleted": ([sa.update(erasure_document).values(certificate=None)], "certificate"),
}
WITHOUT_TRIGGERS: dict[str, tuple[sa.Update | sa.Delete, str]] = {
    "moved in silence": (
        _row("open", state="completed"),
        "its row says completed, and its last move was to suppressed",
    ),
    "move deleted": (
        sa.delete(erasure_move).where(erasure_move.c.target == "scrubbed"),
        "a leaf says that it became scrubbed, and the database never moved it there",
    ),
    "leaf deleted": (
        sa.delete(audit_leaf).where(_leaf_of("failed", LeafKind.FORGET_FAILED)),
        "moved to failed, and no leaf says so",
    ),
    "received twice": (
        sa.update(audit_leaf)
        .where(_leaf_of("other", LeafKind.FORGET_SUPPRESSED))
        .values(body=sa.select(audit_leaf.c.body).where(audit_leaf.c.seq == 8).scalar_subquery()),
        "2 leaves say that it was received",
    ),
    "leaf filed elsewhere": (
        sa.update(audit_leaf)
        .where(_leaf_of("done", LeafKind.FORGET_VERIFYING))
        .values(request_id=request_id("other")),
        "is filed under it, and is not about it",
    ),
}


def _problems(connection: Connection) -> list[str]:
    """Return what is contradicted as this transaction sees it."""
    accounts = SqlAccounts(Session(connection, connection.dialect.name == "postgresql"))
    return [problem for account in accounts.all() for problem in contradictions(account)]


def test_what_is_done_to_rows_is_named(engine: Engine) -> None:
    for name, (statements, named) in BEHIND_THE_SERVICE.items():
        with engine.connect() as connection, connection.begin() as transaction:
            for statement in statements:
                assert connection.execute(statement).rowcount, name
            problems = _problems(connection)
            transaction.rollback()

        assert any(named in problem for problem in problems), (name, problems)


def test_what_is_done_without_triggers_is_named(engine: Engine) -> None:
    for name, (statement, named) in WITHOUT_TRIGGERS.items():
        with engine.connect() as connection, connection.begin() as transaction:
            with no_triggers(connection):
                assert connection.execute(statement).rowcount, name
            problems = _problems(connection)
            transaction.rollback()

        assert any(named in problem for problem in problems), (name, problems)


@pytest.mark.parametrize("kind", [LeafKind.FORGET_COMPLETED, LeafKind.FORGET_RECEIVED])
def test_an_invented_leaf_is_named(
    uows: SqlUnitsOfWork, service: ReconcileService, kind: LeafKind
) -> None:
    with uows.write() as uow:
        uow.audit.append([Leaf(kind, NOW, request_id("open"), {})])

    assert not service.check().is_consistent


def test_a_leaf_of_a_request_that_never_was_is_named(
    uows: SqlUnitsOfWork, service: ReconcileService
) -> None:
    with uows.write() as uow:
        uow.audit.append([Leaf(LeafKind.FORGET_RECEIVED, NOW, request_id("nobody"), {})])

    assert service.check().problems == (f"request {request_id('nobody')}: its row is gone",)


def test_the_database_refuses_to_edit_its_account(engine: Engine) -> None:
    for statement in (sa.update(erasure_move).values(target="x"), sa.delete(erasure_move)):
        with pytest.raises((sa.exc.DBAPIError, AppError)), engine.begin() as connection:
            connection.execute(statement)


def test_a_guard_that_was_taken_away_is_missed(engine: Engine) -> None:
    is_postgres = engine.dialect.name == "postgresql"
    for table in ("audit_leaf", "audit_node", "audit_checkpoint", "erasure_move"):
        with engine.connect() as connection, connection.begin() as transaction:
            log = SqlAuditLog(Session(connection, is_postgres))
            assert log.unguarded() == []
            disarm = f"ALTER TABLE {table} DISABLE TRIGGER ALL"
            connection.execute(
                sa.text(disarm if is_postgres else f"DROP TRIGGER {table}_refuses_delete")
            )
            (missing,) = log.unguarded()
            transaction.rollback()

        assert missing.startswith(table)


def test_a_guard_of_the_same_name_that_does_nothing_is_missed(engine: Engine) -> None:
    nothing = "trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    replace = [f"CREATE OR REPLACE FUNCTION refuse_change() RETURNS {nothing}"]
    if engine.dialect.name != "postgresql":
        nothing = "BEFORE UPDATE ON audit_leaf BEGIN SELECT 1; END"
        name = "audit_leaf_refuses_update"
        replace = [f"DROP TRIGGER {name}", f"CREATE TRIGGER {name} {nothing}"]
    with engine.connect() as connection, connection.begin() as transaction:
        for statement in replace:
            connection.execute(sa.text(statement))
        log = SqlAuditLog(Session(connection, engine.dialect.name == "postgresql"))
        missing = log.unguarded()
        transaction.rollback()

    assert any(name.startswith("audit_leaf") for name in missing)

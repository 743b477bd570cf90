"""What a transaction promises, on both databases."""

from __future__ import annotations

import threading
import traceback
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from app.adapters.db.engine import open_engine
from app.adapters.db.tables import counter
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.errors import DependencyUnavailableError, IntegrityError, InvalidInputError
from app.domain.models import Kind, RecordId
from tests.contract.persistence.sql_rows import NOW, add, interaction, user


class _StopError(Exception):
    """What a test raises."""


def _n_subjects(uows: SqlUnitsOfWork) -> int:
    with uows.read() as uow:
        return uow.subjects.count()


def _write_and_stop(uows: SqlUnitsOfWork, seen: list[str]) -> None:
    with uows.write() as uow:
        uow.subjects.create(user("anna"), epoch=1)
        uow.after_commit(lambda: seen.append("ran"))
        raise _StopError


def test_a_clean_exit_commits(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        uow.subjects.create(user("anna"), epoch=1)

    assert _n_subjects(uows) == 1


def test_an_exception_rolls_back(uows: SqlUnitsOfWork) -> None:
    with pytest.raises(_StopError):
        _write_and_stop(uows, [])

    assert _n_subjects(uows) == 0


def test_a_writer_can_write_after_another_failed(uows: SqlUnitsOfWork) -> None:
    with pytest.raises(_StopError), uows.write():
        raise _StopError

    with uows.write() as uow:
        uow.subjects.create(user("anna"), epoch=1)

    assert _n_subjects(uows) == 1


def test_actions_run_after_the_commit_in_their_order(uows: SqlUnitsOfWork) -> None:
    seen: list[tuple[str, int]] = []

    with uows.write() as uow:
        uow.subjects.create(user("anna"), epoch=1)
        uow.after_commit(lambda: seen.append(("first", _n_subjects(uows))))
        uow.after_commit(lambda: seen.append(("second", _n_subjects(uows))))
        assert seen == []

    assert seen == [("first", 1), ("second", 1)]


def test_an_action_may_write(uows: SqlUnitsOfWork) -> None:
    def create_another() -> None:
        with uows.write() as inner:
            inner.subjects.create(user("bert"), epoch=1)

    with uows.write() as uow:
        uow.after_commit(create_another)

    assert _n_subjects(uows) == 1


def test_no_action_runs_after_a_rollback(uows: SqlUnitsOfWork) -> None:
    seen: list[str] = []

    with pytest.raises(_StopError):
        _write_and_stop(uows, seen)

    assert seen == []


def test_a_failed_action_is_logged_by_its_code_and_the_next_one_runs(uows: SqlUnitsOfWork) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise DependencyUnavailableError("the queue does not answer")

    with capture_logs() as logs, uows.write() as uow:
        uow.after_commit(fail)
        uow.after_commit(lambda: seen.append("ran"))

    assert seen == ["ran"]
    assert [(log["event"], log["code"]) for log in logs] == [
        ("after_commit_failed", "dependency_unavailable")
    ]


def test_a_bug_in_an_action_is_not_swallowed(uows: SqlUnitsOfWork) -> None:
    def fail() -> None:
        raise _StopError

    with pytest.raises(_StopError), uows.write() as uow:
        uow.after_commit(fail)


def test_a_read_sees_one_snapshot(uows: SqlUnitsOfWork) -> None:
    with uows.read() as reader:
        before = reader.subjects.count()
        with uows.write() as writer:
            writer.subjects.create(user("anna"), epoch=1)
        after = reader.subjects.count()

    assert (before, after, _n_subjects(uows)) == (0, 0, 1)


def test_a_read_refuses_to_write(uows: SqlUnitsOfWork) -> None:
    with pytest.raises(RuntimeError, match="opened for reading"), uows.read() as uow:
        uow.subjects.create(user("anna"), epoch=1)

    assert _n_subjects(uows) == 0


def test_a_connection_that_read_can_write_and_the_other_way_round(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1)
    uows = SqlUnitsOfWork(engine)

    for n in range(3):
        with uows.write() as uow:
            uow.subjects.create(user(f"user {n}"), epoch=1)
        with pytest.raises(RuntimeError), uows.read() as uow:
            uow.subjects.delete(user(f"user {n}"))

    assert _n_subjects(uows) == 3
    uows.close()


def test_ping_measures_milliseconds(uows: SqlUnitsOfWork) -> None:
    assert 0 < uows.ping() < 5_000


def test_ping_says_so_when_the_schema_is_missing(uows: SqlUnitsOfWork, engine: Engine) -> None:
    with engine.begin() as connection:
        counter.drop(connection)

    with pytest.raises(DependencyUnavailableError):
        uows.ping()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql://lethe:secret@127.0.0.1:1/lethe"]
)
def test_a_database_that_is_not_there_is_unavailable(url: str) -> None:
    uows = SqlUnitsOfWork(open_engine(url))

    with pytest.raises(DependencyUnavailableError) as caught:
        uows.ping()

    assert "secret" not in "".join(traceback.format_exception(caught.value))
    uows.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/lethe"])
def test_a_database_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be a file|no support"):
        open_engine(url)


def test_an_empty_pool_is_unavailable(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1, lock_timeout_s=0.2)
    uows = SqlUnitsOfWork(engine)

    with uows.read(), uows.read(), pytest.raises(DependencyUnavailableError), uows.read():
        pass

    uows.close()


def test_a_writer_that_waits_too_long_gives_up(database_url: str) -> None:
    """Through two engines, as two processes would."""
    first = SqlUnitsOfWork(open_engine(database_url))
    second = SqlUnitsOfWork(open_engine(database_url, lock_timeout_s=0.2))

    with first.write() as uow:
        uow.changes.append({user("anna")})
        with pytest.raises(DependencyUnavailableError), second.write() as late:
            late.changes.append({user("bert")})

    with second.write() as uow:
        assert uow.changes.append({user("bert")}) == 2
    first.close()
    second.close()


def test_a_writer_waits_for_the_others_of_its_process(database_url: str) -> None:
    uows = SqlUnitsOfWork(open_engine(database_url, lock_timeout_s=0.2), lock_timeout_s=0.2)
    inside, may_leave = threading.Event(), threading.Event()

    def hold() -> None:
        with uows.write() as uow:
            uow.changes.append({user("anna")})
            inside.set()
            may_leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    with pytest.raises(DependencyUnavailableError), uows.write() as uow:
        uow.changes.append({user("bert")})
    may_leave.set()
    holder.join()
    uows.close()


def test_a_naive_time_is_refused(uows: SqlUnitsOfWork) -> None:
    naive = NOW.replace(tzinfo=None)

    with pytest.raises(ValueError, match="without a zone"):
        add(uows, interaction("anna", "1", at=naive))


def test_a_lone_surrogate_is_the_callers_fault(uows: SqlUnitsOfWork) -> None:
    with pytest.raises(InvalidInputError):
        add(uows, interaction("anna", "1", kind=Kind.NOTE, text="half a \ud800 pair"))


def test_nul_is_kept_or_is_the_callers_fault(uows: SqlUnitsOfWork, engine: Engine) -> None:
    row = interaction("anna", "1", kind=Kind.NOTE, text="a \x00 byte")

    if engine.dialect.name == "postgresql":
        with pytest.raises(InvalidInputError):
            add(uows, row)
    else:
        add(uows, row)
        with uows.read() as uow:
            assert uow.interactions.history(user("anna"))[0].text == "a \x00 byte"


def test_no_value_gets_into_an_error_or_its_trace(uows: SqlUnitsOfWork) -> None:
    one = interaction("anna", "1", text="my secret")
    clash = replace(interaction("anna", "2", text="my secret"), record_id=one.record_id)
    add(uows, one)

    with pytest.raises(IntegrityError) as caught:
        add(uows, clash)

    told = "".join(traceback.format_exception(caught.value))
    assert "my secret" not in told
    assert one.record_id not in told


def test_a_too_long_value_does_not_get_into_the_trace(uows: SqlUnitsOfWork, engine: Engine) -> None:
    long = replace(interaction("anna", "1"), record_id=RecordId("secret" * 100))

    if engine.dialect.name == "sqlite":  # which does not measure texts
        add(uows, long)
        return
    with pytest.raises(InvalidInputError) as caught:
        add(uows, long)

    assert "secret" not in "".join(traceback.format_exception(caught.value))

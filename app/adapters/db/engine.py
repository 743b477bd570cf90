"""Opens SQLite or PostgreSQL with the options Lethe needs, and translates driver errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from app.domain.errors import (
    AccessRefusedError,
    AppError,
    BusyError,
    DependencyUnavailableError,
    FieldError,
    IntegrityError,
    InvalidInputError,
)

BEGIN_OPTION: Final = "lethe_begin"
"""Execution option of a connection: one of the three below. SQLite only."""
READ: Final = "BEGIN"
WRITE: Final = "BEGIN IMMEDIATE"
NO_TRANSACTION: Final = "none"

_REFUSED: Final = ("authentication failed", "no password supplied", "no pg_hba.conf entry")
_BUSY: Final = ("database is locked", "too many clients", "connection slots")
_BUSY_STATES: Final = frozenset({"55P03", "57014", "40P01"})
"""SQLSTATE lock_not_available, query_canceled (a time limit), deadlock_detected."""
_READ_ONLY_TRANSACTION: Final = "25006"  # SQLSTATE read_only_sql_transaction


def open_engine(
    url: str,
    *,
    pool_size: int = 20,
    lock_timeout_s: float = 5.0,
    statement_timeout_s: float = 30.0,
    journal_mode: Literal["WAL", "DELETE"] = "WAL",
) -> Engine:
    """Open a pool of connections; nothing is connected yet.

    Args:
        url: ``sqlite:///path`` (a file) or ``postgresql://user:password@host:port/name``.
        pool_size: connections kept; as many again may be opened under load.
        lock_timeout_s: longest wait for another writer.
        statement_timeout_s: longest single statement, PostgreSQL only.
        journal_mode: SQLite only; DELETE keeps old pages no longer than a transaction lasts.

    Raises:
        ValueError: another database, or SQLite without a file.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {
        # Parameters are personal data: no error message may show them.
        "hide_parameters": True,
        "pool_size": pool_size,
        "max_overflow": pool_size,  # see SqlUnitsOfWork.connections
        "pool_timeout": lock_timeout_s,
    }
    match parsed.get_backend_name():
        case "sqlite":
            engine = _open_sqlite(
                parsed, options, lock_timeout_s=lock_timeout_s, journal_mode=journal_mode
            )
        case "postgresql" | "postgres":
            engine = _open_postgres(
                parsed.set(drivername="postgresql+psycopg"),
                options,
                lock_timeout_s=lock_timeout_s,
                statement_timeout_s=statement_timeout_s,
            )
        case other:
            message = f"no support for {other} databases"
            raise ValueError(message)
    event.listen(engine, "handle_error", _translate)
    return engine


def _open_sqlite(
    url: URL, options: dict[str, Any], *, lock_timeout_s: float, journal_mode: str
) -> Engine:
    if url.database in {None, "", ":memory:"}:
        message = "an SQLite database must be a file: several connections share it"
        raise ValueError(message)
    # The driver's own transaction control begins late and never IMMEDIATE; ours is explicit.
    arguments = {"isolation_level": None, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, **options)

    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        for pragma in (
            f"busy_timeout={int(lock_timeout_s * 1000)}",
            "secure_delete=ON",  # before the first page is written: freed bytes become zeros
            f"journal_mode={journal_mode}",
            "synchronous=FULL",  # a 202 survives a power cut
            "foreign_keys=ON",
            "recursive_triggers=ON",  # REPLACE would otherwise pass the append-only triggers
            "temp_store=MEMORY",  # no sort or VACUUM spills rows into a temporary file
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(BEGIN_OPTION, WRITE)
    # READ must refuse writes as PostgreSQL does; the switch outlives the transaction.
    query_only = mode == READ
    if connection.info.get("query_only", False) is not query_only:
        connection.exec_driver_sql(f"PRAGMA query_only={int(query_only)}")
        connection.info["query_only"] = query_only
    if mode == READ:  # which waits for nobody, so there is nothing for SQLAlchemy to translate
        connection.connection.cursor().execute(READ)
    elif mode != NO_TRANSACTION:
        connection.exec_driver_sql(mode)


def _open_postgres(
    url: URL, options: dict[str, Any], *, lock_timeout_s: float, statement_timeout_s: float
) -> Engine:
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": max(2, int(lock_timeout_s))},
        **options,
    )
    settings = (
        "SET TIME ZONE 'UTC'; "
        # One plan for everybody would take a lock on the partitions of everybody.
        "SET plan_cache_mode = force_custom_plan; "
        # To compile a statement for 64 partitions takes longer than to execute it.
        "SET jit = off; "
        f"SET lock_timeout = {int(lock_timeout_s * 1000)}; "
        f"SET statement_timeout = {int(statement_timeout_s * 1000)}; "
        f"SET idle_in_transaction_session_timeout = {int(statement_timeout_s * 1000)}"
    )

    def prepare(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's own
        connection.execute(settings)
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite address, None for another database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database is None:
        return None
    return Path(parsed.database).absolute()


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """Yield a connection outside of any transaction, for statements that may take long.

    PostgreSQL only. It is closed at the end and never used again.

    Raises:
        DependencyUnavailableError: the database does not answer, or is in use.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # the next setting is for these statements alone
        connection.exec_driver_sql("SET statement_timeout = 0")
        yield connection


def _translate(context: ExceptionContext) -> Exception | None:
    """Return our error for the driver's; None leaves an error that is a bug as it is."""
    error = context.original_exception
    if isinstance(error, UnicodeEncodeError):
        return _unstorable()
    if isinstance(error, ValueError):
        return ValueError(str(error))
    wrapped = context.sqlalchemy_exception
    if not isinstance(wrapped, sa.exc.DBAPIError):
        return None
    if _is_write_in_read(error):
        return RuntimeError("a write in a transaction opened for reading")
    if isinstance(wrapped, sa.exc.OperationalError | sa.exc.InterfaceError):
        return _outage(error)
    return _of_statement(error, wrapped)


def _outage(error: BaseException) -> DependencyUnavailableError:
    """Return what keeps the database from answering. Its own words are looked at, never passed on.

    PostgreSQL says only in words why it refuses a connection, and SQLite that it is locked.
    """
    words = str(error).lower()
    state = getattr(error, "sqlstate", None)
    if any(said in words for said in _REFUSED):
        return AccessRefusedError("the database refuses the name or password")
    if state in _BUSY_STATES or any(said in words for said in _BUSY):
        return BusyError("the database is busy")
    return DependencyUnavailableError("the database does not answer")


def _of_statement(error: BaseException, wrapped: sa.exc.DBAPIError) -> AppError:
    # PostgreSQL quotes the offending values in its message, and a stack trace prints the cause.
    error.args = (f"{type(error).__name__} {getattr(error, 'sqlstate', '')}".strip(),)
    if isinstance(wrapped, sa.exc.DataError):
        return _unstorable()
    if isinstance(wrapped, sa.exc.IntegrityError):
        return IntegrityError("the database refuses rows that contradict its own")
    return DependencyUnavailableError("the database refuses the statement")


def _unstorable() -> InvalidInputError:
    return InvalidInputError(
        FieldError("body", "holds a character or a number that cannot be stored")
    )


def _is_write_in_read(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        # The code's low byte is the primary result code.
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY
    return getattr(error, "sqlstate", None) == _READ_ONLY_TRANSACTION

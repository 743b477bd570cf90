"""Transactions: the only place that begins, commits and rolls back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final, cast

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from app.adapters.db import engine as engines
from app.adapters.db import maintenance
from app.adapters.db.access import SqlAccess
from app.adapters.db.accounts import SqlAccounts
from app.adapters.db.audit_log import SqlAuditLog
from app.adapters.db.deliveries import SqlDeliveries
from app.adapters.db.documents import SqlDocuments
from app.adapters.db.feed import SqlChanges, SqlProcesses
from app.adapters.db.items import SqlItems
from app.adapters.db.loads import SqlLoads
from app.adapters.db.rechecks import SqlRechecks
from app.adapters.db.records import SqlInteractions
from app.adapters.db.removals import SqlRemovals
from app.adapters.db.requests import SqlErasureRequests
from app.adapters.db.restores import SqlRestores
from app.adapters.db.sealed import EncryptedInteractions, EncryptedSuppressions
from app.adapters.db.session import Session
from app.adapters.db.subjects import SqlSubjects
from app.adapters.db.suppressions import SqlSuppressions
from app.adapters.db.tables import counter
from app.adapters.db.tickets import Tickets
from app.adapters.db.tombstones import SqlTombstones
from app.domain.errors import AppError, DependencyUnavailableError
from app.domain.models import Pseudonym
from app.ports.cipher import Cipher
from app.ports.persistence.unit_of_work import UnitOfWork

_log = structlog.get_logger(__name__)
_TAKES: Final = sa.text(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
)
_PING: Final = sa.select(counter.c.value).limit(1)


class SqlUnitsOfWork:
    """Opens transactions on SQLite or PostgreSQL. Safe to share between threads, not processes.

    Args:
        engine: from ``open_engine``; owned from here on.
        cipher: encrypts users' own words; None stores them in clear, for tests of SQL alone.
        ticket_key: seals the callers' numbers of requests; None likewise.
        lock_timeout_s: longest wait of a writer for the others of this process (SQLite), which
            may be a scrub: about 5 s for a million interactions.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        cipher: Cipher | None = None,
        ticket_key: bytes | None = None,
        lock_timeout_s: float = 30.0,
    ) -> None:
        self._tickets = Tickets(ticket_key)
        self._is_postgres = engine.dialect.name == "postgresql"
        self._engine = engine
        self._cipher = cipher
        self._readers = engine.execution_options(**_read_options(is_postgres=self._is_postgres))
        self._lock_timeout_s = lock_timeout_s
        # SQLite's waiters sleep and retry, which starves some of them; a lock wakes one at once.
        self._writer = threading.Lock()
        self._server_takes: int | None = None

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        with _connected(self._readers) as connection, connection.begin():
            unit = self._unit(connection)
            yield unit
        _run(unit.actions)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        with self._turn(), _connected(self._engine) as connection, connection.begin():
            unit = self._unit(connection)
            yield unit
        _run(unit.actions)

    def ping(self) -> float:
        """Reads a table, so that a database that was never migrated does not pass."""
        started = time.perf_counter()
        with _connected(self._readers) as connection, connection.begin():
            connection.execute(_PING).all()
        return (time.perf_counter() - started) * 1000

    def connections(self) -> dict[str, int]:
        """Return how many connections are in use, how many there may be, and may be to the server.

        The last is left out where there is no server.

        Raises:
            DependencyUnavailableError: the server does not answer.
        """
        pool = cast("sa.pool.QueuePool", self._engine.pool)
        found = {"in_use": pool.checkedout(), "most": 2 * pool.size()}
        if self._is_postgres and self._server_takes is None:
            with _connected(self._readers) as connection, connection.begin():
                self._server_takes = connection.execute(_TAKES).scalar_one()
        return found if self._server_takes is None else found | {"server": self._server_takes}

    def scrub(
        self, people: Collection[Pseudonym] | None = None, *, has_items: bool = False
    ) -> None:
        maintenance.scrub(self._engine, people, has_items=has_items)

    def close(self) -> None:
        """Close all idle connections. The next transaction opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._is_postgres:
            yield
            return
        if not self._writer.acquire(timeout=self._lock_timeout_s):
            raise DependencyUnavailableError("the database is busy with another writer")
        try:
            yield
        finally:
            self._writer.release()

    def _unit(self, connection: Connection) -> UnitOfWork:
        session = Session(connection, self._is_postgres)
        interactions, suppressions = SqlInteractions(session), SqlSuppressions(session)
        if self._cipher is not None:
            interactions = EncryptedInteractions(session, self._cipher)
            suppressions = EncryptedSuppressions(session, self._cipher)
        return UnitOfWork(
            subjects=SqlSubjects(session),
            interactions=interactions,
            items=SqlItems(session),
            removals=SqlRemovals(session),
            requests=SqlErasureRequests(session, self._tickets),
            tombstones=SqlTombstones(session),
            changes=SqlChanges(session),
            processes=SqlProcesses(session),
            audit=SqlAuditLog(session),
            loads=SqlLoads(session),
            documents=SqlDocuments(session),
            suppressions=suppressions,
            restores=SqlRestores(session),
            rechecks=SqlRechecks(session),
            accounts=SqlAccounts(session),
            deliveries=SqlDeliveries(session),
            access=SqlAccess(session),
        )


def _read_options(*, is_postgres: bool) -> dict[str, str | bool]:
    if is_postgres:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {engines.BEGIN_OPTION: engines.READ}


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """Yield a connection of the pool; DependencyUnavailableError when all are in use."""
    try:
        connection = engine.connect()
    except sa.exc.TimeoutError as exc:
        raise DependencyUnavailableError("all connections to the database are in use") from exc
    with connection:
        yield connection


def _run(actions: list[Callable[[], None]]) -> None:
    for action in actions:
        try:
            action()
        except AppError as exc:
            # The rows are committed, and the sweeper finds what the action failed to announce.
            _log.warning("after_commit_failed", code=exc.code)

"""One transaction over the relational side.

A service opens one unit of work per use case; nothing slow happens inside it.
Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from app.ports.persistence.accounts import Accounts
from app.ports.persistence.audit_log import AuditLog
from app.ports.persistence.documents import Documents
from app.ports.persistence.feed import Changes, Processes
from app.ports.persistence.loads import Loads
from app.ports.persistence.rechecks import Rechecks
from app.ports.persistence.records import Interactions, Items, Subjects
from app.ports.persistence.requests import ErasureRequests, Tombstones
from app.ports.persistence.restores import Restores
from app.ports.persistence.suppressions import Suppressions


class UnitOfWork(Protocol):
    """One transaction."""

    @property
    def subjects(self) -> Subjects:
        """Return the repository of users."""
        ...

    @property
    def interactions(self) -> Interactions:
        """Return the repository of interactions."""
        ...

    @property
    def items(self) -> Items:
        """Return the repository of the catalogue."""
        ...

    @property
    def requests(self) -> ErasureRequests:
        """Return the repository of erasure requests."""
        ...

    @property
    def tombstones(self) -> Tombstones:
        """Return the repository of tombstones."""
        ...

    @property
    def changes(self) -> Changes:
        """Return the repository of the change feed."""
        ...

    @property
    def processes(self) -> Processes:
        """Return the repository of serving processes."""
        ...

    @property
    def audit(self) -> AuditLog:
        """Return the repository of the audit log."""
        ...

    @property
    def loads(self) -> Loads:
        """Return the repository of how far data sets were loaded."""
        ...

    @property
    def documents(self) -> Documents:
        """Return the repository of erasure requests' documents."""
        ...

    @property
    def suppressions(self) -> Suppressions:
        """Return the repository of topics that users do not want."""
        ...

    @property
    def restores(self) -> Restores:
        """Return the repository of the restore gate."""
        ...

    @property
    def rechecks(self) -> Rechecks:
        """Return the repository of finished erasures that are searched for again."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Return the accounts of erasure requests, for comparing them with the audit log."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once the transaction is durable; never on rollback.

        An AppError raised by it is logged by code and dropped: the sweeper repairs.
        """
        ...


class UnitsOfWork(Protocol):
    """Opens transactions."""

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """Open a consistent snapshot as of its first statement.

        Raises:
            RuntimeError: something was written in it, which is a bug.
            DependencyUnavailableError: the database does not answer.
        """
        ...

    def write(self) -> AbstractContextManager[UnitOfWork]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Raises:
            DependencyUnavailableError: the database does not answer, or another writer was too
                slow. Where that happened to the commit itself, it may or may not stand.
            InvalidInputError: a text or number that the database cannot store, such as NUL.
            IntegrityError: rows that contradict each other.
        """
        ...

    def scrub(self) -> None:
        """Remove from the database's files what was deleted from its tables. Idempotent.

        Raises:
            DependencyUnavailableError: it does not answer, or a reader needs the old pages.
        """
        ...

    def ping(self) -> float:
        """Ask the database whether it is well; return milliseconds.

        Raises:
            DependencyUnavailableError: it does not answer.
        """
        ...

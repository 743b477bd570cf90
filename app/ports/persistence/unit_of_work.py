"""One transaction over the relational side.

A service opens one unit of work per use case; nothing slow happens inside it.
Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.models import Pseudonym
from app.ports.persistence.access import Access
from app.ports.persistence.accounts import Accounts
from app.ports.persistence.audit_log import AuditLog
from app.ports.persistence.deliveries import Deliveries
from app.ports.persistence.documents import Documents
from app.ports.persistence.feed import Changes, Processes
from app.ports.persistence.items import Items
from app.ports.persistence.loads import Loads
from app.ports.persistence.rechecks import Rechecks
from app.ports.persistence.records import Interactions, Subjects
from app.ports.persistence.removals import Removals
from app.ports.persistence.requests import ErasureRequests, Tombstones
from app.ports.persistence.restores import Restores
from app.ports.persistence.suppressions import Suppressions


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """One transaction: the repositories that work in it, and what is done after its commit."""

    subjects: Subjects
    interactions: Interactions
    items: Items
    removals: Removals
    requests: ErasureRequests
    tombstones: Tombstones
    changes: Changes
    processes: Processes
    audit: AuditLog
    loads: Loads
    documents: Documents
    suppressions: Suppressions
    restores: Restores
    rechecks: Rechecks
    accounts: Accounts
    deliveries: Deliveries
    access: Access
    actions: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run ``action`` once the transaction is durable; never on rollback.

        An AppError it raises is logged by its code and dropped: the sweeper makes up for it.
        """
        self.actions.append(action)


class UnitsOfWork(Protocol):
    """Opens transactions."""

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """Open a consistent snapshot as of its first statement.

        Raises:
            RuntimeError: something was written in it, which is a bug.
            DependencyUnavailableError: the database does not answer.
        """

    def write(self) -> AbstractContextManager[UnitOfWork]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Raises:
            DependencyUnavailableError: the database does not answer, or another writer was too
                slow. Where that happened to the commit itself, it may or may not stand.
            InvalidInputError: a text or number that the database cannot store, such as NUL.
            IntegrityError: rows that contradict each other.
        """

    def scrub(
        self, people: Collection[Pseudonym] | None = None, *, has_items: bool = False
    ) -> None:
        """Remove from the database's files what was deleted from its tables. Idempotent.

        Args:
            people: whose rows were deleted or changed, as the sealed manifests say, so that an
                attempt after a crash knows them; None cleans of everybody.
            has_items: whether the catalogue's are meant, too, or users' alone.

        Raises:
            DependencyUnavailableError: it does not answer, or a reader needs the old pages.
        """

    def ping(self) -> float:
        """Check the database; return milliseconds.

        Raises:
            DependencyUnavailableError: it does not answer.
        """

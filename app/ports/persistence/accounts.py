"""What the database holds of each erasure request, to be compared with the audit log.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from app.domain.erasure.reconciliation import Account


class Accounts(Protocol):
    """The accounts of all requests."""

    def all(self) -> Iterator[Account]:
        """Yield every request that has a row, a move or a leaf, by id, in constant memory."""

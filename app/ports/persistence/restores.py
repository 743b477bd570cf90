"""What the restore guard stores in SQL. Every error of the database: DependencyUnavailableError."""

from __future__ import annotations

from typing import Protocol

from app.domain.models import RequestId


class Restores(Protocol):
    """Erasures that are repeated after a restore, and the vector store's least mark."""

    def add(self, request_id: RequestId) -> None:
        """Record, in the transaction that accepts it, that a request repeats an erasure."""

    def n_open(self) -> int:
        """Return how many of these requests are not final."""

    def memory_mark(self) -> int:
        """Return the number that the vector store must have; 0 at first."""

    def note_memory_mark(self, mark: int) -> None:
        """Set that number unless it is higher already."""

"""What the restore gate keeps in SQL. Every error of the database: DependencyUnavailableError."""

from __future__ import annotations

from typing import Protocol

from app.domain.models import RequestId


class Restores(Protocol):
    """Erasures that are repeated after a restore, and how old the vector store must not be."""

    def add(self, request_id: RequestId) -> None:
        """Note that a request repeats an erasure, in the transaction that accepts it."""

    def n_open(self) -> int:
        """Return how many of these requests are not final."""

    def memory_mark(self) -> int:
        """Return the number that the vector store must have; 0 at first."""

    def note_memory_mark(self, mark: int) -> None:
        """Keep that number; never back."""

"""Short-lived values by user."""

from __future__ import annotations

from typing import Protocol

from app.domain.models import Pseudonym


class Cache(Protocol):
    """Answers kept for a moment, each indexed by its user. Errors: DependencyUnavailableError."""

    def get(self, pseudonym: Pseudonym, key: str) -> bytes | None:
        """Return what was put under (user, key) if it has not expired."""

    def put(self, pseudonym: Pseudonym, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for at most ``ttl_s`` seconds."""

    def erase(self, pseudonym: Pseudonym) -> int:
        """Remove everything of the user; return how many entries there were."""

    def count(self, pseudonym: Pseudonym) -> int:
        """Return how many entries of the user there are."""

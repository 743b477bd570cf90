"""Topics that users do not want, kept until they lift them.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from app.domain.models import Pseudonym, RequestId
from app.domain.recommendation.topic import Topic


class Suppressions(Protocol):
    """Suppressed topics by user."""

    def add(
        self, pseudonym: Pseudonym, topic: Topic, *, request_id: RequestId, at: datetime
    ) -> None:
        """Suppress a topic; a repeat changes nothing."""

    def of(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, list[Topic]]:
        """Return the topics of those users who have any, by topic id."""

    def remove(self, pseudonym: Pseudonym, *, topic_id: str) -> bool:
        """Lift one; return whether there was one."""

    def remove_all(self, pseudonym: Pseudonym) -> int:
        """Remove all of a user; return how many."""

    def remove_of(self, request_id: RequestId) -> int:
        """Remove those of a request that was rejected."""

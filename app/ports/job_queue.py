"""The doorbell of the workers."""

from __future__ import annotations

from typing import Protocol

from app.domain.models import RequestId


class JobQueue(Protocol):
    """Tells workers that there is work; the row in SQL is the truth."""

    def ring(self, request_id: RequestId) -> None:
        """Announce ``request_id``; at least once, in no order. The message holds nothing else.

        Raises:
            DependencyUnavailableError: the broker does not answer; the sweeper will find the row.
        """

"""The queue that wakes workers."""

from __future__ import annotations

from typing import Protocol

from app.domain.models import RequestId


class JobQueue(Protocol):
    """Tells workers that there is work; the row in SQL is the truth."""

    def ring(self, request_id: RequestId) -> None:
        """Send ``request_id`` to a worker: at least once, in no order, and nothing else with it.

        Raises:
            DependencyUnavailableError: the broker does not answer; the sweeper will find the row.
        """

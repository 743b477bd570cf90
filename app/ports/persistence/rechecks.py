"""Finished erasures that are searched for again. Every error: DependencyUnavailableError."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.models import RequestId


@dataclass(frozen=True, slots=True)
class Recheck:
    """The rechecks of a finished erasure.

    Args:
        n_clean: rechecks that were clean so far.
        fingerprints: encoded.
    """

    request_id: RequestId
    completed_at: datetime
    n_clean: int
    fingerprints: str


class Rechecks(Protocol):
    """Fingerprints by request, until the last recheck."""

    def add(self, recheck: Recheck, *, due_at: datetime) -> None:
        """Schedule the rechecks of an erasure."""

    def take_due(self, *, now: datetime, until: datetime, limit: int) -> list[Recheck]:
        """Return those due at ``now``, and reserve them for this process until ``until``."""

    def reschedule(self, request_id: RequestId, *, n_clean: int, due_at: datetime) -> None:
        """Record a recheck, and when the next one is due."""

    def remove(self, request_id: RequestId) -> None:
        """End the rechecks of an erasure."""

    def note_returned(self, n: int) -> None:
        """Count rechecks that found residue, or whose probe did not find its canary."""

    def n_returned(self) -> int:
        """Return that count; it never falls."""

    def count(self) -> int:
        """Return how many erasures have rechecks to come."""

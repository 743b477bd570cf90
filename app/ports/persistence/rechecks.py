"""Finished erasures that are searched for again. Every error: DependencyUnavailableError."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.models import RequestId


@dataclass(frozen=True, slots=True)
class Recheck:
    """What a finished erasure is searched for by.

    Args:
        looks: how many were clean so far.
        prints: encoded fingerprints.
    """

    request_id: RequestId
    completed_at: datetime
    looks: int
    prints: str


class Rechecks(Protocol):
    """Fingerprints by request, until the last look."""

    def add(self, watch: Recheck, *, due_at: datetime) -> None:
        """Begin to watch."""

    def take_due(self, *, now: datetime, until: datetime, limit: int) -> list[Recheck]:
        """Return those due at ``now``, and let no other process have them before ``until``."""

    def looked(self, request_id: RequestId, *, looks: int, due_at: datetime) -> None:
        """Note a look, and when the next one is due."""

    def remove(self, request_id: RequestId) -> None:
        """Watch no longer."""

    def note_returned(self, n: int) -> None:
        """Count looks that found residue, or could not have found any."""

    def n_returned(self) -> int:
        """Return that count; it never falls."""

    def count(self) -> int:
        """Return how many erasures are watched."""

"""Keys of callers and staff, and sessions that were ended.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.domain.access import AccessKey


class Access(Protocol):
    """Rows about systems and staff; no user is in them."""

    def add(self, key: AccessKey) -> None:
        """Keep a key."""

    def all(self) -> list[AccessKey]:
        """Return the keys by name, the oldest of each first."""

    def end(self, name: str, *, at: datetime) -> int:
        """Let the keys of a name end then, if they do not end before; return how many do."""

    def end_session(self, session_id: str, *, at: datetime, until: datetime) -> None:
        """Remember that a session is over, and no longer those that were until before ``at``.

        Args:
            session_id: 32 hex digits.
            at: now.
            until: when its cookie is worth nothing in any case.
        """

    def has_ended(self, session_id: str) -> bool:
        """Whether the session was ended."""

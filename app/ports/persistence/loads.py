"""How far each data set was loaded, so that a broken load goes on where it was.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Loads(Protocol):
    """Positions by name of the data set."""

    def get(self, dataset: str) -> tuple[int, int] | None:
        """Return (line, offset) behind the last entry stored, or None."""

    def put(self, dataset: str, *, line: int, offset: int, at: datetime) -> None:
        """Remember a position."""

    def drop(self, dataset: str) -> None:
        """Forget the position: the set was loaded whole."""

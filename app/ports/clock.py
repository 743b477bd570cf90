"""Time, ids and randomness, so that no test freezes a clock."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The present."""

    def now(self) -> datetime:
        """Return the present time, aware, UTC."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back, for durations and deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""

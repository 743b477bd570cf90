"""Counting things that happen, by kind, across threads."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock


class Tally:
    """Sums by name; names are a closed set, never anybody's data. Safe for threads."""

    def __init__(self, *names: str) -> None:
        """Start with ``names`` at zero, so that they are shown before anything happens."""
        self._lock = Lock()
        self._sums = dict.fromkeys(names, 0.0)

    def add(self, name: str, amount: float = 1) -> None:
        """Add to the sum of ``name``."""
        with self._lock:
            self._sums[name] = self._sums.get(name, 0.0) + amount

    def read(self) -> Mapping[str, float]:
        """Return the sums as they are now."""
        with self._lock:
            return dict(self._sums)

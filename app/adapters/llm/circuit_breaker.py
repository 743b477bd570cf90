"""A circuit breaker: a dependency that is down costs its callers nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import inf
from threading import Lock
from time import monotonic


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One trial is under way; all other calls are still refused."""


class CircuitBreaker:
    """Counts failures in a row; starts open, with a trial allowed at once.

    Starting open means that nothing is called before it was tried. Safe for threads.

    Args:
        failures: how many in a row open it, >= 1.
        cool_down_s: seconds between opening and the next trial, >= 0.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self, *, failures: int, cool_down_s: float, now: Callable[[], float] = monotonic
    ) -> None:
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._now = now
        self._lock = Lock()
        self._state = BreakerState.OPEN
        self._opened_at = -inf
        self._in_a_row = 0

    @property
    def state(self) -> BreakerState:
        """The present state; an open breaker stays open until someone begins a trial."""
        return self._state

    def begin_trial(self) -> bool:
        """Return True for the one caller who shall try now, once per cool-down."""
        with self._lock:
            if self._state is not BreakerState.OPEN:
                return False
            if self._now() - self._opened_at < self._cool_down_s:
                return False
            self._state = BreakerState.HALF_OPEN
            return True

    def succeeded(self, *, in_trial: bool = False) -> None:
        """Record a success. Only a trial's closes the breaker; a straggler's cannot."""
        with self._lock:
            if in_trial or self._state is BreakerState.CLOSED:
                self._state = BreakerState.CLOSED
                self._in_a_row = 0

    def failed(self, *, in_trial: bool = False) -> bool:
        """Record a failure, of a trial or of a call that had gone through.

        Returns:
            Whether this one opened the breaker.
        """
        with self._lock:
            is_closed = self._state is BreakerState.CLOSED
            self._in_a_row += is_closed
            opens = in_trial or (is_closed and self._in_a_row >= self._failures)
            if opens:
                self._state = BreakerState.OPEN
                self._opened_at = self._now()
                self._in_a_row = 0
            return opens

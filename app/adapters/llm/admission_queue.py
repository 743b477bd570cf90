"""The queue before the LLM: so many at once, so many waiting, and nobody past a deadline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Condition
from time import monotonic

from app.domain.errors import DependencyUnavailableError
from app.domain.tally import Tally


class AdmissionQueue:
    """Admits callers to a resource that serves only some at once.

    A caller that would have to wait behind too many, or past its deadline, is refused at once or
    at the deadline: an answer in the fused order now is worth more than the model's order late.
    Safe for threads; turns are taken in the order of arrival.

    Args:
        running: admitted at once, >= 1.
        waiting: in line at most, >= 0.
    """

    def __init__(self, *, running: int, waiting: int) -> None:
        self._most_running = running
        self._most_waiting = waiting
        self._changed = Condition()
        self._running = 0
        self._line: list[object] = []
        self.tally = Tally("admitted", "refused", "waited_s")

    @contextmanager
    def admitted(self, *, timeout_s: float) -> Iterator[float]:
        """Wait for a turn, and hold it; gives the seconds that are left of ``timeout_s``.

        Raises:
            DependencyUnavailableError: the line is full, or no turn in time.
        """
        started = monotonic()
        try:
            self._enter(deadline=started + timeout_s)
        except DependencyUnavailableError:
            self.tally.add("refused")
            raise
        waited_s = monotonic() - started
        self.tally.add("admitted")
        self.tally.add("waited_s", waited_s)
        try:
            yield timeout_s - waited_s
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def read(self) -> Mapping[str, float]:
        """Return how many are ``running`` and ``waiting`` now."""
        with self._changed:
            return {"running": self._running, "waiting": len(self._line)}

    def _enter(self, *, deadline: float) -> None:
        with self._changed:
            if self._running >= self._most_running and len(self._line) >= self._most_waiting:
                message = "too many wait for the LLM"
                raise DependencyUnavailableError(message)
            ticket = object()
            self._line.append(ticket)
            try:
                is_admitted = self._changed.wait_for(
                    lambda: self._line[0] is ticket and self._running < self._most_running,
                    timeout=max(deadline - monotonic(), 0),
                )
                if not is_admitted:
                    message = "the LLM had no time before the deadline"
                    raise DependencyUnavailableError(message)
                self._running += 1
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()

"""How many recommendations are computed at once, and which of them are on their way out."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.domain.models import Pseudonym

EMBEDDED: Final = 1
"""The fastest of all (``benchmarks/results/serving_turns.json``, 2 cores)."""
WITH_SERVERS: Final = 4
"""A turn waits for the network there, while another computes."""
_PATIENCE_S: Final = 1.0
"""Most seconds a forget waits. An answer that has passed its last check needs milliseconds; a
caller that reads slowly must not hold up another's request."""


class ConcurrencyLimiter:
    """Lets a few threads compute, first come, first served; the others sleep.

    Python runs one thread at a time, and a thread hands over at every call that can run without
    the interpreter (a statement of SQLite, a sum of NumPy): hundreds of times an answer. With two
    or three threads that is cheap; with sixteen the hand-overs cost more than the answers
    (``docs/decisions/0029-limiter.md``). Who waits for somebody else's work gives the turn up.

    Args:
        at_once: threads that compute at once, >= 1.
    """

    def __init__(self, at_once: int) -> None:
        """Begin with every turn free."""
        self._lock = threading.Lock()
        self._free = at_once
        self._waiting: deque[threading.Lock] = deque()
        self._mine = threading.local()

    @property
    def n_waiting(self) -> int:
        """How many threads wait for their turn at the moment."""
        return len(self._waiting)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Compute in the block. Must not be nested."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Wait for something in the block, while another computes; nothing for who has no turn."""
        if not getattr(self._mine, "turn", False):
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                called = None
            else:
                called = threading.Lock()
                called.acquire()
                self._waiting.append(called)
        if called is not None:
            called.acquire()  # until somebody hands the turn over
        self._mine.turn = True

    def _give(self) -> None:
        self._mine.turn = False
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class InFlightAnswers:
    """The personalised answers of this process that have passed, or are at, their last check.

    An answer enters before it looks at the epoch for the last time, and leaves once it is sent.
    A forget that has committed waits for those who are in: whoever enters later sees the new
    epoch. So the 202 is behind every answer that rests on the data. Other processes' answers are
    not known here; one that was checked at the moment of the commit may arrive milliseconds later.
    """

    def __init__(self) -> None:
        """Begin with nobody on the way."""
        self._changed = threading.Condition()
        self._leaving: defaultdict[Pseudonym, set[object]] = defaultdict(set)

    @contextmanager
    def leaving(self, pseudonym: Pseudonym) -> Iterator[None]:
        """Count an answer as on its way until the block ends; on any thread."""
        ticket = object()
        with self._changed:
            self._leaving[pseudonym].add(ticket)
        try:
            yield
        finally:
            with self._changed:
                self._leaving[pseudonym].discard(ticket)
                if not self._leaving[pseudonym]:
                    del self._leaving[pseudonym]
                self._changed.notify_all()

    def wait(self, pseudonym: Pseudonym, *, patience_s: float = _PATIENCE_S) -> bool:
        """Wait for the user's answers that are on their way now; return whether all have left."""
        with self._changed:
            there = set(self._leaving.get(pseudonym, ()))
            return self._changed.wait_for(
                lambda: there.isdisjoint(self._leaving.get(pseudonym, ())), timeout=patience_s
            )

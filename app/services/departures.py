"""Answers on their way out, so that the answer to a forget leaves behind them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.domain.models import Pseudonym

_PATIENCE_S: Final = 1.0
"""Most seconds a forget waits. An answer that has passed its last check needs milliseconds; a
caller that reads slowly must not hold up another's request."""


class Departures:
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

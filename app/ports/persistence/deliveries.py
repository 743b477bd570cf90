"""How far each registered address has been told of the log, and what it could not be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """The place of one address in the log.

    Args:
        target: SHA-256 of the address, which may hold a secret.
        next_seq: first leaf that it has not been told of.
        attempts: failed ones at that leaf.
        error_code: of the last of them.
    """

    target: str
    next_seq: int
    attempts: int
    error_code: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A leaf that an address was not told of, after many attempts."""

    target: str
    seq: int
    request_id: str
    kind: str
    failed_at: datetime


class Deliveries(Protocol):
    """Places in the log by address, and dead letters."""

    def take(self, target: str, *, begin: int, now: datetime, until: datetime) -> Delivery | None:
        """Take an address for this process until ``until``; None where it is taken, or waits.

        One that is new begins with the leaf ``begin``.
        """

    def put_back(self, delivery: Delivery, *, not_before: datetime) -> None:
        """Record how far it came, and let it be taken from ``not_before`` on."""

    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter, once."""

    def all(self) -> Sequence[Delivery]:
        """Return the place of each address."""

    def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return the newest dead letters."""

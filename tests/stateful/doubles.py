"""The state machine's doubles: a clock that it moves, a ledger and a queue that do nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.domain.erasure.request import Tombstone
from app.domain.models import RequestId


@dataclass
class SetClock:
    """Time that stands still until it is moved."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class NoLedger:
    """A ledger that keeps nothing, because these tests are about leases only."""

    def note(self, tombstones: Sequence[Tombstone]) -> None:
        pass

    def drop(self, request_id: RequestId) -> None:
        pass

    def request_ids(self) -> set[RequestId]:
        return set()

    def tombstones(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        return []


class SilentQueue:
    """A queue that drops everything: the row alone must be enough."""

    def ring(self, request_id: RequestId) -> None:
        pass

"""What has been erased, kept away from the data, so that an old copy of the data can be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from app.domain.audit.checkpoint import SignedNote
from app.domain.erasure.request import Tombstone
from app.domain.models import RequestId


class ErasureLedger(Protocol):
    """Copies of tombstones, by request. All errors: KeyUnavailableError.

    It lies with the keys, which no backup of the data holds: after a restore it knows more than
    the data do. Holds no pseudonym, and says nothing without the pepper.
    """

    def note(self, tombstones: Sequence[Tombstone]) -> None:
        """Keep these; a repeat changes nothing. Durable when it returns."""

    def drop(self, request_id: RequestId) -> None:
        """Forget a request whose data stay after all: rejected, or held."""

    def request_ids(self) -> set[RequestId]:
        """Return the requests that it knows."""

    def tombstones(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        """Return what was kept of these requests."""


class LogHeads(Protocol):
    """The newest signed checkpoint of each log. All errors: KeyUnavailableError.

    It lies where the ledger lies: after a restore of the data it knows how far the log had come.
    """

    def newest(self) -> SignedNote | None:
        """Return the newest checkpoint of the newest log; None while nothing was signed."""

    def note_head(self, number: int, *, size: int, note: SignedNote) -> None:
        """Keep this checkpoint of log ``number`` unless a larger one is kept. Durable."""

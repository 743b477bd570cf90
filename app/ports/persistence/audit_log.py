"""The append-only log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from app.domain.audit.checkpoint import SignedCheckpoint
from app.domain.audit.entries import Leaf, StoredLeaf
from app.domain.audit.merkle import Frontier, NodeId
from app.domain.models import RequestId


class AuditLog(Protocol):
    """The append-only log."""

    def append(self, leaves: Sequence[Leaf]) -> list[int]:
        """Append in order; return the 0-based numbers. Gapless over concurrent appenders.

        The tree's nodes that the leaves complete are kept in the same transaction.

        Raises:
            IntegrityError: the nodes kept so far do not fit the number of leaves.
        """

    def page(
        self, *, after: int, limit: int, kind: str | None, request_id: RequestId | None
    ) -> list[StoredLeaf]:
        """Return leaves with a number above ``after`` (-1 for all), in order."""

    def size(self) -> int:
        """Return the number of leaves."""

    def lock(self) -> None:
        """Lock the log against other appenders and signers until the transaction ends."""

    def unguarded(self) -> list[str]:
        """Return which of the triggers that refuse edits are missing, or do something else."""

    def frontier(self) -> Frontier:
        """Return the tree's peaks, for the root over all leaves.

        Raises:
            IntegrityError: a leaf or a node that must be there is missing.
        """

    def nodes(self, ids: Collection[NodeId]) -> Mapping[NodeId, bytes]:
        """Return hashes of perfect subtrees, level 0 being the leaves; missing ones left out."""

    def add_checkpoint(self, checkpoint: SignedCheckpoint) -> None:
        """Store a signed checkpoint.

        Raises:
            IntegrityError: there is one of that size.
        """

    def newest_checkpoint(self) -> SignedCheckpoint | None:
        """Return the signed checkpoint of the largest size, None where there is none yet."""

    def checkpoints(self, *, after: int, limit: int) -> list[SignedCheckpoint]:
        """Return signed checkpoints of sizes above ``after`` (-1 for all), by size."""

    def add_cosignature(self, size: int, *, witness: str, line: str) -> None:
        """Store a witness's signature line under the checkpoint of ``size``, once."""

    def cosigned(self, *, limit: int) -> list[SignedCheckpoint]:
        """Return the newest checkpoints that witnesses signed, newest first, with their lines."""

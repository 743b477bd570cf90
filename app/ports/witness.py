"""Somebody else who signs checkpoints of the audit log, after having seen that they follow."""

from __future__ import annotations

from typing import Protocol

from app.domain.audit.checkpoint import SignedNote
from app.domain.errors import AppError


class WitnessAheadError(AppError):
    """The witness has seen another size than it was told.

    Args:
        size: leaves it has seen of this log.
    """

    code = "witness_ahead"

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__(f"the witness has seen {size} leaves")
        self.size = size


class Witness(Protocol):
    """One witness, by the protocol of c2sp.org/tlog-witness."""

    @property
    def name(self) -> str:
        """The witness's name in the policy."""

    def add_checkpoint(self, note: SignedNote, *, old: int, path: tuple[bytes, ...]) -> SignedNote:
        """Have a checkpoint cosigned; return it with the witness's signature alone.

        Args:
            note: the checkpoint.
            old: leaves that the witness saw last; 0 for none.
            path: RFC 9162 consistency proof from there.

        Raises:
            WitnessAheadError: it saw another number of leaves last.
            DependencyUnavailableError: it does not answer, refuses, or signed something else.
        """

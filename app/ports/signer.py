"""The key that signs checkpoints, receipts and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.domain.certificates.signed_document import SigningKey


class Signer(Protocol):
    """Holds the service's signing key, shared by every process of the service."""

    def current(self) -> SigningKey:
        """Return the key that signs now, with the rotations that lead to it.

        Raises:
            DependencyUnavailableError: the key store does not answer; nothing may be signed,
                so nothing that needs a signature may be done.
            IntegrityError: the key store holds something else, or others can read it.
        """

    def rotate(self, *, at: datetime) -> SigningKey:
        """Make a new key that the old one names as its successor, and return it.

        The old key's private half is destroyed.

        Raises:
            DependencyUnavailableError: the key store does not answer; the old key stays.
            IntegrityError: as above.
        """

    def is_at_home(self) -> bool:
        """Whether the key lies where it was settled: false for a copy, or after a move.

        Raises:
            DependencyUnavailableError: the key store does not answer.
        """

    def settle(self) -> None:
        """Make the present place the key's home.

        Raises:
            DependencyUnavailableError: the key store cannot be written.
        """

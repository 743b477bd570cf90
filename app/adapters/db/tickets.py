"""The callers' numbers of requests, sealed so that the same number is the same ciphertext."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from app.domain.errors import IntegrityError


class Tickets:
    """AES-SIV (RFC 5297): a number can be looked for by its ciphertext, and read by no database.

    Args:
        key: 32 bytes; None stores numbers in clear, for tests of SQL alone.
    """

    def __init__(self, key: bytes | None) -> None:
        self._aead = None if key is None else AESSIV(key)

    def seal(self, ticket: str | None) -> str | None:
        if ticket is None or self._aead is None:
            return ticket
        return urlsafe_b64encode(self._aead.encrypt(ticket.encode(), None)).decode()

    def open(self, sealed: str | None) -> str | None:
        """Return the number.

        Raises:
            IntegrityError: it was sealed by another key, or changed.
        """
        if sealed is None or self._aead is None:
            return sealed
        try:
            return self._aead.decrypt(urlsafe_b64decode(sealed), None).decode()
        except (InvalidTag, ValueError):
            raise IntegrityError("a request's number was sealed by another key") from None

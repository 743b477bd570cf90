"""Sealing users' own words: whoever stores them sees ciphertext."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from app.domain.models import Pseudonym


class Cipher(Protocol):
    """Authenticated encryption under each user's key.

    ``purpose`` and label are bound to a text: sealed, it opens in its own place only.
    """

    def prepare(self, pseudonyms: Collection[Pseudonym]) -> None:
        """Make keys for those who have none. As ``KeyVault.ensure``: users locked, not erased.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """

    def seal(
        self, texts: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        """Return ciphertexts (ASCII, 4/3 of the text and 42 characters) by the texts' labels.

        Raises:
            KeyMissingError: there is no key.
            KeyUnavailableError: the vault does not answer.
        """

    def open(
        self, sealed: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        """Return texts by the ciphertexts' labels.

        Raises:
            KeyMissingError: there is no key.
            KeyUnavailableError: the vault does not answer.
            IntegrityError: a ciphertext is damaged, of another place, or of a former key.
        """

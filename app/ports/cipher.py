"""Encrypts users' own words, so that the stores hold ciphertext only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from app.domain.models import Pseudonym


class Cipher(Protocol):
    """Authenticated encryption under each user's key.

    A ciphertext opens only under the user, purpose and label it was made for.
    """

    def prepare(self, pseudonyms: Collection[Pseudonym]) -> None:
        """Create missing keys. The users must be locked and not erased, see ``KeyVault.ensure``.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """

    def seal(
        self, texts: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        """Return ciphertexts by label: ASCII, 4/3 of the text's length plus 42 characters.

        Raises:
            KeyMissingError: there is no key.
            KeyUnavailableError: the vault does not answer.
        """

    def seal_each(
        self, texts: Mapping[Pseudonym, Mapping[str, str]], *, purpose: str
    ) -> dict[str, str]:
        """Do as ``seal`` for several users, whose keys are fetched at once."""

    def open(
        self, sealed: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        """Return texts by label.

        Raises:
            KeyMissingError: there is no key.
            KeyUnavailableError: the vault does not answer.
            IntegrityError: a ciphertext is damaged, or was made for another label or key.
        """

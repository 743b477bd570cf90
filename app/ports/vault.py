"""The key vault: one random key per user, without which what is stored of them means nothing.

The vault is a database of its own. Keys lie in it wrapped by a key-encryption key that is kept
elsewhere, so that neither the data, nor the vault, nor the key-encryption key alone reads anything.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from app.domain.models import Pseudonym

DATA_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class DataKey:
    """A user's key, 32 random bytes; the same for all that is stored of the user."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no 256-bit key."""
        if len(self.secret) != DATA_KEY_BYTES:
            message = f"a data key has {DATA_KEY_BYTES} bytes"
            raise ValueError(message)

    def subkey(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose (HMAC-SHA-256), so that no two ciphers share a key."""
        # Not hmac.digest: it lets go of the interpreter for each record of a load.
        return hmac.new(self.secret, b"lethe/data-key/v1/" + purpose.encode(), "sha256").digest()


class KeyVault(Protocol):
    """Keeps data keys.

    Every method raises KeyUnavailableError where the vault does not answer or was replaced, or
    where a key is wrapped by a key-encryption key that this process was not given.
    """

    def ensure(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        """Return these users' keys, making those that are missing. Durable when it returns.

        Call it only while the users are locked and known not to be erased: a key that is made
        after its user's erasure would be residue.

        Raises:
            IntegrityError: a wrapped key is damaged.
        """

    def get(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        """Return these users' keys; users without one are left out.

        Raises:
            IntegrityError: a wrapped key is damaged.
        """

    def wrapped(self, pseudonym: Pseudonym) -> bytes | None:
        """Return the wrapped key as the vault's files hold it, for a probe to search for."""

    def shred(self, pseudonym: Pseudonym) -> int:
        """Overwrite the user's key, delete it and drop it from memory; return 0 or 1.

        From here on no process uses it; ``flush`` cleans the vault's files.
        """

    def flush(self) -> None:
        """Remove from the vault's files whatever was shredded, old page contents included."""

    def count(self, pseudonym: Pseudonym | None = None) -> int:
        """Return how many keys there are, of one user or of all."""

    def owners(self) -> set[Pseudonym]:
        """Return whose keys there are."""

    def rewrap(self) -> int:
        """Wrap every key by the present key-encryption key; return how many were another's.

        May be repeated and interrupted at will; the data stay as they are.

        Raises:
            IntegrityError: a wrapped key is damaged.
        """


class KeyEncryption(Protocol):
    """A key-encryption key, shaped like a key management service: it never leaves.

    Several processes must be given the same one.
    """

    @property
    def key_id(self) -> str:
        """Return the name, at most 64 characters, of the key that ``wrap`` uses now."""

    @property
    def key_ids(self) -> frozenset[str]:
        """Return the names of all keys that ``unwrap`` knows."""

    def wrap(self, secret: bytes, *, context: str) -> bytes:
        """Encrypt ``secret``, bound to ``context``.

        Raises:
            KeyUnavailableError: the service does not answer.
        """

    def unwrap(self, wrapped: bytes, *, context: str, key_id: str) -> bytes:
        """Decrypt what ``wrap`` made with the key of this name.

        Raises:
            KeyUnavailableError: no such key, or the service does not answer.
            IntegrityError: it was made with another key or context, or is damaged.
        """

"""Key-encryption keys held by this process: from the environment, or from a file.

Text form: 64 hexadecimal digits a key, several apart by white space or commas. The first wraps;
the others only unwrap what was wrapped before a rotation.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.errors import IntegrityError, KeyUnavailableError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 8.2.2: random nonces, below 2^32 wraps a key
_ID_DIGITS: Final = 16


class LocalKeyEncryption:
    """AES-256-GCM under keys in memory.

    Args:
        keys: 32 bytes each, the present one first.

    Raises:
        ValueError: no key, or one that has not 32 bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            message = "a key-encryption key has 64 hexadecimal digits"
            raise ValueError(message)
        self._key_id = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    @classmethod
    def parse(cls, text: str) -> LocalKeyEncryption:
        """Read the text form.

        Raises:
            ValueError: it is something else; the message does not repeat it.
        """
        try:
            keys = [bytes.fromhex(part) for part in text.replace(",", " ").split()]
        except ValueError:
            keys = []  # what is no key must not get into a message, nor into a stack trace
        return cls(keys)

    @property
    def key_id(self) -> str:
        """Digest of the present key, 16 hexadecimal digits."""
        return self._key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """Digests of all keys."""
        return frozenset(self._ciphers)

    def wrap(self, secret: bytes, *, context: str) -> bytes:
        """Return nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self._key_id]
        return nonce + cipher.encrypt(nonce, secret, _bound(context, self._key_id))

    def unwrap(self, wrapped: bytes, *, context: str, key_id: str) -> bytes:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyUnavailableError("a key is wrapped by a key-encryption key that is not here")
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _bound(context, key_id))
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("a wrapped key is damaged") from error


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"lethe/kek-id/v1" + key).hexdigest()[:_ID_DIGITS]


def _bound(context: str, key_id: str) -> bytes:
    return f"lethe/data-key/v1/{key_id}/{context}".encode()


def read_kek_file(path: Path, *, refused: int = 0o077) -> str:
    """Return the text of a key file.

    Raises:
        KeyUnavailableError: it cannot be read.
        IntegrityError: its mode has one of the bits ``refused``, so that others may read it.
    """
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & refused:
                raise IntegrityError("the key-encryption key can be read by others: chmod 600")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailableError("the key-encryption key's file cannot be read") from error

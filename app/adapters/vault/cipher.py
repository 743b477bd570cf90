"""Encrypts users' texts under their own keys: AES-256-GCM, written as text."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Collection, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.errors import IntegrityError, KeyMissingError
from app.domain.models import Pseudonym
from app.ports.vault import DataKey, KeyVault

_VERSION: Final = "1."
_NONCE_BYTES: Final = 12  # random, below 2^32 texts a user: NIST SP 800-38D, section 8.3


class VaultCipher:
    """Cipher over the key vault."""

    def __init__(self, vault: KeyVault) -> None:
        self._vault = vault

    def prepare(self, pseudonyms: Collection[Pseudonym]) -> None:
        self._vault.ensure(pseudonyms)

    def seal(
        self, texts: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        return seal(texts, key=self._key(pseudonym), purpose=purpose)

    def seal_each(
        self, texts: Mapping[Pseudonym, Mapping[str, str]], *, purpose: str
    ) -> dict[str, str]:
        keys = self._vault.get(list(texts))
        if len(keys) < len(texts):
            raise KeyMissingError("a user's key is not in the vault")
        sealed: dict[str, str] = {}
        for pseudonym, theirs in texts.items():
            sealed |= seal(theirs, key=keys[pseudonym], purpose=purpose)
        return sealed

    def open(
        self, sealed: Mapping[str, str], *, pseudonym: Pseudonym, purpose: str
    ) -> dict[str, str]:
        aead = AESGCM(self._key(pseudonym).subkey(purpose))
        return {label: _open(aead, text, label=label) for label, text in sealed.items()}

    def _key(self, pseudonym: Pseudonym) -> DataKey:
        key = self._vault.get([pseudonym]).get(pseudonym)
        if key is None:
            raise KeyMissingError("a user's key is not in the vault")
        return key


def seal(texts: Mapping[str, str], *, key: DataKey, purpose: str) -> dict[str, str]:
    """Return each text as ``1.`` and URL-safe base64 of nonce, ciphertext and tag.

    Args:
        texts: by label; a label names one place for good, such as a record id.
        key: of the texts' user.
        purpose: what kind of place, such as ``text``; each has a key of its own.
    """
    aead = AESGCM(key.subkey(purpose))
    return {label: _seal(aead, text, label=label) for label, text in texts.items()}


def _seal(aead: AESGCM, text: str, *, label: str) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + aead.encrypt(nonce, text.encode(), label.encode())
    return _VERSION + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open(aead: AESGCM, sealed: str, *, label: str) -> str:
    if not sealed.startswith(_VERSION):
        raise IntegrityError("a stored text is not sealed, or by a newer version")
    encoded = sealed.removeprefix(_VERSION).encode()
    try:
        raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        opened = aead.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], label.encode())
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise IntegrityError("a stored text cannot be opened with its user's key") from error
    return opened.decode()

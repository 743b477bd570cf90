"""Encrypts memories before the vector store gets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.adapters.vault.cipher import seal
from app.domain.erasure.request import ErasureOrder
from app.domain.errors import KeyMissingError
from app.domain.models import Pseudonym, RecordId
from app.domain.privacy.rotation import quantise, rotate, unrotate
from app.ports.memory_store import Memory, MemoryStore, Reindexed, StoreHealth
from app.ports.vault import DataKey, KeyVault

_DOCUMENT = "document"
_ROTATION = "rotation"


class EncryptedMemoryStore:
    """MemoryStore over another: documents are sealed and vectors rotated on the way in.

    Never creates keys. A missing key means that the user's erasure has already destroyed it. A
    probe has to search for what ``store`` itself holds.

    Args:
        store: holds the encrypted memories.
        vault: holds the keys.
    """

    def __init__(self, store: MemoryStore, *, vault: KeyVault) -> None:
        self._store = store
        self._vault = vault

    def add(self, memories: Sequence[Memory]) -> None:
        """Encrypt and store the memories.

        Raises:
            KeyUnavailableError: as the vault, or a user has no key; nothing was written.
        """
        if not memories:
            return
        users = {memory.pseudonym for memory in memories}
        keys = self._vault.get(users)
        if len(keys) < len(users):
            raise KeyMissingError("a user's key is not in the vault")
        self._store.add(_sealed(memories, keys=keys))

    def vectors(
        self,
        pseudonym: Pseudonym,
        record_ids: Sequence[RecordId],
        *,
        within_s: float | None = None,
    ) -> dict[RecordId, NDArray[np.float32]]:
        """Return the embeddings as added, quantised.

        Raises:
            KeyUnavailableError: as the vault, or the user has vectors and no key.
        """
        found = self._store.vectors(pseudonym, record_ids, within_s=within_s)
        if not found:
            return {}
        key = self._vault.get([pseudonym]).get(pseudonym)
        if key is None:
            raise KeyMissingError("a user's key is not in the vault")
        ids = list(found)
        rotated = np.stack([found[record_id] for record_id in ids])
        plain = unrotate(rotated, keys=[key.subkey(_ROTATION)] * len(ids), labels=ids)
        return dict(zip(ids, quantise(plain), strict=True))

    def collect(self, order: ErasureOrder) -> list[Memory]:
        """Return sealed documents and rotated vectors, the form that the files hold."""
        return self._store.collect(order)

    def erase(self, order: ErasureOrder) -> int:
        return self._store.erase(order)

    def maintain(self, pseudonyms: Sequence[Pseudonym]) -> int:
        return self._store.maintain(pseudonyms)

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        return self._store.reindex(shards)

    def misplaced(self) -> list[int]:
        return self._store.misplaced()

    def controls(self) -> list[Memory]:
        return self._store.controls()

    def count(self, order: ErasureOrder) -> int:
        return self._store.count(order)

    def owners(self) -> Iterator[dict[RecordId, Pseudonym]]:
        return self._store.owners()

    def mark(self) -> int:
        return self._store.mark()

    def set_mark(self, mark: int) -> None:
        self._store.set_mark(mark)

    def size(self) -> int:
        return self._store.size()

    def health(self) -> StoreHealth:
        return self._store.health()


def _sealed(memories: Sequence[Memory], *, keys: Mapping[Pseudonym, DataKey]) -> list[Memory]:
    """Return the memories, of any users, in the form to store."""
    subkeys = {user: key.subkey(_ROTATION) for user, key in keys.items()}
    rotated = rotate(
        quantise(np.stack([memory.embedding for memory in memories])),
        keys=[subkeys[memory.pseudonym] for memory in memories],
        labels=[memory.record_id for memory in memories],
    )
    plain: dict[Pseudonym, dict[str, str]] = {user: {} for user in keys}
    for memory in memories:
        plain[memory.pseudonym][memory.record_id] = memory.document
    sealed = {user: seal(plain[user], key=key, purpose=_DOCUMENT) for user, key in keys.items()}
    return [
        replace(memory, document=sealed[memory.pseudonym][memory.record_id], embedding=row)
        for memory, row in zip(memories, rotated, strict=True)
    ]

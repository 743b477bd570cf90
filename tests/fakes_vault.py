"""The key vault's twin in memory: real keys, no files."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field

from app.domain.models import Pseudonym
from app.ports.vault import DATA_KEY_BYTES, DataKey


@dataclass
class FakeKeyVault:
    """KeyVault in a dictionary; "wrapped" is the key in clear."""

    keys: dict[Pseudonym, DataKey] = field(default_factory=dict)

    def ensure(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        for pseudonym in pseudonyms:
            self.keys.setdefault(pseudonym, DataKey(secrets.token_bytes(DATA_KEY_BYTES)))
        return self.get(pseudonyms)

    def get(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, DataKey]:
        return {one: self.keys[one] for one in pseudonyms if one in self.keys}

    def wrapped(self, pseudonym: Pseudonym) -> bytes | None:
        key = self.keys.get(pseudonym)
        return None if key is None else key.secret

    def shred(self, pseudonym: Pseudonym) -> int:
        return 0 if self.keys.pop(pseudonym, None) is None else 1

    def flush(self) -> None:
        pass

    def count(self, pseudonym: Pseudonym | None = None) -> int:
        return len(self.keys) if pseudonym is None else int(pseudonym in self.keys)

    def owners(self) -> set[Pseudonym]:
        return set(self.keys)

    def rewrap(self) -> int:
        return 0

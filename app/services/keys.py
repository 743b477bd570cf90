"""The keys: showing and rotating the one that signs, wrapping anew the ones that seal."""

from __future__ import annotations

from app.domain.audit import Leaf, LeafKind
from app.ports.clock import Clock
from app.ports.signer import Signer
from app.ports.unit_of_work import UnitsOfWork
from app.ports.vault import KeyVault


class KeyService:
    """What operators do with keys; every change is a leaf in the audit log."""

    def __init__(self, *, uows: UnitsOfWork, signer: Signer, vault: KeyVault, clock: Clock) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._signer = signer
        self._vault = vault
        self._clock = clock

    def public_key(self) -> str:
        """Return the key that signs now, in the form that verifiers take."""
        return self._signer.current().key.encode()

    def rotate(self) -> str:
        """Make a new signing key that the old one vouches for; return its public half."""
        now = self._clock.now()
        key = self._signer.rotate(at=now).key.encode()
        with self._uows.write() as uow:
            uow.audit.append([Leaf(LeafKind.KEY_ROTATED, now, None, {"key": key})])
        return key

    def rewrap(self) -> int:
        """Wrap every user's key by the present key-encryption key; return how many were not."""
        count = self._vault.rewrap()
        with self._uows.write() as uow:
            leaf = Leaf(LeafKind.KEYS_REWRAPPED, self._clock.now(), None, {"n_keys": count})
            uow.audit.append([leaf])
        return count

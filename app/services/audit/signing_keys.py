"""The key that signs: showing it, and rotating it."""

from __future__ import annotations

from app.domain.audit.entries import Leaf, LeafKind
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.signer import Signer


class KeyService:
    """What operators do with the signing key; a rotation is a leaf in the audit log."""

    def __init__(self, *, uows: UnitsOfWork, signer: Signer, clock: Clock) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._signer = signer
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

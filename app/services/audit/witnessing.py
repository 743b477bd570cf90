"""Has witnesses cosign the newest checkpoint, and learns from them that the log was rolled back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from app.domain.audit.checkpoint import Checkpoint, SignedCheckpoint, SignedNote
from app.domain.errors import DependencyUnavailableError
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.witness import Witness, WitnessAheadError
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.succession import SuccessionService

_log = structlog.get_logger(__name__)
_LATEST = 100


class WitnessService:
    """Asks the witnesses, on a timer and before anything is signed at a start.

    Args:
        is_met: whether as many witnesses as the policy asks for have signed a note.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        checkpoints: CheckpointService,
        succession: SuccessionService,
        witnesses: Sequence[Witness],
        is_met: Callable[[SignedNote], bool],
    ) -> None:
        self._uows = uows
        self._checkpoints = checkpoints
        self._succession = succession
        self._witnesses = witnesses
        self._is_met = is_met
        self._seen: dict[tuple[str, str], int] = {}

    def ask(self) -> None:
        """Have each witness cosign the newest checkpoint.

        A witness that has seen more leaves than there are tells of a restore that nothing here
        could notice, so the log that is here ends, and a successor begins.

        Raises:
            DependencyUnavailableError: a store does not answer.
            IntegrityError: the log does not continue what was signed.
        """
        if not self._witnesses:
            return
        for witness in self._witnesses:
            with self._uows.read() as uow:
                newest = uow.audit.newest_checkpoint()
            if newest is None:
                return
            try:
                self._ask(witness, newest)
            except WitnessAheadError as ahead:
                self._succession.succeed_witnessed(size=ahead.size)
            except DependencyUnavailableError as error:
                _log.warning("witness_unreached", witness=witness.name, code=error.code)

    def _ask(self, witness: Witness, newest: SignedCheckpoint) -> None:
        origin, size = newest.checkpoint.origin, newest.checkpoint.size
        key = (witness.name, origin)
        old = self._seen.get(key, 0)
        try:
            signed = self._add(witness, newest, old=min(old, size))
        except WitnessAheadError as other:
            if other.size > size:
                raise
            signed = self._add(witness, newest, old=other.size)
        self._seen[key] = size
        line = signed.signatures[0].line()
        with self._uows.write() as uow:
            uow.audit.add_cosignature(size, witness=witness.name, line=line)

    def _add(self, witness: Witness, newest: SignedCheckpoint, *, old: int) -> SignedNote:
        size = newest.checkpoint.size
        path: tuple[bytes, ...] = ()
        if 0 < old < size:
            path = self._checkpoints.prove_consistency(first=old, second=size).path
        return witness.add_checkpoint(newest.note, old=old, path=path)

    def newest_seen(self) -> SignedCheckpoint:
        """Return the newest checkpoint that satisfies the policy, with all its cosignatures.

        Where none does, and without witnesses, it is the newest one.

        Raises:
            NotFoundError: nothing has been signed yet.
        """
        newest = self._checkpoints.newest()
        if self._witnesses:
            with self._uows.read() as uow:
                for one in uow.audit.cosigned(limit=_LATEST):
                    is_here = Checkpoint.parse(one.note.text).origin == newest.checkpoint.origin
                    if is_here and self._is_met(one.note):
                        return one
        return newest

"""After a restore: bringing leaves back, or opening the numbered log that goes on."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import structlog

from app.domain.audit.checkpoint import Checkpoint, SignedCheckpoint, SignedNote
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.succession import Succession, Why, origin_of
from app.domain.canonical_json import parse_canonical
from app.domain.errors import (
    AppError,
    ConflictError,
    FieldError,
    InvalidInputError,
    LogForkedError,
)
from app.domain.strict_fields import Fields
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.signer import Signer
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.continuity import Standing

_log = structlog.get_logger(__name__)
_MOST_LOGS = 1_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """Leaves that were brought back: ``first`` to ``size - 1``."""

    first: int
    size: int


class SuccessionService:
    """Keeps a restored log from being signed as if it were the one that was lost."""

    def __init__(
        self, *, uows: UnitsOfWork, checkpoints: CheckpointService, signer: Signer, clock: Clock
    ) -> None:
        self._uows = uows
        self._checkpoints = checkpoints
        self._continuity = checkpoints.continuity
        self._signer = signer
        self._clock = clock

    def standing(self) -> Standing:
        """Compare the log with its newest checkpoint outside.

        Raises:
            DependencyUnavailableError: a store does not answer.
        """
        with self._uows.read() as uow:
            return self._continuity.standing(uow)

    def status(self) -> str:
        """Return the standing, or the code of what keeps it from being known."""
        try:
            return self.standing()
        except AppError as error:
            return error.code

    def settle(self) -> bool:
        """Open a successor if the log was restored or copied; return whether it was.

        Raises:
            DependencyUnavailableError: a store does not answer; nothing is signed meanwhile.
            LogForkedError: two histories were signed; nothing is signed any more.
        """
        standing = self.standing()
        if standing is Standing.FORKED:
            raise LogForkedError("two histories of the audit log were signed")
        if standing is Standing.CONTINUED:
            return False
        with self._uows.write() as uow:
            uow.audit.lock()
            if self._continuity.standing(uow) is not standing:
                return True  # another process was first
            why = Why.COPIED if standing is Standing.COPIED else Why.RESTORED
            self._succeed(uow, why=why, old_size=0)
        if standing is Standing.COPIED:
            self._signer.settle()
        return True

    def succeed_witnessed(self, *, size: int) -> None:
        """Open a successor because a witness has seen ``size`` leaves of this log.

        Raises:
            DependencyUnavailableError: a store does not answer.
        """
        with self._uows.write() as uow:
            uow.audit.lock()
            if uow.audit.size() >= size:
                return
            is_behind = self._continuity.standing(uow) is Standing.BEHIND
            self._succeed(uow, why=Why.RESTORED if is_behind else Why.WITNESSED, old_size=size)
        self._signer.settle()

    def _succeed(self, uow: UnitOfWork, *, why: Why, old_size: int) -> None:
        old, kept = self._newest(uow), uow.audit.size()
        if old is None:
            return  # nothing was ever signed, so nothing is contradicted
        last = Checkpoint.parse(old.text)
        number = self._continuity.number(last.origin) + 1
        base = self._continuity.base
        told = Succession(
            origin=origin_of(number, base=base, tag=secrets.token_hex(4)),
            why=why,
            old=old,
            old_size=max(old_size, last.size),
            kept=kept,
        )
        uow.audit.append([Leaf(LeafKind.LOG_SUCCEEDED, self._clock.now(), None, told.payload())])
        self._checkpoints.sign_as(uow, told.origin)
        _log.warning("log_succeeded", why=why, number=number, n_lost=max(0, told.old_size - kept))

    def _newest(self, uow: UnitOfWork) -> SignedNote | None:
        """Return the newest checkpoint that is known, inside or outside."""
        head, mine = self._continuity.head(), uow.audit.newest_checkpoint()
        known = [head] if head is not None else []
        known += [mine.note] if mine is not None else []
        return max(known, key=self._place, default=None)

    def _place(self, note: SignedNote) -> tuple[int, int]:
        checkpoint = Checkpoint.parse(note.text)
        return self._continuity.number(checkpoint.origin), checkpoint.size

    def history(self) -> list[Succession]:
        """Return what the present log says of those before it, oldest first."""
        with self._uows.read() as uow:
            leaves = uow.audit.page(
                after=-1, limit=_MOST_LOGS, kind=LeafKind.LOG_SUCCEEDED, request_id=None
            )
        return [Succession.parse(leaf) for leaf in leaves]

    def recover(self, lines: Iterable[bytes]) -> Recovered:
        """Append the leaves that a restored log lacks, from an export of it; all or nothing.

        The requests that they tell of are not brought back; ``log.recovered`` says from where to
        where, so that reconciling does not look for their rows.

        Raises:
            ConflictError: the log lacks nothing, or what it lacks is of another numbered log.
            InvalidInputError: these are not the leaves under the checkpoint that was kept.
            DependencyUnavailableError: a store does not answer.
        """
        with self._uows.write() as uow:
            uow.audit.lock()
            head, first = self._continuity.head(), uow.audit.size()
            if head is None or self._continuity.standing(uow) is not Standing.BEHIND:
                raise ConflictError("the log lacks nothing that was signed")
            lost = Checkpoint.parse(head.text)
            if lost.origin != self._continuity.origin(uow) or lost.size <= first:
                raise ConflictError("what is lost is of another log, or was written over")
            leaves = [_leaf(line, at) for at, line in enumerate(islice(lines, lost.size))]
            uow.audit.append(leaves[first:])
            frontier = uow.audit.frontier()
            if (frontier.size, frontier.root()) != (lost.size, lost.root):
                raise InvalidInputError(
                    FieldError("leaves", f"not the {lost.size} leaves that were signed")
                )
            now = self._clock.now()
            uow.audit.add_checkpoint(SignedCheckpoint(lost, head, now))
            facts = {"first": first, "size": lost.size}
            uow.audit.append([Leaf(LeafKind.LOG_RECOVERED, now, None, facts)])
            self._checkpoints.sign(uow)
        _log.warning("log_recovered", n_leaves=lost.size - first)
        return Recovered(first, lost.size)


def _leaf(line: bytes, number: int) -> Leaf:
    fields = Fields(parse_canonical(line.removesuffix(b"\n"), name="leaf"), path="")
    if fields.count("seq") != number:
        fields.refuse("seq", f"not {number}: the export begins at leaf 0 and leaves none out")
    return Leaf.parse(fields.text("leaf").encode())

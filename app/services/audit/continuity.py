"""Whether the log in the database continues what was signed, as kept outside of the database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from functools import partial

from app.domain.audit.checkpoint import Checkpoint, SignedCheckpoint, SignedNote
from app.domain.audit.merkle import NodeId, ReadNode, peak_nodes, root_at
from app.domain.audit.succession import number_of
from app.domain.errors import IntegrityError, LogBehindError, LogForkedError
from app.ports.ledger import LogHeads
from app.ports.persistence.unit_of_work import UnitOfWork


class Standing(StrEnum):
    """How the log in the database stands to what was signed."""

    CONTINUED = "ready"
    BEHIND = "log_behind"
    """It lacks leaves that were signed: the database came from a backup."""
    COPIED = "log_copied"
    """The signing key is a copy, whose original may go on."""
    FORKED = "log_forked"
    """Two histories of one log were signed."""


class LogContinuity:
    """Compares the log with its newest checkpoint outside; keeps that up to date.

    Args:
        heads: where it is kept; None where nothing is, for a log that is made to be measured.
        is_at_home: whether the signing key is the original.
        base: name of the first log.
    """

    def __init__(
        self, *, heads: LogHeads | None, is_at_home: Callable[[], bool], base: str
    ) -> None:
        self._heads = heads
        self._is_at_home = is_at_home
        self.base = base

    def head(self) -> SignedNote | None:
        """Return the newest checkpoint that is kept outside.

        Raises:
            KeyUnavailableError: where it lies does not answer.
        """
        return None if self._heads is None else self._heads.newest()

    def origin(self, uow: UnitOfWork) -> str:
        """Return the name of the log in the database."""
        newest = uow.audit.newest_checkpoint()
        return self.base if newest is None else newest.checkpoint.origin

    def number(self, origin: str) -> int:
        """Return the number of the log of that name, 1 for the first."""
        return number_of(origin, base=self.base)

    def standing(self, uow: UnitOfWork) -> Standing:
        """Compare; one look outside, and nothing more where both have the same checkpoint.

        Raises:
            KeyUnavailableError: where the newest checkpoint lies does not answer.
        """
        if not self._is_at_home():
            return Standing.COPIED
        head, mine = self.head(), uow.audit.newest_checkpoint()
        if head is None or (mine is not None and mine.note.text == head.text):
            return Standing.CONTINUED
        kept = Checkpoint.parse(head.text)
        ours, theirs = self.number(self.origin(uow)), self.number(kept.origin)
        if ours != theirs:
            # A larger one was opened by this log's own process, which died before it noted it.
            return Standing.CONTINUED if ours > theirs else Standing.BEHIND
        if self.origin(uow) == kept.origin and _contains(uow, kept):
            return Standing.CONTINUED
        is_signed = mine is not None and mine.checkpoint.size >= kept.size
        return Standing.FORKED if is_signed else Standing.BEHIND

    def require(self, uow: UnitOfWork) -> str:
        """Return the log's name if something may be signed over it.

        Raises:
            KeyUnavailableError: where the newest checkpoint lies does not answer.
            LogBehindError: the log came from a backup, or with a copied key.
            LogForkedError: two histories were signed.
        """
        standing = self.standing(uow)
        if standing is Standing.FORKED:
            raise LogForkedError("the log does not lead to the newest checkpoint that was signed")
        if standing is not Standing.CONTINUED:
            raise LogBehindError("the log is not the one that was signed last: it was restored")
        return self.origin(uow)

    def note_after_commit(self, uow: UnitOfWork, signed: SignedCheckpoint) -> None:
        """Keep ``signed`` outside once it is committed; the next signature makes up for a failure.

        Not before: a checkpoint of a transaction that is rolled back would look like a restore.
        """
        if self._heads is not None:
            checkpoint = signed.checkpoint
            number = self.number(checkpoint.origin)
            keep = partial(self._heads.note_head, number, size=checkpoint.size, note=signed.note)
            uow.after_commit(keep)


def reader(uow: UnitOfWork, ids: Collection[NodeId]) -> ReadNode:
    """Fetch nodes in one go; the reader raises IntegrityError for one that is missing."""
    found = uow.audit.nodes(ids)

    def read_node(level: int, position: int) -> bytes:
        hashed = found.get(NodeId(level, position))
        if hashed is None:
            raise IntegrityError(f"the audit log lacks node {position} of level {level}")
        return hashed

    return read_node


def _contains(uow: UnitOfWork, checkpoint: Checkpoint) -> bool:
    """Whether the log in the database begins with the leaves under ``checkpoint``."""
    if uow.audit.size() < checkpoint.size:
        return False
    try:
        read_node = reader(uow, peak_nodes(checkpoint.size))
        return root_at(checkpoint.size, read_node=read_node) == checkpoint.root
    except IntegrityError:
        return False

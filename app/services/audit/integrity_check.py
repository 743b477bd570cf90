"""Checking the whole audit log: every leaf, every node of its tree, every signed checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.domain.audit.checkpoint import CheckpointError, IsSigned, SignedCheckpoint, VerifierKey
from app.domain.audit.entries import StoredLeaf
from app.domain.audit.merkle import Frontier, NodeId, extend, leaf_hash
from app.domain.certificates.signed_document import trusted_chain
from app.domain.errors import IntegrityError
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.signer import Signer

_PAGE: Final = 2_000
_MAX_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a check of the log found.

    Args:
        n_leaves: leaves read.
        n_checkpoints: checkpoints whose root and signature were checked.
        root: root over the leaves as they are now.
        problems: what is wrong, in the order of the log; empty for an intact log. At most
            20, because a dropped leaf puts all later ones in the wrong place.
    """

    n_leaves: int
    n_checkpoints: int
    root: bytes
    problems: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(slots=True)
class _Walk:
    """The check under way."""

    frontier: Frontier = field(default_factory=Frontier)
    n_checkpoints: int = 0
    problems: list[str] = field(default_factory=list)

    def note(self, problem: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)


class AuditCheckService:
    """Recomputes the log; at start-up, from the command line, and from the console.

    Args:
        is_signed: checks one Ed25519 signature.
    """

    def __init__(self, *, uows: UnitsOfWork, signer: Signer, is_signed: IsSigned) -> None:
        self._uows = uows
        self._signer = signer
        self._is_signed = is_signed

    def check(self) -> LogReport:
        """Recompute the whole log in one snapshot, in constant memory.

        Raises:
            DependencyUnavailableError: the database or the key store does not answer.
        """
        chain = trusted_chain(self._signer.current(), is_signed=self._is_signed)
        walk = _Walk()
        with self._uows.read() as uow:
            for part in _parts(uow, walk):
                self._check_leaves(uow, walk, part.leaves)
                if part.checkpoint is not None:
                    self._check_checkpoint(walk, part.checkpoint, chain)
            size = uow.audit.size()
            for gone in uow.audit.unguarded():
                told = f"{gone} is missing or replaced"
                walk.note(f"the database does not refuse to edit the log: {told}")
        if size != walk.frontier.size:
            walk.note(f"the log has {walk.frontier.size} leaves, and says that it has {size}")
        return LogReport(
            n_leaves=walk.frontier.size,
            n_checkpoints=walk.n_checkpoints,
            root=walk.frontier.root(),
            problems=tuple(walk.problems),
        )

    def _check_leaves(self, uow: UnitOfWork, walk: _Walk, leaves: Sequence[StoredLeaf]) -> None:
        for number, leaf in enumerate(leaves, start=walk.frontier.size):
            if leaf.seq != number:
                walk.note(f"leaf {number} is missing: leaf {leaf.seq} stands in its place")
            if leaf_hash(leaf.body) != leaf.leaf_hash:
                walk.note(f"leaf {leaf.seq} was changed: it does not have its hash")
        # The tree over what is there now, so that a changed body shows in the root as well.
        walk.frontier, completed = extend(walk.frontier, [leaf_hash(leaf.body) for leaf in leaves])
        stored = uow.audit.nodes([at for at, _ in completed])
        for at, hashed in completed:
            if stored.get(at) != hashed:
                walk.note(f"{_name(at)} of the tree is not the one over its leaves")

    def _check_checkpoint(
        self, walk: _Walk, signed: SignedCheckpoint, chain: Sequence[VerifierKey]
    ) -> None:
        walk.n_checkpoints += 1
        size = signed.checkpoint.size
        if (walk.frontier.size, walk.frontier.root()) != (size, signed.checkpoint.root):
            walk.note(f"the log does not lead to the checkpoint that was signed at {size} leaves")
        try:
            signed.note.verify(chain, is_signed=self._is_signed)
        except CheckpointError as error:
            walk.note(f"the checkpoint at {size} leaves: {error.message}")


@dataclass(frozen=True, slots=True)
class _Part:
    """Leaves up to a checkpoint, or up to the end of a page."""

    leaves: Sequence[StoredLeaf]
    checkpoint: SignedCheckpoint | None = None


def _parts(uow: UnitOfWork, walk: _Walk) -> Iterator[_Part]:
    """Yield the log in order, cut at every checkpoint."""
    checkpoints = _checkpoints(uow, walk)
    upcoming = next(checkpoints, None)
    after = -1
    while leaves := uow.audit.page(after=after, limit=_PAGE, kind=None, request_id=None):
        after = leaves[-1].seq
        start = walk.frontier.size
        taken = 0
        while upcoming is not None and upcoming.checkpoint.size <= start + len(leaves):
            end = upcoming.checkpoint.size - start
            yield _Part(leaves[taken:end], upcoming)
            taken, upcoming = end, next(checkpoints, None)
        yield _Part(leaves[taken:])
    while upcoming is not None:
        yield _Part((), upcoming)
        upcoming = next(checkpoints, None)


def _checkpoints(uow: UnitOfWork, walk: _Walk) -> Iterator[SignedCheckpoint]:
    """Yield the checkpoints by size; note one that cannot be read, and stop there."""
    after = -1
    try:
        while page := uow.audit.checkpoints(after=after, limit=_PAGE):
            yield from page
            after = page[-1].checkpoint.size
    except IntegrityError as error:
        walk.note(error.message)


def _name(at: NodeId) -> str:
    return f"node {at.position} of level {at.level}"

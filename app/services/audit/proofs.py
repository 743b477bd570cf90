"""Proofs that leaves stand in the log, and that a log begins another one."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.audit.checkpoint import SignedCheckpoint
from app.domain.audit.merkle import (
    NodeId,
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    peak_nodes,
    root_at,
)
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.audit.continuity import reader


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Evidence that a leaf stands in the log, without the leaf.

    Args:
        seq: the leaf's 0-based number.
        leaf_hash: its RFC 9162 hash, 32 bytes.
        path: RFC 9162 inclusion proof, leaf side first.
        checkpoint: what it leads to.
    """

    seq: int
    leaf_hash: bytes
    path: tuple[bytes, ...]
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Evidence that the log of ``first`` leaves is the beginning of that of ``second``."""

    first: int
    second: int
    first_root: bytes
    second_root: bytes
    path: tuple[bytes, ...]


def inclusion(uow: UnitOfWork, seq: int, *, checkpoint: SignedCheckpoint) -> InclusionProof:
    """Prove that leaf ``seq`` stands under ``checkpoint``."""
    size = checkpoint.checkpoint.size
    read_node = reader(uow, {NodeId(0, seq), *inclusion_nodes(seq, size=size)})
    return InclusionProof(
        seq=seq,
        leaf_hash=read_node(0, seq),
        path=inclusion_proof(seq, size=size, read_node=read_node),
        checkpoint=checkpoint,
    )


def consistency(uow: UnitOfWork, *, first: int, second: int) -> ConsistencyProof:
    """Prove that the log of ``first`` leaves begins that of ``second``; 0 < first <= second."""
    wanted = {*peak_nodes(first), *peak_nodes(second), *consistency_nodes(first, second=second)}
    read_node = reader(uow, wanted)
    return ConsistencyProof(
        first=first,
        second=second,
        first_root=root_at(first, read_node=read_node),
        second_root=root_at(second, read_node=read_node),
        path=consistency_proof(first, second=second, read_node=read_node),
    )

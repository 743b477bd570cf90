"""``/admin/audit/…``: checkpoints, proofs, the check of the whole log, and its export."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.api.auth import Admin
from app.api.bodies import BodyRoute
from app.api.state import StateDep
from app.domain.checkpoint import SignedCheckpoint
from app.services.audit_check import LogReport
from app.services.checkpoints import ConsistencyProof, InclusionProof
from app.services.reconcile import Reconciliation

Size = Annotated[int, Query(ge=1, le=2**53 - 1)]
Seq = Annotated[int, Path(ge=0, le=2**53 - 1)]


class CheckpointOut(BaseModel):
    """A signed checkpoint; ``note`` is what the signature covers and a verifier reads."""

    origin: str
    size: int
    root: str
    note: str
    at: datetime

    @classmethod
    def of(cls, signed: SignedCheckpoint) -> Self:
        """Return the wire form."""
        checkpoint = signed.checkpoint
        return cls(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=_base64(checkpoint.root),
            note=signed.note.encode(),
            at=signed.at,
        )


class InclusionOut(BaseModel):
    """RFC 9162 inclusion proof; hashes in base64, leaf side first."""

    seq: int
    leaf_hash: str
    path: list[str]
    checkpoint: CheckpointOut

    @classmethod
    def of(cls, proof: InclusionProof) -> Self:
        """Return the wire form."""
        return cls(
            seq=proof.seq,
            leaf_hash=_base64(proof.leaf_hash),
            path=[_base64(step) for step in proof.path],
            checkpoint=CheckpointOut.of(proof.checkpoint),
        )


class ConsistencyOut(BaseModel):
    """RFC 9162 consistency proof; hashes in base64."""

    first: int
    second: int
    first_root: str
    second_root: str
    path: list[str]

    @classmethod
    def of(cls, proof: ConsistencyProof) -> Self:
        """Return the wire form."""
        return cls(
            first=proof.first,
            second=proof.second,
            first_root=_base64(proof.first_root),
            second_root=_base64(proof.second_root),
            path=[_base64(step) for step in proof.path],
        )


class LogReportOut(BaseModel):
    """What a check of the whole log found; ``problems`` is empty for a whole log."""

    is_whole: bool
    n_leaves: int
    n_checkpoints: int
    root: str
    problems: list[str]

    @classmethod
    def of(cls, report: LogReport) -> Self:
        """Return the wire form."""
        return cls(
            is_whole=report.is_whole,
            n_leaves=report.n_leaves,
            n_checkpoints=report.n_checkpoints,
            root=_base64(report.root),
            problems=list(report.problems),
        )


router = APIRouter(prefix="/admin/audit", tags=["admin"], route_class=BodyRoute)


@router.get("/checkpoint")
def get_checkpoint(_caller: Admin, state: StateDep) -> CheckpointOut:
    """Return the newest signed checkpoint."""
    return CheckpointOut.of(state.container.checkpoints.newest())


@router.get("/leaves/{seq}/proof")
def get_inclusion(seq: Seq, _caller: Admin, state: StateDep) -> InclusionOut:
    """Prove that a leaf stands in the log."""
    return InclusionOut.of(state.container.checkpoints.prove(seq))


@router.get("/consistency")
def get_consistency(
    _caller: Admin, state: StateDep, *, first: Size, second: Size
) -> ConsistencyOut:
    """Prove that the log of `first` leaves begins the log of `second`."""
    proof = state.container.checkpoints.prove_consistency(first=first, second=second)
    return ConsistencyOut.of(proof)


@router.post("/check")
def check(_caller: Admin, state: StateDep) -> LogReportOut:
    """Recompute every leaf, node and signature of the log."""
    return LogReportOut.of(state.container.audit_check.check())


class ReconciliationOut(BaseModel):
    """Whether every move of a request in SQL has exactly one leaf, and the reverse."""

    is_consistent: bool
    n_requests: int
    n_moves: int
    n_contradicted: int
    problems: list[str]

    @classmethod
    def of(cls, found: Reconciliation) -> Self:
        """Return the wire form."""
        return cls(
            is_consistent=found.is_consistent,
            n_requests=found.n_requests,
            n_moves=found.n_moves,
            n_contradicted=found.n_contradicted,
            problems=list(found.problems),
        )


@router.post("/reconcile")
def reconcile(_caller: Admin, state: StateDep) -> ReconciliationOut:
    """Compare the log with the rows: every change of state has one leaf, every leaf its change."""
    return ReconciliationOut.of(state.container.reconcile.check())


@router.get("/export")
def export(_caller: Admin, state: StateDep, *, size: Size) -> StreamingResponse:
    """Return the first `size` leaves, one a line; take a checkpoint's size."""
    lines = state.container.audit_export.export(size=size)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

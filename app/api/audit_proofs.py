"""``/admin/audit/…``: checkpoints, proofs, the check of the whole log, and its export."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Final, Self

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator, Field

from app.api.auth import Auditor
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.schemas import Count, Out
from app.api.state import StateDep
from app.domain.audit.checkpoint import SignedCheckpoint
from app.wire.documents import LEAF

Size = Annotated[
    int, Query(ge=1, le=2**53 - 1, description="Leaves, as in a checkpoint; 1 to 2^53 - 1.")
]
Seq = Annotated[int, Path(ge=0, le=2**53 - 1, description="Number of the leaf, from 0.")]


class _Lines(StreamingResponse):
    media_type = "application/x-ndjson"


_LINES: Final = {
    "type": "string",
    "description": "Leaves in order, canonical JSON, one a line.",
    "contentMediaType": _Lines.media_type,
    "contentSchema": LEAF,
}


def _base64(data: bytes | str) -> str:
    return data if isinstance(data, str) else base64.b64encode(data).decode()


_Base64 = Annotated[str, BeforeValidator(_base64)]


class CheckpointOut(Out):
    """A signed checkpoint; ``note`` is what the signature covers and a verifier reads."""

    origin: str = Field(description="Name of the log.")
    size: Count = Field(description="Leaves it covers; a count.")
    root: _Base64 = Field(description="RFC 9162 root hash; base64.")
    note: str = Field(description="What is signed and a verifier reads: c2sp.org/tlog-checkpoint.")
    at: datetime = Field(description="When it was signed; UTC.")

    @classmethod
    def of(cls, signed: SignedCheckpoint) -> Self:
        checkpoint = signed.checkpoint
        return cls(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=_base64(checkpoint.root),
            note=signed.note.encode(),
            at=signed.at,
        )


def _checkpoint(signed: object) -> object:
    return CheckpointOut.of(signed) if isinstance(signed, SignedCheckpoint) else signed


class InclusionOut(Out):
    """RFC 9162 inclusion proof; hashes in base64, leaf side first."""

    seq: Count = Field(description="Number of the leaf, from 0.")
    leaf_hash: _Base64 = Field(description="Its RFC 9162 hash; base64.")
    path: list[_Base64] = Field(description="Hashes of the proof, leaf side first; base64.")
    checkpoint: Annotated[CheckpointOut, BeforeValidator(_checkpoint)]


class ConsistencyOut(Out):
    """RFC 9162 consistency proof; hashes in base64."""

    first: int = Field(ge=1, description="Leaves of the earlier log; a count.")
    second: int = Field(ge=1, description="Leaves of the later log; a count.")
    first_root: _Base64 = Field(description="Root of the earlier log; base64.")
    second_root: _Base64 = Field(description="Root of the later log; base64.")
    path: list[_Base64] = Field(description="Hashes of the proof; base64.")


class LogReportOut(Out):
    """What a check of the whole log found; ``problems`` is empty for a whole log."""

    is_whole: bool = Field(description="Whether nothing is wrong.")
    n_leaves: Count = Field(description="Leaves recomputed; a count.")
    n_checkpoints: Count = Field(description="Signatures checked; a count.")
    root: _Base64 = Field(description="Root hash of all leaves; base64.")
    problems: list[str] = Field(description="What is wrong; empty for a whole log.")


router = APIRouter(prefix="/admin/audit", tags=["admin"], route_class=BodyRoute)


@router.get("/checkpoint", responses=declared(404))
def get_checkpoint(_caller: Auditor, state: StateDep) -> CheckpointOut:
    """Return the newest signed checkpoint."""
    return CheckpointOut.of(state.container.checkpoints.newest())


@router.get("/leaves/{seq}/proof", responses=declared(404))
def get_inclusion_proof(seq: Seq, _caller: Auditor, state: StateDep) -> InclusionOut:
    """Prove that a leaf stands in the log."""
    return InclusionOut.model_validate(state.container.checkpoints.prove(seq))


@router.get("/consistency", responses=declared(404))
def get_consistency_proof(
    _caller: Auditor, state: StateDep, *, first: Size, second: Size
) -> ConsistencyOut:
    """Prove that the log of `first` leaves begins the log of `second`."""
    proof = state.container.checkpoints.prove_consistency(first=first, second=second)
    return ConsistencyOut.model_validate(proof)


@router.post("/check")
def check_audit_log(_caller: Auditor, state: StateDep) -> LogReportOut:
    """Recompute every leaf, node and signature of the log."""
    return LogReportOut.model_validate(state.container.audit_check.check())


class ReconciliationOut(Out):
    """Whether every move of a request in SQL has exactly one leaf, and the reverse."""

    is_consistent: bool = Field(description="Whether log and rows agree.")
    n_requests: Count = Field(description="Requests compared; a count.")
    n_moves: Count = Field(description="Changes of state compared; a count.")
    n_contradicted: Count = Field(description="Requests whose leaves and row differ; a count.")
    problems: list[str] = Field(description="What differs; empty where they agree.")


@router.post("/reconcile")
def reconcile_audit_log(_caller: Auditor, state: StateDep) -> ReconciliationOut:
    """Compare the log with the rows: every change of state has one leaf, every leaf its change."""
    return ReconciliationOut.model_validate(state.container.reconcile.check())


@router.get(
    "/export",
    response_class=_Lines,
    responses=declared(404) | {200: {"content": {_Lines.media_type: {"schema": _LINES}}}},
)
def export_audit_log(_caller: Auditor, state: StateDep, *, size: Size) -> StreamingResponse:
    """Return the first `size` leaves, one a line; take a checkpoint's size."""
    lines = state.container.audit.export(size=size)
    return _Lines(lines)

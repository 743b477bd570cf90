"""Moving a request from one state to another, with the leaf that says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.domain.audit.entries import Leaf, LeafKind, LeafValue
from app.domain.erasure.request import ErasureRequest, Ground, RequestState
from app.ports.persistence.unit_of_work import UnitOfWork

_LEAF_OF: Final = {
    RequestState.SUPPRESSED: LeafKind.FORGET_RELEASED,
    RequestState.ON_HOLD: LeafKind.FORGET_HELD,
    RequestState.REJECTED: LeafKind.FORGET_REJECTED,
    RequestState.ERASING: LeafKind.FORGET_ERASING,
    RequestState.SCRUBBED: LeafKind.FORGET_SCRUBBED,
    RequestState.VERIFYING: LeafKind.FORGET_VERIFYING,
    RequestState.COMPLETED: LeafKind.FORGET_COMPLETED,
    RequestState.FAILED: LeafKind.FORGET_FAILED,
}


class LeaseLostError(Exception):
    """Another worker has the request now; this one must stop without a word in SQL."""


def move(
    uow: UnitOfWork,
    request: ErasureRequest,
    target: RequestState,
    *,
    at: datetime,
    fence: int | None,
    facts: Mapping[str, LeafValue],
    ground: Ground | None = None,
    error_code: str | None = None,
) -> int:
    """Move a request and append the leaf that says so, in the caller's transaction.

    Returns:
        The leaf's number.

    Raises:
        IllegalMoveError: the table of legal moves has no such move.
        LeaseLostError: the row is not where ``request`` says, or the fence is old.
    """
    moved = uow.requests.move(
        request.request_id,
        source=request.state,
        target=target,
        at=at,
        fence=fence,
        ground=ground,
        error_code=error_code,
    )
    if not moved:
        raise LeaseLostError
    (seq,) = uow.audit.append([Leaf(_LEAF_OF[target], at, request.request_id, facts)])
    return seq

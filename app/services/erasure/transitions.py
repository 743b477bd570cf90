"""Changing a request's state, with the audit leaf that records it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.domain.audit.entries import Leaf, LeafValue
from app.domain.erasure.request import ErasureRequest, Ground, RequestState, leaf_of
from app.ports.persistence.unit_of_work import UnitOfWork


class LeaseLostError(Exception):
    """Another worker holds the request; this one must stop and write nothing more to SQL."""


def transition(
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
    """Change the state and append the leaf that records it, in the caller's transaction.

    Returns:
        The leaf's number.

    Raises:
        IllegalMoveError: the table has no such transition.
        LeaseLostError: the row is not where ``request`` says, or the fence is old.
    """
    leaf = leaf_of(source=request.state, target=target)
    is_changed = uow.requests.transition(
        request.request_id,
        source=request.state,
        target=target,
        at=at,
        fence=fence,
        ground=ground,
        error_code=error_code,
    )
    if not is_changed:
        raise LeaseLostError
    (seq,) = uow.audit.append([Leaf(leaf, at, request.request_id, facts)])
    return seq

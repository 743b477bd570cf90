"""The audit log: its leaves, and the data with which a browser can verify it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, StringConstraints

from app.api.state import StateDep
from app.console.guard import ConsoleRoute, SignedIn, SignedInForData
from app.console.pages import page
from app.console.timeline import LeafView
from app.domain.audit.entries import LeafKind
from app.domain.models import RequestId
from app.services.audit.log import AuditQuery

_PER_PAGE: Final = 50
_MOST_LEAVES: Final = 2**53 - 1
_Blank = Annotated[str, StringConstraints(pattern=r"^$")]
"""A field of a form that was left empty."""
_Id = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9a-f]{32}$", to_lower=True)
]

_HERE: Final = "/admin/console/log"
router = APIRouter(include_in_schema=False)
pages = APIRouter(prefix=_HERE, route_class=ConsoleRoute)
data = APIRouter(prefix=_HERE)


@pages.get("")
def get_log(
    request: Request,
    _session: SignedIn,
    state: StateDep,
    *,
    after: Annotated[int | None, Query(ge=-1, le=2**62)] = None,
    kind: LeafKind | _Blank | None = None,
    request_id: _Id | _Blank | None = None,
) -> Response:
    """Show leaves: the newest, or from a number on. The read is itself a leaf."""
    container = state.container
    log = container.overview.log()
    is_filtered = bool(kind or request_id)
    start = after if after is not None else -1 if is_filtered else log.size - _PER_PAGE - 1
    found = container.audit.page(
        AuditQuery(
            after=max(-1, start),
            limit=_PER_PAGE,
            kind=kind if isinstance(kind, LeafKind) else None,
            request_id=RequestId(request_id) if request_id else None,
        )
    )
    leaves = [LeafView.of(leaf) for leaf in found.leaves]
    return page(
        request,
        "log.html",
        leaves=leaves[::-1],
        ended=container.succession.history(),
        log=log,
        kinds=list(LeafKind),
        kind=kind or "",
        request_id=request_id or "",
        older=None if is_filtered or start < 0 else max(-1, start - _PER_PAGE),
        newer=leaves[-1].seq if len(leaves) == _PER_PAGE else None,
    )


class EvidenceOut(BaseModel):
    """What a check needs besides the leaves; notes in the form of c2sp.org/signed-note."""

    note: str
    size: int
    key: str
    rotations: list[str]
    refusal: str | None


@data.get("/evidence")
def get_evidence(_session: SignedInForData, state: StateDep) -> EvidenceOut:
    """Return a checkpoint over the log as it is now."""
    evidence = state.container.overview.evidence()
    return EvidenceOut(
        note=evidence.checkpoint.note.encode(),
        size=evidence.checkpoint.checkpoint.size,
        key=evidence.key.encode(),
        rotations=[note.encode() for note in evidence.rotations],
        refusal=evidence.refusal,
    )


@data.get("/leaves")
def get_leaves(
    _session: SignedInForData,
    state: StateDep,
    *,
    size: Annotated[int, Query(ge=1, le=_MOST_LEAVES)],
) -> StreamingResponse:
    """Return the first `size` leaves, one a line. The export is itself a leaf."""
    lines = state.container.audit.export(size=size)
    return StreamingResponse(lines, media_type="application/x-ndjson")


router.include_router(pages)
router.include_router(data)

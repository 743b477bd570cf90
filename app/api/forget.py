"""``POST /forget`` and ``GET /forget/{request_id}``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, status
from fastapi.responses import PlainTextResponse, Response

from app.api.auth import Anyone, Caller, ForgetterOrUser
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.forget_in import ForgetIn, Key
from app.api.schemas import (
    AcceptedOut,
    PeriodOut,
    PreviewEntryOut,
    PreviewOut,
    RequestOut,
    StatusOut,
    StepOut,
)
from app.api.state import State, StateDep
from app.domain.access import Scope
from app.domain.audit.checkpoint import tlog_proof
from app.domain.erasure.scope import EventsScope, PeriodScope
from app.domain.errors import ForbiddenError, NotFoundError, RequestLostError, UnauthenticatedError
from app.domain.models import RequestId
from app.services.audit.certificates import commit
from app.services.erasure.requests import Acceptance, ForgetCommand, ForgetStatus
from app.wire.ids import EventId, UserId

router = APIRouter(tags=["forget"], route_class=BodyRoute)
RequestIdIn = Annotated[
    str,
    Path(pattern=r"^[0-9a-f]{32}$", description="Id of an erasure request; 32 hex digits."),
]


class _Document(Response):
    media_type = "application/json"


_FILE: Final = {"type": "object", "description": "As in app/data/schemas/certificate.v1.json."}
_PREVIEW_ENTRIES: Final = 1_000


@router.post("/forget", status_code=status.HTTP_202_ACCEPTED, responses=declared(403, 409))
def forget(
    body: ForgetIn,
    caller: ForgetterOrUser,
    state: StateDep,
    idempotency_key: Annotated[
        Key | None, Header(description="The caller's own, 1 to 255 characters.")
    ] = None,
) -> AcceptedOut:
    """Accept an erasure request: from this answer on, nothing rests on the data.

    The same `Idempotency-Key` or `subject_request_id` gives the same request; with another
    body it is 409. A `period` ends at the latest with the request; the answer tells its ends.
    """
    caller.require_user(body.user)
    command = body.to_domain(state.container.identity, idempotency_key=idempotency_key)
    return accepted_out(state.container.forget.accept(command), state)


@router.delete(
    "/users/{user:path}/interactions/{event_id:path}",
    status_code=status.HTTP_202_ACCEPTED,
    responses=declared(403),
)
def forget_interaction(
    user: Annotated[UserId, Path()],
    event_id: Annotated[EventId, Path()],
    caller: ForgetterOrUser,
    state: StateDep,
) -> AcceptedOut:
    """Erase one event: an erasure request of the scope `events`, as `POST /forget` takes it."""
    caller.require_user(user)
    identity = state.container.identity
    pseudonym = identity.pseudonym(user)
    scope = EventsScope((identity.event_key(pseudonym, event_id),))
    command = ForgetCommand(pseudonym=pseudonym, scope=scope, about=commit(user))
    return accepted_out(state.container.forget.accept(command), state)


def accepted_out(accepted: Acceptance, state: State) -> AcceptedOut:
    """Return the answer to an accepted request, which is counted."""
    row = accepted.request
    if accepted.is_new:
        state.metrics.forget(scope_kind=row.scope_kind)
    return AcceptedOut(
        request_id=row.request_id,
        status=row.state,
        scope=row.scope_kind,
        period=_period(accepted.period),
        n_records=row.n_records,
        requested_at=row.asked_at,
        received_at=row.received_at,
        due_at=row.due_at,
        status_url=f"{state.limits.public_url}/forget/{row.request_id}",
        capability=accepted.capability,
        receipt=dict(accepted.receipt.to_json()),
    )


@router.post("/forget/preview", responses=declared(403))
def preview_forget(body: ForgetIn, caller: ForgetterOrUser, state: StateDep) -> PreviewOut:
    """Show what an erasure of this scope would take now; nothing is changed."""
    caller.require_user(body.user)
    identity = state.container.identity
    pseudonym = identity.pseudonym(body.user)
    scope = body.scope.to_domain(identity, pseudonym)
    if isinstance(scope, PeriodScope):
        scope = scope.ended_by(state.container.clock.now())
    entries = state.container.resolver.preview(pseudonym, scope)
    return PreviewOut(
        scope=scope.kind,
        period=_period((scope.start, scope.end) if isinstance(scope, PeriodScope) else None),
        n_memories=len(entries),
        memories=[PreviewEntryOut.from_domain(one) for one in entries[:_PREVIEW_ENTRIES]],
    )


def _period(period: tuple[datetime, datetime] | None) -> PeriodOut | None:
    return None if period is None else PeriodOut(start=period[0], end=period[1])


@router.get("/forget/{request_id}", responses=declared(403, 404, 410))
def get_forget_request(request_id: RequestIdIn, caller: Anyone, state: StateDep) -> StatusOut:
    """Tell how a request stands.

    Open to keys with the scope `forget` or `audit`, to the user until it is completed (from then on
    the request does not say whose it was), and to whoever sends its capability as bearer token.
    """
    found = _status(request_id, caller, state)
    return StatusOut(
        **RequestOut.model_validate(found.request).model_dump(by_alias=False),
        steps=[StepOut.model_validate(step) for step in found.steps],
        certificate=json.loads(found.certificate) if found.certificate else None,
    )


@router.get(
    "/forget/{request_id}/certificate",
    response_class=_Document,
    responses=declared(403, 404, 410)
    | {200: {"content": {_Document.media_type: {"schema": _FILE}}}},
)
def get_certificate(request_id: RequestIdIn, caller: Anyone, state: StateDep) -> Response:
    """Return the certificate as the file to keep: canonical JSON. 404 before completion."""
    certificate = _certificate(request_id, caller, state)
    name = f"certificate-{request_id}.json"
    return _Document(f"{certificate}\n", headers=_attachment(name))


@router.get(
    "/forget/{request_id}/certificate.tlog-proof",
    response_class=PlainTextResponse,
    responses=declared(403, 404, 410),
)
def get_certificate_proof(request_id: RequestIdIn, caller: Anyone, state: StateDep) -> Response:
    """Prove that the certificate's leaf stands in the log, in the form of c2sp.org/tlog-proof.

    Under the newest checkpoint that strangers are shown, so with its witnesses' signatures.
    """
    seq = json.loads(_certificate(request_id, caller, state))["proof"]["index"]
    container = state.container
    seen = container.witnessing.newest_seen()
    if seen.checkpoint.size <= seq:
        seen = container.checkpoints.newest()  # which no witness has seen yet
    proof = container.checkpoints.prove_signed(seq, size=None, newest=seen)
    text = tlog_proof(seq, proof.path, proof.checkpoint.note)
    return PlainTextResponse(text, headers=_attachment(f"certificate-{request_id}.tlog-proof"))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _certificate(request_id: str, caller: Caller, state: State) -> str:
    certificate = _status(request_id, caller, state).certificate
    if certificate is None:
        raise NotFoundError("the request is not completed yet, so it has no certificate")
    return certificate


def _status(request_id: str, caller: Caller, state: State) -> ForgetStatus:
    """Return a request that the caller may see; to others there is none."""
    identity = state.container.identity
    is_open = caller.may(Scope.FORGET, Scope.AUDIT) or identity.is_capability(
        caller.token, request_id=RequestId(request_id)
    )
    if not is_open and caller.user is None:
        # Before it is looked up: a token that opens nothing learns not even whether it is there.
        if caller.is_known:
            raise ForbiddenError("this takes a key with the scope forget or audit")
        raise UnauthenticatedError("the token is not valid")
    try:
        found = state.container.forget.status(RequestId(request_id))
    except RequestLostError:
        if is_open:  # else: whose it was is lost, too
            raise
    else:
        is_theirs = found.request.pseudonym == identity.pseudonym(caller.user or "")
        if is_open or is_theirs:
            return found
    raise NotFoundError("no erasure request has this id")

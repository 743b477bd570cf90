"""``/admin``: the audit log and the erasure requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.auth import Auditor, Operator
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.forget import RequestIdIn
from app.api.forget_in import ExtendIn, HoldIn, RejectIn
from app.api.schemas import (
    AnswerCountOut,
    AnswersOut,
    AuditOut,
    Count,
    DrillIn,
    ErasureId,
    LeafOut,
    NeedleOut,
    NeedlesOut,
    Out,
    ProofOut,
    ProveIn,
    RequestOut,
    RequestsOut,
)
from app.api.scopes import UtcTime
from app.api.state import StateDep
from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import RequestState
from app.domain.erasure.residue import Pattern, patterns
from app.domain.models import RequestId
from app.services.audit.log import AuditQuery

router = APIRouter(prefix="/admin", tags=["admin"], route_class=BodyRoute)

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most entries of a page; 1 to 1,000.")]


class DeadLetterOut(Out):
    """What an address could not be told, after twelve attempts."""

    seq: Count = Field(description="Number of the leaf in the log, from 0.")
    request_id: ErasureId = Field(description="Id of the erasure request; 32 random hex digits.")
    kind: str = Field(description="What happened.")
    failed_at: datetime = Field(description="When it was given up; UTC.")


class WebhookOut(Out):
    """A registered address."""

    url: str = Field(description="Where changes are posted.")
    n_behind: Count = Field(description="Leaves of the log that it was not told of; a count.")
    attempts: Count = Field(description="Failed attempts at the next one; a count.")
    error: str | None = Field(
        validation_alias="error_code", description="Code of what stopped the last attempt."
    )
    dead: list[DeadLetterOut] = Field(description="What it was not told; newest first.")


class WebhooksOut(BaseModel):
    """Every registered address."""

    webhooks: list[WebhookOut] = Field(description="In the order of the setting.")


class HeldOut(BaseModel):
    """What a legal hold on a user keeps."""

    n_on_hold: Count = Field(description="Erasure requests of the user on hold now; a count.")


@router.get("/audit")
def get_audit_log(
    _caller: Auditor,
    state: StateDep,
    *,
    after: Annotated[
        int, Query(ge=-1, le=2**62, description="Number of the last leaf known; -1.")
    ] = -1,
    limit: Limit = 100,
    kind: Annotated[LeafKind | None, Query(description="Only leaves of this kind.")] = None,
    request_id: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9a-f]{32}$",
            description="Only leaves of this erasure request; 32 hex digits.",
        ),
    ] = None,
) -> AuditOut:
    """Read the audit log. The read is itself an entry."""
    wanted = RequestId(request_id) if request_id else None
    page = state.container.audit.page(
        AuditQuery(after=after, limit=limit, kind=kind, request_id=wanted)
    )
    leaves = [
        LeafOut(seq=leaf.seq, leaf_hash=leaf.leaf_hash.hex(), body=leaf.body.decode())
        for leaf in page.leaves
    ]
    is_full = len(leaves) == limit
    return AuditOut(leaves=leaves, size=page.size, next_after=leaves[-1].seq if is_full else None)


@router.get("/requests")
def get_forget_requests(
    _caller: Auditor,
    state: StateDep,
    *,
    status: Annotated[RequestState | None, Query(description="Only these.")] = None,
    before: Annotated[
        UtcTime | None,
        Query(description="Only requests received before; RFC 3339 with a UTC offset."),
    ] = None,
    limit: Limit = 100,
) -> RequestsOut:
    """List erasure requests, newest first."""
    page = state.container.operations.page(state=status, before=before, limit=limit)
    return RequestsOut(
        requests=[RequestOut.model_validate(request) for request in page.requests],
        count_by_status=dict(page.count_by_state),
    )


@router.get("/answers")
def get_answers(_caller: Auditor, state: StateDep) -> AnswersOut:
    """Tell how often lists were answered: interactions that gave a `recommendation_id` back.

    Counted from the interactions that are there now, so what was erased is in no number, as if it
    had never been; nor are users who restricted or objected. For how many lists were given see the
    metric `lethe_recommendations_total`.
    """
    counts = state.container.overview.answers()
    return AnswersOut(answers=[AnswerCountOut.model_validate(one) for one in counts])


@router.post("/requests/{request_id}/retry", responses=declared(404, 409))
def retry_forget_request(request_id: RequestIdIn, _caller: Operator, state: StateDep) -> RequestOut:
    """Give a failed request one more attempt."""
    return RequestOut.model_validate(state.container.operations.retry(RequestId(request_id)))


@router.post("/requests/{request_id}/hold", responses=declared(404, 409))
def hold_forget_request(request_id: RequestIdIn, _caller: Operator, state: StateDep) -> RequestOut:
    """Keep the data, suppressed, until release or rejection."""
    return RequestOut.model_validate(state.container.operations.hold(RequestId(request_id)))


@router.post("/holds", responses=declared(409))
def hold_user(body: HoldIn, _caller: Operator, state: StateDep) -> HeldOut:
    """Keep everything of a user from being erased (a legal hold), or lift that.

    What the user asks for meanwhile is suppressed at once and waits on hold. Lifting releases
    nothing by itself. The act is a leaf that names nobody.
    """
    container = state.container
    pseudonym = container.identity.pseudonym(body.user)
    return HeldOut(n_on_hold=container.operations.hold_user(pseudonym, body.ground))


@router.post("/requests/{request_id}/release", responses=declared(404, 409))
def release_forget_request(
    request_id: RequestIdIn, _caller: Operator, state: StateDep
) -> RequestOut:
    """Let a held request go on."""
    return RequestOut.model_validate(state.container.operations.release(RequestId(request_id)))


@router.post("/requests/{request_id}/reject", responses=declared(404, 409))
def reject_forget_request(
    request_id: RequestIdIn, body: RejectIn, _caller: Operator, state: StateDep
) -> RequestOut:
    """Refuse a request on a legal ground; the data come back into use."""
    request = state.container.operations.reject(RequestId(request_id), ground=body.ground)
    return RequestOut.model_validate(request)


@router.post("/requests/{request_id}/extend", responses=declared(404, 409))
def extend_forget_request(
    request_id: RequestIdIn, body: ExtendIn, _caller: Operator, state: StateDep
) -> RequestOut:
    """Move the due date by two further months, once and before it is due (GDPR Art. 12(3))."""
    request = state.container.operations.extend(
        RequestId(request_id), extension=body.reason, told_at=body.told_at
    )
    return RequestOut.model_validate(request)


@router.get("/webhooks")
def get_webhooks(_caller: Auditor, state: StateDep) -> WebhooksOut:
    """Tell how far each registered address has been told, and what it could not be told."""
    targets = state.container.webhooks.targets()
    return WebhooksOut(webhooks=[WebhookOut.model_validate(one) for one in targets])


@router.post("/prove", responses=declared(409))
def prove_forgotten(body: ProveIn, _caller: Auditor, state: StateDep) -> ProofOut:
    """Show that a user is to the service one it has never seen: everything is looked up now.

    Lists byte for byte a stranger's, no row, memory, cached answer or key, the state equal to one
    rebuilt for this answer, nothing in the bytes of the files. The check is a leaf, tied to nobody.
    """
    container = state.container
    return ProofOut.model_validate(container.prove.prove(container.identity.pseudonym(body.user)))


@router.post("/drill")
def get_needles(body: DrillIn, _caller: Auditor, state: StateDep) -> NeedlesOut:
    """Tell how somebody made up lies on disk, for a search with tools that are not ours.

    Plant them (`POST /interactions`), search the files for what this tells, forget them, search
    again. The id begins with `lethe-drill-`, so that this tells nothing about a person.
    """
    container = state.container
    manifest = container.search.everything_of(container.identity.pseudonym(body.user))
    return NeedlesOut(needles=[_needle(one) for one in patterns(manifest.needles)])


def _needle(pattern: Pattern) -> NeedleOut:
    is_text = pattern.data.isascii() and pattern.data.decode("latin-1").isprintable()
    return NeedleOut(
        kind=pattern.kind,
        needle=pattern.needle,
        hex=pattern.data.hex(),
        text=pattern.data.decode() if is_text else None,
    )

"""Erasure requests: the list, one of them step by step, and the actions on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.api.scopes import UtcTime
from app.api.state import State, StateDep
from app.console.certificate_page import STYLE_SOURCE, certificate_page
from app.console.guard import ConsoleRoute, Form, Operating, OwnForm, SignedIn
from app.console.headers import CONTENT_SECURITY_POLICY
from app.console.letters import Letter, letter_text, letters_for
from app.console.pages import page
from app.console.timeline import Action, LeafView, actions, events
from app.console.words import due, span
from app.domain.certificates.certificate import Certificate
from app.domain.erasure.request import (
    FINAL,
    ErasureRequest,
    Extension,
    Ground,
    RequestState,
)
from app.domain.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from app.domain.models import RequestId
from app.services.audit.log import AuditQuery

_PER_PAGE: Final = 50
_MOST_DUE: Final = 200
_LEAST_SOUGHT: Final = 4
_MOST_LEAVES: Final = 500
_NOTE: Final = 1_000
_LIST: Final = "/admin/console/requests"
_LISTED: Final = "choose one of the list"
_T = TypeVar("_T")

router = APIRouter(prefix=_LIST, route_class=ConsoleRoute, include_in_schema=False)
IdIn = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


class ActionName(StrEnum):
    """An action on a request."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    REJECT = "reject"
    EXTEND = "extend"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Row:
    """A request in the list."""

    request: ErasureRequest
    age: str
    due: str
    is_overdue: bool
    is_final: bool

    @classmethod
    def of(cls, request: ErasureRequest, *, now: datetime) -> Row:
        """Return the row as of now."""
        is_final = request.state in FINAL
        return cls(
            request=request,
            age=span(now - request.received_at),
            due=due(request.due_at, now=now),
            is_overdue=not is_final and request.due_at < now,
            is_final=is_final,
        )


class View(StrEnum):
    """Which requests are listed, and in which order."""

    DUE = "due"
    OVERDUE = "overdue"


@router.get("")
def get_requests(
    request: Request,
    _session: SignedIn,
    state: StateDep,
    *,
    status: Annotated[RequestState | None, Query(alias="state")] = None,
    view: View | None = None,
    before: UtcTime | None = None,
) -> Response:
    """List requests, newest first; or those that are not over, the one due first before others."""
    operations = state.container.operations
    found = operations.page(state=status, before=before, limit=_PER_PAGE + 1)
    listed, older = found.requests[:_PER_PAGE], None
    if view is not None:
        due_next = state.container.request_lists.due_next
        listed = due_next(is_overdue=view is View.OVERDUE, limit=_MOST_DUE)
    elif len(found.requests) > _PER_PAGE:
        older = listed[-1].received_at.isoformat()
    now = state.container.clock.now()
    return page(
        request,
        "requests.html",
        rows=[Row.of(one, now=now) for one in listed],
        counts=found.count_by_state,
        total=sum(found.count_by_state.values()),
        wanted=status,
        view=view,
        before=before,
        older=older,
        sought=None,
    )


@router.post("/find")
def find(request: Request, form: OwnForm, state: StateDep) -> Response:
    """Look for a request by its id, a ticket's number, or its receipt; none is in an address."""
    sought = _sought(form.get("sought", "").strip())
    found = state.container.request_lists.matching(sought, limit=_PER_PAGE) if sought else ()
    if len(found) == 1:
        return RedirectResponse(f"{_LIST}/{found[0].request_id}", 303)
    now = state.container.clock.now()
    return page(
        request,
        "requests.html",
        rows=[Row.of(one, now=now) for one in found],
        counts={},
        total=0,
        wanted=None,
        view=None,
        before=None,
        older=None,
        sought=len(found),
    )


def _sought(text: str) -> str:
    """Return the id in a receipt or certificate, or what was written; "" for what is too short."""
    if text.startswith("{"):
        try:
            text = str(json.loads(text)["statement"]["request_id"])
        except (ValueError, TypeError, KeyError):
            raise InvalidInputError(FieldError("sought", "not a receipt")) from None
    return text.lower() if len(text) >= _LEAST_SOUGHT else ""


@router.get("/{request_id}")
def get_request(
    request_id: IdIn, request: Request, _session: SignedIn, state: StateDep
) -> Response:
    """Show one request step by step. Reading its leaves is itself a leaf."""
    container = state.container
    found = container.forget.status(RequestId(request_id))
    log = container.audit.page(AuditQuery(limit=_MOST_LEAVES, request_id=RequestId(request_id)))
    leaves = [LeafView.of(leaf) for leaf in log.leaves]
    return page(
        request,
        "request.html",
        row=Row.of(found.request, now=container.clock.now()),
        events=events(found.request, leaves=leaves, steps=found.steps),
        actions=actions(found.request, now=container.clock.now()),
        certificate=Certificate.decode(found.certificate.encode()) if found.certificate else None,
        letters=letters_for(found.request),
    )


@router.get("/{request_id}/letter/{letter}")
def get_letter(
    request_id: IdIn, letter: Letter, request: Request, _session: SignedIn, state: StateDep
) -> Response:
    """Show a letter to the person, to print or to copy."""
    found = state.container.forget.status(RequestId(request_id)).request
    if letter not in letters_for(found):
        raise NotFoundError("this letter would not be true of the request as it stands")
    text = letter_text(letter, found, sender=state.sender)
    now = state.container.clock.now()
    return page(request, "letter.html", row=Row.of(found, now=now), letter=letter, text=text)


@router.get("/{request_id}/certificate")
def get_certificate(request_id: IdIn, _session: SignedIn, state: StateDep) -> Response:
    """Show the certificate as the page that is handed to a person."""
    certificate = Certificate.decode(_certificate(state, request_id).encode())
    policy = CONTENT_SECURITY_POLICY.replace("style-src 'self'", f"style-src {STYLE_SOURCE}")
    headers = {"Content-Security-Policy": policy}
    return HTMLResponse(certificate_page(certificate), headers=headers)


@router.get("/{request_id}/certificate.json")
def get_certificate_file(request_id: IdIn, _session: SignedIn, state: StateDep) -> Response:
    """Return the certificate's file, byte for byte as a verifier needs it."""
    headers = {"Content-Disposition": f'attachment; filename="certificate-{request_id}.json"'}
    content = _certificate(state, request_id)
    return Response(content, media_type="application/json", headers=headers)


def _certificate(state: State, request_id: str) -> str:
    certificate = state.container.forget.status(RequestId(request_id)).certificate
    if certificate is None:
        raise NotFoundError("this request has no certificate")
    return certificate


@router.get("/{request_id}/{name}")
def ask(
    request_id: IdIn, name: ActionName, request: Request, _operator: Operating, state: StateDep
) -> Response:
    """Ask to confirm an action."""
    found = state.container.forget.status(RequestId(request_id))
    now = state.container.clock.now()
    action = _allowed(found.request, name, now=now)
    return page(
        request,
        "confirm.html",
        row=Row.of(found.request, now=now),
        action=action,
        grounds=list(Ground),
        extensions=list(Extension),
    )


def _allowed(request: ErasureRequest, name: ActionName, *, now: datetime) -> Action:
    for action in actions(request, now=now):
        if action.name == name:
            return action
    raise ConflictError(f"a request that is {request.state.replace('_', ' ')} has no such action")


@router.post("/{request_id}/{name}")
def act(
    request_id: IdIn, name: ActionName, form: OwnForm, _operator: Operating, state: StateDep
) -> Response:
    """Do the action and redirect to the request."""
    _acts(state, form)[name](RequestId(request_id))
    return RedirectResponse(f"{_LIST}/{request_id}?done={name}", 303)


def _acts(state: State, form: Form) -> dict[ActionName, Callable[[RequestId], object]]:
    operations = state.container.operations
    return {
        ActionName.RETRY: operations.retry,
        ActionName.HOLD: operations.hold,
        ActionName.RELEASE: operations.release,
        ActionName.REJECT: lambda one: operations.reject(
            one, ground=_told(form, "ground", Ground, wanted=_LISTED)
        ),
        ActionName.EXTEND: lambda one: operations.extend(
            one,
            extension=_told(form, "reason", Extension, wanted=_LISTED),
            told_at=_told(form, "told_at", _in_utc, wanted="give day and time, in UTC"),
        ),
        ActionName.NOTE: lambda one: operations.note(one, form.get("note", "").strip()[:_NOTE]),
    }


def _told(form: Form, name: str, read: Callable[[str], _T], *, wanted: str) -> _T:
    try:
        return read(form.get(name, ""))
    except ValueError:
        raise InvalidInputError(FieldError(name, wanted)) from None


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

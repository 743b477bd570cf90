"""Signing in and out."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.api.auth import holder_of
from app.api.state import State, StateDep
from app.console.guard import (
    COOKIE,
    SIGN_IN,
    VISITOR_COOKIE,
    ConsoleRoute,
    FormDep,
    OwnForm,
    SignedIn,
    require_own,
    session_of,
    set_cookie,
    set_session,
)
from app.console.headers import HOME
from app.console.pages import page
from app.console.session import sessions_of
from app.domain.access import Scope

_log = structlog.get_logger(__name__)
_REFUSAL_S: Final = 1.0
"""Seconds a wrong token has to wait for its answer. It keeps no thread busy, so many at once cost
the service nothing; it is the length of the token that keeps guesses hopeless."""
_OWN_PATH: Final = re.compile(r"/admin(/console/[a-z0-9/-]*)?", re.ASCII)
_VISITOR: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get(SIGN_IN)
def get_sign_in(request: Request, state: StateDep) -> Response:
    """Show the form, or redirect where somebody is signed in already."""
    if session_of(request) is not None:
        return RedirectResponse(_next(request.query_params.get("next")), 303)
    return _form(request, state, wanted=request.query_params.get("next"))


@router.post(SIGN_IN)
async def sign_in(request: Request, form: FormDep, state: StateDep) -> Response:
    """Start a session if the token is one of staff's."""
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    require_own(form, state=state, holder=_holder(visitor))
    token = form.get("token", "").strip()
    holder = await holder_of(token, state, request)
    if holder is None or Scope.AUDIT not in holder.scopes:
        await asyncio.sleep(_REFUSAL_S)
        at_s = state.container.clock.monotonic_s()
        await state.slowdown.note_wrong(request, token, at_s=at_s)
        _log.warning("console_sign_in_refused")
        return _form(request, state, wanted=form.get("next"), is_refused=True)
    response = RedirectResponse(_next(form.get("next")), 303)
    now = state.container.clock.now()
    set_session(request, response, sessions_of(state).start(now, key_id=holder.key_id))
    response.delete_cookie(VISITOR_COOKIE, path=HOME)
    _log.info("console_signed_in")
    return response


@router.post("/admin/console/sign-out")
def sign_out(_form: OwnForm, session: SignedIn, state: StateDep) -> Response:
    """End the session, in every process, and delete its cookie."""
    state.container.access.end_session(session.session_id, until=session.last_until())
    response = RedirectResponse(SIGN_IN, 303)
    response.delete_cookie(COOKIE, path=HOME)
    return response


def _form(
    request: Request, state: State, *, wanted: str | None, is_refused: bool = False
) -> Response:
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    if not _VISITOR.fullmatch(visitor):
        visitor = secrets.token_hex(16)
    response = page(
        request,
        "sign_in.html",
        status=401 if is_refused else 200,
        csrf=sessions_of(state).form_token(_holder(visitor)),
        next=_next(wanted),
        is_refused=is_refused,
    )
    set_cookie(request, response, VISITOR_COOKIE, visitor)
    return response


def _holder(visitor: str) -> str:
    """Return whom the form is for; no session's id has this form."""
    return f"visitor:{visitor}"


def _next(wanted: str | None) -> str:
    """Return where to go on: a page of the console and nowhere else."""
    return wanted if wanted and _OWN_PATH.fullmatch(wanted) else HOME

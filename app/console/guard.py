"""Access to the console: sessions, forms, and errors as pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from app.api.auth import SETTINGS_ADMIN
from app.api.bodies import Body, read_body
from app.api.errors import STATUS
from app.api.state import State, StateDep, state_of
from app.console.headers import HOME
from app.console.pages import error_page
from app.console.session import LONGEST_S, Session, sessions_of
from app.domain.access import Holder, Scope, actor
from app.domain.errors import (
    AppError,
    FieldError,
    ForbiddenError,
    InvalidInputError,
    UnauthenticatedError,
)

COOKIE: Final = "lethe_console"
VISITOR_COOKIE: Final = "lethe_console_visitor"
SIGN_IN: Final = "/admin/console/sign-in"
_MAX_FORM_BYTES: Final = 16_384
_MAX_FIELDS: Final = 20
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Form = Mapping[str, str]


class NotSignedInError(UnauthenticatedError):
    """A page was asked for without a session; answered by a redirect to the sign-in."""


class ConsoleRoute(APIRoute):
    """Route of a page; its errors are pages, too."""

    def get_route_handler(self) -> Handler:
        """Return the handler with the errors of the console."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            body = Body(request, most=_MAX_FORM_BYTES)
            try:
                is_known = await _recognise(request, state_of(request))
                if is_known or request.url.path == SIGN_IN:  # of others nothing is read
                    await body.body()
                response = await handle(body)
            except NotSignedInError:
                response = _to_sign_in(request)
            except AppError as error:
                response = error_page(request, status=_status_of(error), message=error.message)
            except HTTPException as error:
                response = error_page(request, status=error.status_code, message=error.detail)
            except RequestValidationError:
                # What was sent is not repeated: it may be anything.
                response = error_page(request, status=422, message="The address is not valid.")
            _renew(request, response)
            return response

        return guarded


def _status_of(error: AppError) -> int:
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def _to_sign_in(request: Request) -> Response:
    wanted = "" if request.url.path == HOME else f"?next={quote(request.url.path)}"
    return RedirectResponse(f"{SIGN_IN}{wanted if request.method == 'GET' else ''}", 303)


async def _recognise(request: Request, state: State) -> bool:
    """Note whose session a request comes in, if it is one; whether it is."""
    found = await run_in_threadpool(_session_of, request, state)
    if found is not None:
        request.state.console_session, holder = found
        request.state.console_holder = holder
        actor.set(holder.name)  # of this request's leaves
    return found is not None


def _session_of(request: Request, state: State) -> tuple[Session, Holder] | None:
    value = request.cookies.get(COOKIE, "")
    session = sessions_of(state).decode(value, now=state.container.clock.now())
    if session is None or state.container.access.has_ended(session.session_id):
        return None
    key_id = session.key_id
    holder = state.container.access.holder(key_id) if key_id else SETTINGS_ADMIN
    return None if holder is None else (session, holder)


def session_of(request: Request) -> Session | None:
    """Return the session of a page's request, if it has one."""
    session: Session | None = getattr(request.state, "console_session", None)
    return session


async def signed_in(request: Request) -> Session:
    """Return the session of a page's request.

    Raises:
        NotSignedInError: there is none.
    """
    session = session_of(request)
    if session is None:
        raise NotSignedInError("sign in first")
    return session


async def signed_in_for_data(request: Request, state: StateDep) -> None:
    """Check the session of a script's request.

    Raises:
        UnauthenticatedError: there is none.
    """
    if not await _recognise(request, state):
        raise UnauthenticatedError("sign in to the console first")
    await read_body(request, most=_MAX_FORM_BYTES)


async def operating(request: Request, _session: Annotated[Session, Depends(signed_in)]) -> None:
    """Let operators act, and auditors look only.

    Raises:
        ForbiddenError: an auditor.
    """
    if Scope.OPERATE not in request.state.console_holder.scopes:
        raise ForbiddenError("Your key lets you look. Acting takes the role operator.")


async def form_of(request: Request) -> Form:
    """Return the fields of a sent form, the last of each name.

    Raises:
        InvalidInputError: it is none.
        HTTPException: 413, it is too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM_TYPE:
        raise InvalidInputError(FieldError("body", "not a form"))
    try:
        fields = parse_qsl(
            (await request.body()).decode("ascii"),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
            keep_blank_values=True,
        )
    except ValueError:
        raise InvalidInputError(FieldError("body", "not a form")) from None
    return dict(fields)


SignedIn = Annotated[Session, Depends(signed_in)]
SignedInForData = Annotated[None, Depends(signed_in_for_data)]
Operating = Annotated[None, Depends(operating)]
FormDep = Annotated[Form, Depends(form_of)]


def own_form(session: SignedIn, form: FormDep, state: StateDep) -> Form:
    """Return the fields of a form that a page of this session sent.

    Raises:
        NotSignedInError: there is no session.
        ForbiddenError: another site sent it, or another session did.
    """
    require_own(form, state=state, holder=session.session_id)
    return form


OwnForm = Annotated[Form, Depends(own_form)]


def require_own(form: Form, *, state: State, holder: str) -> None:
    """Refuse a form that a page of ours did not send for ``holder``."""
    if not sessions_of(state).is_form_token(form.get("csrf", ""), holder=holder):
        raise ForbiddenError("This form is out of date. Go back, reload the page and try again.")


def set_session(request: Request, response: Response, session: Session) -> None:
    """Set the session's cookie."""
    value = sessions_of(state_of(request)).encode(session)
    set_cookie(request, response, COOKIE, value)


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """Set a cookie that no script reads, no other site sends and no open network sees."""
    response.set_cookie(
        name,
        value,
        max_age=LONGEST_S,
        path=HOME,
        secure=_must_be_secure(request),
        httponly=True,
        samesite="strict",
    )


def _must_be_secure(request: Request) -> bool:
    """Whether the browser may send the cookie over TLS only: always, but to this very machine."""
    return request.url.scheme == "https" or request.url.hostname not in _LOOPBACK


def _renew(request: Request, response: Response) -> None:
    session = session_of(request)
    if session is None or COOKIE in response.headers.get("set-cookie", ""):
        return
    renewed = session.renewed(state_of(request).container.clock.now())
    if renewed is not None:
        set_session(request, response, renewed)

"""Errors as RFC 9457 problem details: the only place where an error meets a status number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.domain.errors import (
    AppError,
    ConflictError,
    DependencyUnavailableError,
    FieldError,
    ForbiddenError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RankerError,
    RequestLostError,
    SlowedDownError,
    UnauthenticatedError,
)
from app.wire.messages import field_errors

_log = structlog.get_logger(__name__)

STATUS: Final[dict[type[AppError], int]] = {
    InvalidInputError: 422,
    UnauthenticatedError: 401,
    SlowedDownError: 429,
    ForbiddenError: 403,
    NotFoundError: 404,
    RequestLostError: 410,
    ConflictError: 409,
    DependencyUnavailableError: 503,
    RankerError: 503,
    IntegrityError: 500,
    AppError: 500,
}
"""Looked up along the error's class and its bases."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a status means here.

    Args:
        title: as in a problem's body.
        when: for the OpenAPI document.
        code: of an answer that no error of ours leads to.
        headers: name to what it says; sent along.
    """

    title: str
    when: str
    code: str = "bad_request"
    headers: tuple[tuple[str, str], ...] = ()


_ANSWERS: Final = {
    400: _Answer("Bad request", "The request cannot be read."),
    401: _Answer(
        "Authentication needed",
        "No bearer token, or one that is not valid.",
        headers=(("WWW-Authenticate", "Bearer"),),
    ),
    403: _Answer("Not allowed", "The token is valid, and does not open this."),
    404: _Answer("Not found", "Nothing of that id, or not the caller's to see.", "not_found"),
    405: _Answer(
        "Method not allowed",
        "The path takes other methods.",
        "method_not_allowed",
        (("Allow", "GET"),),
    ),
    409: _Answer("Conflict", "The request contradicts the present state, or an earlier request."),
    410: _Answer(
        "Gone", "A restore lost the request; `successor` is the log that tells of it.", "gone"
    ),
    413: _Answer("Body too large", "The body has more bytes than are allowed.", "body_too_large"),
    422: _Answer("Invalid input", "What was sent is wrong; `errors` names each field."),
    429: _Answer(
        "Too many wrong tokens",
        "Wrong tokens came from there, and this one is not looked at.",
        headers=(("Retry-After", "600"),),
    ),
    500: _Answer("Internal error", "An error of the service, which has been logged."),
    503: _Answer(
        "Dependency unavailable",
        "A store or a key does not answer, or there is too much to do; the call may succeed later.",
        headers=(("Retry-After", "1"),),
    ),
}
"""Every status that is answered with a problem: what it says, and what is declared of it."""
_MOST_TOLD: Final = 100
"""Errors listed in one answer at most; of the others only the number is given."""
MEDIA_TYPE: Final = "application/problem+json"


class ProblemField(BaseModel):
    """One thing wrong with what was sent."""

    field: str = Field(description="Dotted path in the body, or the name of a parameter.")
    message: str = Field(description="What is wrong, without what was sent.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; without personal data."""

    type: str = Field(description="Always this: `code` says which.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    code: str = Field(description="Stable; to tell errors apart by.")
    detail: str = Field(description="One sentence for a person.")
    errors: list[ProblemField] = Field(
        default=[], description="What is wrong with which field; with 422 only, and all at once."
    )
    more_errors: int = Field(default=0, ge=0, description="Further ones, not told; a count.")
    successor: str | None = Field(
        default=None, description="With 410: name of the audit log that goes on."
    )


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI form of these statuses, for the ``responses`` of a route."""
    return {status: _declaration(status) for status in statuses}


def _declaration(status: int) -> dict[str, Any]:
    answer = _ANSWERS[status]
    headers = {
        name: {"description": "RFC 9110.", "schema": {"type": "string"}, "example": value}
        for name, value in answer.headers
    }
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        "description": answer.when,
        "content": {MEDIA_TYPE: {"schema": schema}},
        **({"headers": headers} if headers else {}),
    }


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    successor: str | None = None,
) -> JSONResponse:
    """Return a problem+json answer.

    Args:
        status: HTTP status.
        code: stable, public.
        detail: one sentence, without personal data.
        errors: what is wrong with which field.
        successor: the log that goes on.
    """
    answer = _ANSWERS.get(status, _Answer("Error", ""))
    body: dict[str, object] = {
        "type": "about:blank",
        "title": answer.title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = [
            {"field": one.field, "message": one.message} for one in errors[:_MOST_TOLD]
        ]
    if len(errors) > _MOST_TOLD:
        body["more_errors"] = len(errors) - _MOST_TOLD
    if successor is not None:
        body["successor"] = successor
    headers = dict(answer.headers)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _status_of(error: AppError) -> int:
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def problem_of(error: AppError) -> JSONResponse:
    """Return the answer that an error of ours leads to."""
    errors = error.errors if isinstance(error, InvalidInputError) else ()
    status = _status_of(error)
    if status >= 500:  # noqa: PLR2004 - RFC 9110
        _log.warning("request_failed", code=error.code)
    successor = error.successor if isinstance(error, RequestLostError) else None
    return problem(
        status, code=error.code, detail=error.message, errors=errors, successor=successor
    )


def _on_app_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, AppError):
        raise error
    return problem_of(error)


def _on_validation_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    # Only where and what: pydantic's own form repeats the input, which may be personal.
    errors = field_errors(
        [{**one, "loc": one["loc"][1:], "place": str(one["loc"][0])} for one in error.errors()]
    )
    detail = "; ".join(f"{one.field}: {one.message}" for one in errors[:5])
    return problem(422, code=InvalidInputError.code, detail=detail, errors=errors)


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    answer = _ANSWERS.get(error.status_code, _ANSWERS[400])
    response = problem(error.status_code, code=answer.code, detail=str(error.detail))
    if error.status_code == 405:  # noqa: PLR2004 - RFC 9110
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> Iterator[str]:
    """Yield the methods of a path; the routing names those of its first route only."""
    for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            yield method


def _on_bug(_request: Request, error: Exception) -> JSONResponse:
    _log.error("request_crashed", error=type(error).__name__, exc_info=error)
    return problem(500, code=AppError.code, detail="an unexpected error; it has been logged")


def add_error_handlers(app: FastAPI) -> None:
    """Register handlers that answer every error with problem+json."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)

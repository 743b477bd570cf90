"""Errors as RFC 9457 problem details: the only place where an error meets a status number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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
    UnauthenticatedError,
)

_log = structlog.get_logger(__name__)

STATUS: Final[dict[type[AppError], int]] = {
    InvalidInputError: 422,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    DependencyUnavailableError: 503,
    RankerError: 503,
    IntegrityError: 500,
    AppError: 500,
}
"""Looked up along the error's class and its bases."""
_TITLES: Final = {
    400: "Bad request",
    401: "Authentication needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid input",
    500: "Internal error",
    503: "Dependency unavailable",
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_MOST_TOLD: Final = 100
"""Errors of one answer; of more, only their number is told."""
_MESSAGES: Final = {
    "extra_forbidden": "holds an unknown field",
    "union_tag_invalid": "is of an unknown kind",
    "uuid_parsing": "must be a UUID",
}
"""For those of pydantic's messages that repeat what was sent."""
MEDIA_TYPE: Final = "application/problem+json"


def problem(
    status: int, *, code: str, detail: str, errors: Sequence[FieldError] = ()
) -> JSONResponse:
    """Return a problem+json answer.

    Args:
        status: HTTP status.
        code: stable, public.
        detail: one sentence, without personal data.
        errors: what is wrong with which field.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
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
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004 - RFC 9110
    if status == 503:  # noqa: PLR2004 - RFC 9110
        headers["Retry-After"] = "1"
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _status_of(error: AppError) -> int:
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def _on_app_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, AppError):
        raise error
    errors = error.errors if isinstance(error, InvalidInputError) else ()
    status = _status_of(error)
    if status >= 500:  # noqa: PLR2004 - RFC 9110
        _log.warning("request_failed", code=error.code)
    return problem(status, code=error.code, detail=error.message, errors=errors)


def _told(error: Mapping[str, Any]) -> FieldError:
    """Return only where and what: pydantic's own form repeats the input, which may be personal."""
    place = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        place.pop()  # the name of the field, which the caller made up
    field = ".".join(place[1:]) or place[0]
    return FieldError(field, _MESSAGES.get(error["type"], str(error["msg"])))


def _on_validation_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = list(dict.fromkeys(_told(one) for one in error.errors()))
    detail = "; ".join(f"{one.field}: {one.message}" for one in errors[:5])
    return problem(422, code=InvalidInputError.code, detail=detail, errors=errors)


def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "bad_request")
    return problem(error.status_code, code=code, detail=str(error.detail))


def _on_bug(_request: Request, error: Exception) -> JSONResponse:
    _log.error("request_crashed", error=type(error).__name__, exc_info=error)
    return problem(500, code=AppError.code, detail="an unexpected error; it has been logged")


def add_error_handlers(app: FastAPI) -> None:
    """Let every error leave as problem+json."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)

"""Pages from templates. Every value is escaped; no template holds a script or a style."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.api.state import state_of
from app.console import words
from app.console.files import VERSION
from app.console.session import Session, sessions_of

_NOTICES: Final = {
    "retry": "The request is being worked on again.",
    "hold": "The request is on hold. Its data stay suppressed.",
    "release": "The request goes on.",
    "reject": "The request is rejected. Its data are in use again.",
    "extend": "The due date has been moved by two months.",
    "note": "The note is kept until the request is over.",
}
"""What a page says after an action; the address carries the key, never a text."""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = VERSION
    environment.filters |= {
        "binary_size": words.binary_size,
        "bytes": words.size,
        "clock": words.clock,
        "count": words.count,
        "day": words.day,
        "fact": words.fact,
        "fact_name": words.fact_name,
        "long_time": words.long_time,
        "ms": words.milliseconds,
        "seconds": words.duration,
        "short": words.short,
        "spoken": words.spoken,
        "when": words.when,
    }
    environment.tests["digest"] = words.is_digest
    return environment


TEMPLATES: Final = _environment()


def page(request: Request, name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page made from the template ``name``."""
    session: Session | None = getattr(request.state, "console_session", None)
    shared: Mapping[str, object] = {
        "session": session,
        "holder": getattr(request.state, "console_holder", None),
        "csrf": sessions_of(state_of(request)).form_token(session.session_id) if session else "",
        "path": request.url.path,
        "notice": _NOTICES.get(request.query_params.get("done", "")),
        "now": state_of(request).container.clock.now(),
    }
    text = TEMPLATES.get_template(name).render({**shared, **values})
    return HTMLResponse(text, status_code=status)


def error_page(request: Request, *, status: int, message: str) -> HTMLResponse:
    """Return a page that says what went wrong."""
    title = HTTPStatus(status).phrase
    return page(request, "error.html", status=status, title=title, message=words.sentence(message))

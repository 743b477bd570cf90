"""``/docs``: the OpenAPI document for people, by the Swagger UI that ships with this package."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.bodies import BodyRoute
from app.console.headers import CONTENT_SECURITY_POLICY, DOCS
from app.console.pages import page

router = APIRouter(include_in_schema=False, route_class=BodyRoute)
_POLICY: Final = CONTENT_SECURITY_POLICY.replace("img-src 'self'", "img-src 'self' data:")
"""Swagger UI's style sheet holds its icons."""


@router.get(DOCS)
def get_docs(request: Request) -> Response:
    """Show the operations; a token that is typed in stays in the page."""
    response = page(request, "docs.html")
    response.headers["Content-Security-Policy"] = _POLICY
    return response

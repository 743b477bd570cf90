"""``/``: a page for people who look, where the public development token is in use."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.bodies import BodyRoute
from app.console.headers import DEMO
from app.console.pages import page

router = APIRouter(include_in_schema=False, route_class=BodyRoute)


@router.get(DEMO)
def get_demo(request: Request) -> Response:
    """Show a reader's list and what forgets; the page's script uses the API as anybody would."""
    return page(request, "demo.html")

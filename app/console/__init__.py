"""The console at ``/admin``: pages for administrators, rendered on the server."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from app.api.bodies import BodyRoute
from app.console import demo, docs, log, overview, person, proof, report, requests, sign_in
from app.console.files import FILES, VERSION, media_type
from app.console.headers import ConsoleHeaders
from app.domain.errors import NotFoundError

router = APIRouter(include_in_schema=False, route_class=BodyRoute)
for module in (overview, sign_in, report, requests, log, person, proof):
    router.include_router(module.router)


@router.get("/admin/console/static/{version}/{name}")
def get_file(version: str, name: str) -> Response:
    """Return a script or a style; browsers cache it only under this release's version."""
    if name not in FILES:
        raise NotFoundError("no such file")
    keep = {"Cache-Control": "public, max-age=31536000, immutable"} if version == VERSION else {}
    return Response(FILES[name], media_type=media_type(name), headers=keep)


def add_console(app: FastAPI, *, has_demo: bool = False) -> None:
    """Serve the console from ``app``, its security headers on each of its answers, and ``/docs``.

    ``/docs`` is there only where ``app`` serves its OpenAPI document, the demo page at ``/`` only
    with ``has_demo``: where the public development token opens the API anyway.
    """
    app.include_router(router)
    if app.openapi_url is not None:
        app.include_router(docs.router)
    if has_demo:
        app.include_router(demo.router)
    app.add_middleware(ConsoleHeaders)

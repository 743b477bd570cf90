"""The console at ``/admin``: pages for administrators, made here, with hardly a script."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.bodies import BodyRoute
from app.console import log, overview, proof, requests, sign_in
from app.console.files import FILES, VERSION, media_type
from app.domain.errors import NotFoundError

router = APIRouter(include_in_schema=False, route_class=BodyRoute)
for module in (overview, sign_in, requests, log, proof):
    router.include_router(module.router)


@router.get("/admin/console/static/{version}/{name}")
def get_file(version: str, name: str) -> Response:
    """Hand out a script or a style; a page of another release gets this one's, and keeps none."""
    if name not in FILES:
        raise NotFoundError("no such file")
    keep = {"Cache-Control": "public, max-age=31536000, immutable"} if version == VERSION else {}
    return Response(FILES[name], media_type=media_type(name), headers=keep)

"""``/livez``, ``/readyz``, ``/metrics``: open, and therefore without anything personal."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from app.api.bodies import BodyRoute
from app.api.state import StateDep

router = APIRouter(tags=["process"], route_class=BodyRoute)


@router.get("/livez")
def livez() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(state: StateDep) -> JSONResponse:
    """Say whether the service can do its work, dependency by dependency."""
    readiness = state.container.health.readiness()
    body = {
        "status": "ready" if readiness.is_ready else "not_ready",
        "dependencies": {
            name: {
                "status": one.status,
                "required": one.is_required,
                "latency_ms": one.latency_ms,
                **({"breakers": dict(one.breakers)} if one.breakers else {}),
            }
            for name, one in readiness.dependencies.items()
        },
    }
    return JSONResponse(body, status_code=200 if readiness.is_ready else 503)


@router.get("/metrics")
def metrics(state: StateDep) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(state.metrics.render(), media_type="text/plain; version=0.0.4")

"""``/livez``, ``/readyz``, ``/metrics``: open, and therefore without anything personal."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.bodies import BodyRoute
from app.api.state import StateDep

router = APIRouter(tags=["process"], route_class=BodyRoute)


class LivenessOut(BaseModel):
    """That the process runs."""

    status: Literal["ok"] = Field(default="ok", description="Always this.")


class DependencyOut(BaseModel):
    """How a dependency is."""

    status: str = Field(description="`ok`, or what is wrong with it.")
    required: bool = Field(description="Whether nothing works without it.")
    latency_ms: float = Field(description="Milliseconds it took.")
    breakers: dict[str, int] | None = Field(
        default=None, description="LLM servers by the state of their breaker."
    )
    reading: str | None = Field(
        default=None,
        description="Whether the LLM has shown that it reads; lists are its to order with `reads`.",
    )
    ranks_queries: bool | None = Field(
        default=None, description="Whether the LLM tells how likely a prompt is, so ranks queries."
    )


class ReadinessOut(BaseModel):
    """Whether the service can do its work."""

    status: Literal["ready", "not_ready"] = Field(
        description="`ready` once every required dependency is."
    )
    dependencies: dict[str, DependencyOut] = Field(description="By name.")


class _Text(Response):
    media_type = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/livez")
def get_liveness() -> LivenessOut:
    """Say that the process runs."""
    return LivenessOut()


@router.get(
    "/readyz",
    response_model_exclude_none=True,
    responses={503: {"model": ReadinessOut, "description": "A required dependency is missing."}},
)
def get_readiness(state: StateDep, response: Response) -> ReadinessOut:
    """Say whether the service can do its work, dependency by dependency."""
    readiness = state.container.health.readiness()
    response.status_code = 200 if readiness.is_ready else 503
    return ReadinessOut(
        status="ready" if readiness.is_ready else "not_ready",
        dependencies={
            name: DependencyOut(
                status=one.status,
                required=one.is_required,
                latency_ms=one.latency_ms,
                breakers=dict(one.breakers) or None,
                reading=one.reading,
                ranks_queries=one.ranks_queries,
            )
            for name, one in readiness.dependencies.items()
        },
    )


@router.get("/metrics", response_class=_Text)
def get_metrics(state: StateDep) -> Response:
    """Return the metrics in Prometheus' text format."""
    return _Text(state.metrics.render())

"""The overview with its charts, and the page of the stores."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.state import StateDep
from app.console.charts import durations_chart, percentile, requests_chart
from app.console.guard import ConsoleRoute, SignedIn
from app.console.headers import HOME
from app.console.pages import page
from app.console.requests import Row
from app.domain.erasure.request import FINAL, RequestState

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get(HOME)
def get_overview(request: Request, _session: SignedIn, state: StateDep) -> Response:
    """Show figures, charts and dependencies."""
    container = state.container
    figures = container.overview.figures()
    durations = figures.durations_s
    now = container.clock.now()
    return page(
        request,
        "overview.html",
        figures=figures,
        n_open=sum(n for one, n in figures.count_by_state.items() if one not in FINAL),
        n_failed=figures.count_by_state[RequestState.FAILED],
        n_completed=figures.count_by_state[RequestState.COMPLETED],
        due_next=[Row.of(one, now=now) for one in figures.due_next],
        requests_chart=requests_chart(figures.days),
        durations_chart=durations_chart(durations),
        median_s=percentile(durations, 0.5) if durations else None,
        p95_s=percentile(durations, 0.95) if durations else None,
        readiness=container.health.readiness(),
        webhooks=container.webhooks.targets(),
    )


@router.get("/admin/console/stores")
def get_stores(request: Request, _session: SignedIn, state: StateDep) -> Response:
    """Show whether the stores are well, and how much they hold."""
    return page(
        request,
        "stores.html",
        readiness=state.container.health.readiness(),
        holdings=state.container.overview.holdings(),
    )

"""The monthly report: a page to print, and a CSV of the requests it counts."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.state import State, StateDep
from app.console.charts import percentile
from app.console.guard import ConsoleRoute, SignedIn
from app.console.pages import page
from app.domain.erasure.request import ErasureRequest, RequestState

router = APIRouter(
    prefix="/admin/console/report", route_class=ConsoleRoute, include_in_schema=False
)
_MOST_MONTHS: Final = 12
_COLUMNS: Final = (
    *("request_id", "subject_request_id", "scope_kind", "reason", "state", "ground", "n_records"),
    *("asked_at", "received_at", "first_due_at", "due_at", "extension", "completed_at"),
)
Month = Annotated[str | None, Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


@router.get("")
def get_report(
    request: Request, _session: SignedIn, state: StateDep, month: Month = None
) -> Response:
    """Count the requests of a month: received, done, refused, late, and how long they took."""
    now = state.container.clock.now()
    start = _start(month, now=now)
    found = _received(state, start)
    return page(
        request,
        "report.html",
        month=f"{start:%Y-%m}",
        months=_months(now),
        n=len(found),
        counts=_counts(found, now=now),
        days=_days(found),
    )


@router.get(".csv")
def get_table(_session: SignedIn, state: StateDep, month: Month = None) -> Response:
    """Return a row for each request of a month; no person is in it."""
    start = _start(month, now=state.container.clock.now())
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow((*_COLUMNS, "is_late"))
    now = state.container.clock.now()
    for one in _received(state, start):
        rows.writerow((*(_told(getattr(one, name)) for name in _COLUMNS), one.is_late(now=now)))
    headers = {"Content-Disposition": f'attachment; filename="requests-{start:%Y-%m}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _told(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "" if value is None else value


def _start(month: str | None, *, now: datetime) -> datetime:
    chosen = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) if month else now
    return chosen.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _received(state: State, start: datetime) -> Sequence[ErasureRequest]:
    end = (start + timedelta(days=32)).replace(day=1)
    return state.container.request_lists.received(start=start, end=end)


def _months(now: datetime) -> list[str]:
    months, first = [], now.replace(day=1)
    for _ in range(_MOST_MONTHS):
        months.append(f"{first:%Y-%m}")
        first = (first - timedelta(days=1)).replace(day=1)
    return months


def _counts(found: Sequence[ErasureRequest], *, now: datetime) -> list[tuple[str, int]]:
    """Return how many of the month's requests are what, as of now."""
    states = Counter(one.state for one in found)
    grounds = Counter(one.ground for one in found if one.ground is not None)
    n_done = states[RequestState.COMPLETED]
    n_refused = states[RequestState.REJECTED]
    refused = [(f"refused: {ground.replace('_', ' ')}", n) for ground, n in sorted(grounds.items())]
    return [
        ("received", len(found)),
        ("completed", n_done),
        *refused,
        ("open", len(found) - n_done - n_refused),
        ("on hold", states[RequestState.ON_HOLD]),
        ("extended", sum(one.extension is not None for one in found)),
        ("late", sum(one.is_late(now=now) for one in found)),
        ("nothing was held", sum(one.n_records == 0 for one in found)),
    ]


def _days(found: Sequence[ErasureRequest]) -> tuple[float, float] | None:
    """Return median and longest time from asking to certificate, in seconds."""
    taken = sorted(
        (one.completed_at - one.asked_at).total_seconds() for one in found if one.completed_at
    )
    return (percentile(taken, 0.5), taken[-1]) if taken else None

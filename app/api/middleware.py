"""Gives every request an id, a metric and a log line, and refuses those that are too many."""

from __future__ import annotations

import secrets
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import tracing
from app.api.errors import problem
from app.observability import Metrics

_log = structlog.get_logger("app.api")
_QUIET_ROUTES: Final = frozenset({"/livez", "/readyz", "/metrics"})
MOST_UNDER_WAY: Final = 100
"""Requests of a process: about a second's work of one core (docs/decisions/0029)."""


class Overload:
    """Answers 503 at once where too many requests are under way, instead of letting all wait.

    Probes are always let through, and so is a wish to be forgotten.
    """

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. All run on one event loop, so counting needs no lock."""
        path = scope.get("path", "")
        is_let_through = path in _QUIET_ROUTES or path.startswith("/forget")
        if scope["type"] != "http" or is_let_through:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            answer = problem(503, code="overloaded", detail="too many requests are under way")
            await answer(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


class RequestLog:
    """Gives a request its id, times it, and writes one line naming the route, never the path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        http_request_id = secrets.token_hex(8)
        started_s = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", http_request_id.encode()))
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(http_request_id=http_request_id),
            _traced(scope, http_request_id),
        ):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._done(scope, status=status, seconds=time.perf_counter() - started_s)

    def _done(self, scope: Scope, *, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None)
        self._metrics.http(method=scope["method"], route=route, status=status, seconds=seconds)
        if route not in _QUIET_ROUTES:
            tracing.note(
                {"http.route": route or "unmatched", "http.response.status_code": status},
                name=f"{scope['method']} {route or 'unmatched'}",
            )
            _log.info(
                "request_done",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(1_000 * seconds, 2),
            )


def _traced(scope: Scope, http_request_id: str) -> AbstractContextManager[object]:
    """Trace a request under its method, as part of the caller's trace if it sent one."""
    if scope["path"] in _QUIET_ROUTES:
        return nullcontext()
    sent = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    return tracing.span(
        scope["method"],
        kind=tracing.SpanKind.SERVER,
        after=sent,
        facts={"http.request.method": scope["method"], "lethe.request": http_request_id},
    )

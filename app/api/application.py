"""The web application over a container; knows no store and no setting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from app.api import (
    admin,
    audit_proofs,
    console,
    forget,
    health,
    interactions,
    items,
    recommend,
    rights,
    users,
)
from app.api.console.headers import ConsoleHeaders
from app.api.errors import add_error_handlers
from app.api.middleware import RequestLog
from app.api.state import State

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(state: State, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Return the application; ``lifespan`` starts and stops what runs beside it."""
    app = FastAPI(
        title="Lethe",
        version="1",
        summary="Recommends from a user's own memory, and can prove that it has forgotten.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.lethe = state
    add_error_handlers(app)
    for module in (
        recommend,
        items,
        interactions,
        forget,
        users,
        rights,
        admin,
        audit_proofs,
        console,
        health,
    ):
        app.include_router(module.router)
    # The last added is the outermost: whatever is answered is logged and counted.
    app.add_middleware(ConsoleHeaders)
    app.add_middleware(RequestLog, metrics=state.metrics)
    return app

"""The web application over a container; knows no store and no setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from fastapi import Depends, FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from app.api import (
    about,
    admin,
    audit_proofs,
    forget,
    forget_batch,
    health,
    interactions,
    items,
    lists,
    public_log,
    recommend,
    rights,
    users,
)
from app.api.errors import add_error_handlers, declared
from app.api.middleware import MOST_UNDER_WAY, Overload, RequestLog
from app.api.openapi import DOCUMENT, DescribedApp, operation_id, require_declared
from app.api.state import State

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_ANY: Final = (400, 405, 413, 500)
_WITH_TOKEN: Final = (*_ANY, 401, 429, 503)
_WITH_ROLE: Final = (*_WITH_TOKEN, 403)
_ROUTERS: Final = (
    (recommend, _WITH_ROLE),
    (lists, _WITH_ROLE),
    (items, _WITH_ROLE),
    (interactions, _WITH_ROLE),
    (forget, _WITH_TOKEN),
    (forget_batch, _WITH_ROLE),
    (users, _WITH_ROLE),
    (rights, _WITH_ROLE),
    (admin, _WITH_ROLE),
    (audit_proofs, _WITH_ROLE),
    (public_log, (*_ANY, 503)),
    (health, _ANY),
    (about, _ANY),
)
"""Every router, and with which problems each of its routes may answer; a route declares the rest,
and FastAPI the 422 of one that takes input."""


def create_app(
    state: State,
    *,
    has_docs: bool = True,
    lifespan: Lifespan | None = None,
    hosts: Sequence[str] = (),
) -> FastAPI:
    """Return the application.

    Args:
        hosts: names that requests may come to; none for all.
        state: what its routes use.
        has_docs: serve the OpenAPI document.
        lifespan: starts and stops what runs beside it.
    """
    app = DescribedApp(
        title="Lethe",
        version="1",
        summary="Recommends from a user's own memory, and can prove that it has forgotten.",
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        openapi_url=DOCUMENT if has_docs else None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.lethe = state
    add_error_handlers(app)
    for module, statuses in _ROUTERS:
        strict = [Depends(require_declared)] if 401 in statuses else []  # noqa: PLR2004 - RFC 9110
        app.include_router(module.router, responses=declared(*statuses), dependencies=strict)
    if hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Overload, most=MOST_UNDER_WAY)
    # The last added is the outermost: whatever is answered is logged and counted.
    app.add_middleware(RequestLog, metrics=state.metrics)
    return app

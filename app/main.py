"""The API process: ``uvicorn --factory app.main:create``."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app import tracing
from app.api.application import create_app
from app.bootstrap import build
from app.bootstrap.background import Background
from app.bootstrap.database import prepare_database
from app.console import add_console
from app.observability import configure_logging
from app.settings import load_settings


def create() -> FastAPI:
    """Return the application, set up from the environment.

    Raises:
        SettingsError: the settings cannot be used.
        AppError: a dependency that must answer does not.
    """
    os.umask(0o077)  # uvicorn may be called without `lethe serve`
    settings = load_settings()
    configure_logging(
        level=settings.log.level,
        is_json=settings.is_log_json,
        is_strict=not settings.is_production,
    )
    if settings.log.traces is not None:
        tracing.send_traces(settings.log.traces, role="api")
    prepare_database(settings)
    runtime = build(settings)
    background = Background(runtime)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with runtime:
            background.start()
            try:
                yield
            finally:
                background.stop()

    app = create_app(
        runtime.state(),
        has_docs=settings.has_docs,
        lifespan=lifespan,
        hosts=settings.allowed_hosts,
    )
    add_console(app, has_demo=settings.has_demo_page)
    return app

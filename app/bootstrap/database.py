"""Bringing the schema up to date, or refusing to run on an old one."""

from __future__ import annotations

import structlog

from app.adapters.db import schema
from app.domain.errors import ConflictError
from app.settings import Settings

_log = structlog.get_logger(__name__)


def prepare_database(settings: Settings) -> None:
    """Migrate a database that is a file; check one that is a server.

    Processes of several versions share a server's schema, so ``lethe migrate`` migrates it before
    any of them starts; none of them does. Each version only adds to the schema of the one before,
    which therefore goes on, and starts, on it.

    Raises:
        ConflictError: the server's schema is older than this version.
        DependencyUnavailableError: it does not answer.
    """
    url = settings.database_url
    if url.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        schema.upgrade(url)
        return
    revision = schema.current(url)
    if revision is None or revision in schema.known()[1:]:
        raise ConflictError("the database's schema is not this version's; run `lethe migrate`")
    if revision != schema.head():
        _log.warning("schema_newer", revision=revision)

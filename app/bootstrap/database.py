"""Bringing the schema up to date, or refusing to run on an old one."""

from __future__ import annotations

from app.adapters.db import schema
from app.domain.errors import ConflictError
from app.settings import Settings


def prepare_database(settings: Settings) -> None:
    """Migrate a database that is a file; check one that is a server.

    Processes of several versions share a server's schema, so ``lethe migrate`` migrates it before
    any of them starts; none of them does.

    Raises:
        ConflictError: the server's schema is not the one of this version.
        DependencyUnavailableError: it does not answer.
    """
    url = settings.database_url
    if url.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        schema.upgrade(url)
    elif schema.current(url) != schema.head():
        raise ConflictError("the database's schema is not this version's; run `lethe migrate`")

"""The keys of callers and staff, over the database alone, so that a service may run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.bootstrap.database import prepare_database
from app.domain.privacy.pseudonyms import Identity
from app.services.administration.access import AccessService
from app.settings import load_pepper, load_settings


@contextmanager
def open_access(data_dir: Path | None) -> Iterator[AccessService]:
    """Open what makes, rotates and revokes keys."""
    settings = load_settings(data_dir=data_dir)
    prepare_database(settings)
    uows = SqlUnitsOfWork(open_engine(settings.database_url))
    try:
        identity = Identity(load_pepper(settings))
        yield AccessService(uows=uows, identity=identity, clock=SystemClock())
    finally:
        uows.close()

"""Brings a database's schema up to date, from a checkout or an installed package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.adapters.db.engine import open_engine
from app.domain.errors import ConflictError


def config(url: str | None = None) -> Config:
    """Return Alembic's configuration without any file; ``url`` may hold a password."""
    found = find_spec("migrations")
    if found is None or found.origin is None:
        message = "the package of migrations is not installed"
        raise RuntimeError(message)
    result = Config()
    result.set_main_option("script_location", str(Path(found.origin).parent).replace("%", "%%"))
    # An attribute, because options are interpolated and printed; a password must be neither.
    result.attributes["url"] = url
    return result


def upgrade(url: str, *, revision: str = "head") -> None:
    """Bring the schema to ``revision``; nothing happens where it is there already.

    Concurrent callers wait for each other.

    Raises:
        ConflictError: it is at a revision of a later version.
        DependencyUnavailableError: the database does not answer.
    """
    if current(url) not in {None, *known()}:
        raise ConflictError("the database's schema is that of a later version")
    command.upgrade(config(url), revision)


def downgrade(url: str, *, revision: str) -> None:
    """Take the schema back to ``revision`` (``base``: nothing is left, all data are lost)."""
    command.downgrade(config(url), revision)


def current(url: str) -> str | None:
    """Return the revision that the database is at, None for an empty one.

    Raises:
        DependencyUnavailableError: the database does not answer.
    """
    engine = open_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def known() -> list[str]:
    """Return the revisions that this version of Lethe knows, the newest first."""
    return [one.revision for one in ScriptDirectory.from_config(config()).walk_revisions()]


def head() -> str | None:
    """Return the newest revision that this version of Lethe knows."""
    return ScriptDirectory.from_config(config()).get_current_head()

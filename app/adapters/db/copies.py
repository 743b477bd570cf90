"""Copies of a whole database: taken while it is in use, and put back where there is none.

Of SQLite ``VACUUM INTO`` copies one snapshot, live rows alone. Of PostgreSQL its own programs do,
``pg_dump`` and ``pg_restore``, which have to be as new as the server.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.adapters.db.engine import open_engine, sqlite_file
from app.domain.errors import ConflictError, DependencyUnavailableError


def is_there(url: str) -> bool:
    """Whether there is such a database with a table in it.

    Raises:
        DependencyUnavailableError: the server does not answer.
    """
    path = sqlite_file(url)
    if path is not None and not path.exists():
        return False
    engine = open_engine(url, pool_size=1)
    try:
        return bool(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def copy_out(url: str, file: Path) -> None:
    """Write one snapshot of a database into a new file.

    Raises:
        DependencyUnavailableError: the database, or PostgreSQL's program, is not there.
    """
    path = sqlite_file(url)
    if path is None:
        _run("pg_dump", "--format=custom", "--no-owner", f"--file={file}", url=url)
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(file),))
    except sqlite3.Error as error:
        raise DependencyUnavailableError(f"{path.name} cannot be copied") from error


def put_back(url: str, file: Path) -> None:
    """Make a database from a copy.

    Raises:
        ConflictError: there is one already.
        DependencyUnavailableError: the server, or its program, is not there.
    """
    if is_there(url):
        raise ConflictError("there is a database already: nothing is written over")
    path = sqlite_file(url)
    if path is None:
        _run("pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", file, url=url)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".restoring")
    shutil.copyfile(file, draft)
    draft.replace(path)


def _run(program: str, *arguments: str | Path, url: str) -> None:
    parsed = make_url(url)
    # Arguments can be read by anybody on the machine, so the password is not among them.
    told = parsed._replace(drivername="postgresql", password=None)
    command = [program, *map(str, arguments), f"--dbname={told.render_as_string()}"]
    try:
        subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            command,
            env=os.environ | {"PGPASSWORD": str(parsed.password or "")},
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        raise DependencyUnavailableError(f"{program} is not installed here") from None
    except subprocess.CalledProcessError as error:
        line = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise DependencyUnavailableError(f"{program}: {line}") from None

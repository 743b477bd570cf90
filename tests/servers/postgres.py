"""A PostgreSQL cluster for the length of the tests, and databases in it made from a template."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.servers import ServerMissingError, beyond_path
from tests.servers.ports import free_port, stop, wait_until_up

_NAMES = itertools.count()
_SEARCHED = Path("/usr/lib/postgresql")  # where Debian keeps each version's programs
_SETTINGS = (
    *("listen_addresses=127.0.0.1", "fsync=off", "log_min_messages=fatal"),
    "max_locks_per_transaction=256",  # as in the compose file
)
_OWNER = "postgres"  # initdb refuses to run as root


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server whose databases tests may make and drop.

    Args:
        url: of its maintenance database, with a password, ``postgresql://…``.
        data: the cluster's folder where it is ours, to look for residue; None elsewhere.
    """

    url: str
    data: Path | None

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Make a database from ``template``, give its URL, drop it in the end.

        Nobody may be connected to the template.
        """
        name = f"lethe_test_{os.getpid()}_{next(_NAMES)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def empty(self, url: str) -> None:
        """Lose what is in a database made here, and leave it as a new one."""
        name = make_url(url).database or ""
        self._run("DROP DATABASE {} WITH (FORCE)", name)
        self._run("CREATE DATABASE {} TEMPLATE template0", name)

    def drop_role(self, name: str) -> None:
        """Take away a role that a test has made."""
        self._run("DROP ROLE IF EXISTS {}", name)

    def _run(self, statement: str, *names: str) -> None:
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(composed)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Give the server at ``LETHE_TEST_POSTGRES_URL`` if it answers, else start a cluster.

    Its role must be allowed to create databases; nothing but databases made here is touched.

    Raises:
        ServerMissingError: neither is to be had.
    """
    url = os.environ.get("LETHE_TEST_POSTGRES_URL", "")
    if url and _answers(url):
        yield PostgresServer(url, data=None)
        return
    with started_postgres() as server:
        yield server


@contextmanager
def started_postgres(*settings: str) -> Iterator[PostgresServer]:
    """Start a throw-away cluster on the loopback interface that a test may stop or kill.

    Args:
        settings: of the server, each ``name=value``.

    Raises:
        ServerMissingError: the programs are not installed, or we are root without their user.
    """
    programs = find_programs()
    user = user_to_run_as()
    with tempfile.TemporaryDirectory(prefix="lethe-postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        yield from _serve(programs, Path(folder), settings, user=user)


def _serve(
    programs: Path, folder: Path, settings: Sequence[str], *, user: str | None
) -> Iterator[PostgresServer]:
    data, password, port = folder / "data", secrets.token_hex(16), free_port()
    secret = folder / "password"
    secret.write_text(password)
    if user is not None:
        shutil.chown(secret, user)
    subprocess.run(
        [
            *(programs / "initdb", "--pgdata", data, "--username", "lethe"),
            *("--auth", "scram-sha-256", "--pwfile", secret, "--encoding", "UTF8"),
            *("--locale", "C.UTF-8", "--no-sync"),
        ],
        stdout=subprocess.DEVNULL,
        check=True,
        user=user,
        cwd=folder,
    )
    process = subprocess.Popen(
        [
            *(programs / "postgres", "-D", data, "-p", str(port), "-k", folder),
            *(word for one in (*_SETTINGS, *settings) for word in ("-c", one)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        cwd=folder,
    )
    url = f"postgresql://lethe:{password}@127.0.0.1:{port}/postgres"
    try:
        wait_until_up(lambda: _answers(url), process)
        yield PostgresServer(url, data=data)
    finally:
        stop(process)


def find_programs() -> Path:
    """Return the folder of the programs: what is on ``PATH``, else the newest version."""
    versions = sorted(_SEARCHED.glob("*/bin/initdb"), key=lambda path: -int(path.parts[-3]))
    found = shutil.which("initdb") or beyond_path(versions)
    if found is None:
        raise ServerMissingError("PostgreSQL is not installed")
    return Path(found).resolve().parent


def user_to_run_as() -> str | None:
    """Return the user to run the server as: ourselves, or its own user where we are root."""
    if os.geteuid() != 0:
        return None
    if not any(entry.pw_name == _OWNER for entry in pwd.getpwall()):
        message = f"as root, PostgreSQL runs as the user {_OWNER}, who does not exist"
        raise ServerMissingError(message)
    return _OWNER


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False

"""Expand, then contract: the version before this one starts and serves on this one's schema."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from app.adapters.db import schema
from app.bootstrap.database import prepare_database
from app.domain.errors import ConflictError
from app.settings import Settings
from app.settings_groups import DatabaseSettings
from tests.e2e.calls import calling, user
from tests.e2e.cluster import cluster
from tests.e2e.processes import ROOT, Running, serving, wait_for, working
from tests.history import BEFORE
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer

_LETHE: Final = "from app.cli import main; main()"
_HEAD: Final = "from app.adapters.db import schema; print(schema.head())"

pytestmark = [pytest.mark.crash, pytest.mark.history, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the version before."""
    archive = subprocess.run(
        ["git", "archive", BEFORE, "app", "workers", "migrations"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def of_former(code: str, *arguments: str, former: Path) -> list[str]:
    """Return the command that runs ``code`` with the modules of the version before."""
    here = f"import sys; sys.path.insert(0, {str(former)!r}); {code}"
    return [sys.executable, "-c", here, *arguments]


@contextmanager
def running(
    *arguments: str, former: Path, environment: Mapping[str, str], folder: Path, url: str = ""
) -> Iterator[Running]:
    """Run a command of the version before until the block ends."""
    log = folder / f"former-{arguments[0]}.log"
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "LETHE_"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            of_former(_LETHE, *arguments, former=former),
            env=inherited | spelled_out(environment) | {"PYTHONPATH": str(former)},
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    made = Running(process, url, log)
    try:
        yield made
    finally:
        made.kill()


def spelled_out(environment: Mapping[str, str]) -> dict[str, str]:
    """Return settings with the secrets among them: the version before reads no files of secrets."""
    said = dict(environment)
    secrets = Path(said.pop("LETHE_SECRETS_DIR"))
    return {one.name: one.read_text() for one in secrets.iterdir()} | said


def stamp(url: str, revision: str) -> None:
    """Write down another revision of the schema, and change nothing."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])


def is_ready(server: Running) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(server.text()[-2_000:])
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5.0).is_success
    except httpx.HTTPError:
        return False


def test_the_version_before_serves_and_erases_on_this_schema(
    postgres_server: PostgresServer, former: Path, tmp_path: Path
) -> None:
    # It checks for its own revision; from this version on a newer schema is served as well.
    done = subprocess.run(
        of_former(_HEAD, former=former), capture_output=True, check=True, text=True, cwd=former
    )
    revision, port = done.stdout.strip(), free_port()
    with cluster(postgres_server, folder=tmp_path) as servers:
        api_of, worker_of = servers.environment, servers.beside_chroma
        with serving(api_of, folder=tmp_path) as server, calling(server.url) as api:
            api.load(range(6))
        with psycopg.connect(servers.database_url) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row is not None
        stamp(servers.database_url, revision)
        url, command = f"http://127.0.0.1:{port}", ("serve", "--port", str(port))
        with (
            running(
                *command, former=former, environment=api_of, folder=tmp_path, url=url
            ) as server,
            running("worker", "--beat", former=former, environment=worker_of, folder=tmp_path),
            calling(url) as api,
        ):
            wait_for("the version before is ready", lambda: is_ready(server), timeout_s=120)
            before = [api.recommend(user(n)) for n in (2, 3)]
            erased = api.completed(api.forget(user(0))["request_id"])
        stamp(servers.database_url, row[0])
        with (
            serving(api_of, folder=tmp_path) as server,
            working(worker_of, folder=tmp_path),
            calling(server.url) as api,
        ):
            again = api.completed(api.forget(user(1))["request_id"])
            whole = api.ask("POST", "/admin/audit/check", as_admin=True)
            told = api.ask("POST", "/admin/audit/reconcile", as_admin=True)

    # Which items is a version's own affair.
    assert all(one["personalised"] and len(one["items"]) == 10 for one in before)
    assert erased["certificate"]["statement"]["n_records"] == 5
    assert again["certificate"]["statement"]["n_records"] == 5
    assert (whole["is_whole"], told["is_consistent"]) == (True, True)


def test_a_schema_that_is_newer_is_served_and_an_older_one_refused(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database() as url:
        settings = Settings(database=DatabaseSettings(url=SecretStr(url)))
        with pytest.raises(ConflictError, match="lethe migrate"):
            prepare_database(settings)
        schema.upgrade(url)
        prepare_database(settings)
        stamp(url, "later")
        prepare_database(settings)
        with pytest.raises(ConflictError, match="a later version"):
            schema.upgrade(url)
        stamp(url, "0001")
        with pytest.raises(ConflictError, match="lethe migrate"):
            prepare_database(settings)

"""``lethe serve``, ``worker`` and ``migrate``: processes."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Annotated, Final

import typer

from app.cli.options import AsJson, DataDir, tell

_COUNTED_TOGETHER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder through which processes of one host add their counts up; read by Prometheus'
client as it is imported, in each of them."""
_READY_WITHIN_S: Final = 120
"""Seconds that a process which is to replace another one (SIGHUP) may take until it serves; it
counts all users first. One that answers its parent nothing for as long is replaced, too."""


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo set at first.")] = False,
) -> None:
    """Serve the API. With several processes (WEB_CONCURRENCY), SIGHUP replaces one after the other.

    Each new one reads code, settings and secrets anew, and serves before the old one ends.
    """
    import uvicorn

    from app.settings import check_binding, load_settings

    if data_dir is not None:
        os.environ["LETHE_DATA_DIR"] = str(data_dir.absolute())
    settings = load_settings()
    address = host or settings.api.host
    check_binding(settings, host=address)
    if demo:
        from app.cli.runtime import load_demo

        load_demo(settings)
    with tempfile.TemporaryDirectory(prefix="lethe-metrics-") as shared:
        if settings.web_concurrency > 1:
            os.environ[_COUNTED_TOGETHER] = shared
        uvicorn.run(
            "app.main:create",
            factory=True,
            host=address,
            port=settings.api.port if port is None else port,
            workers=settings.web_concurrency,
            timeout_worker_healthcheck=_READY_WITHIN_S,
            log_config=None,  # ours is set up by the application, in each process
            access_log=False,  # its lines hold the path, and the path holds the user id
            server_header=False,
        )


def worker(
    *,
    concurrency: Annotated[int, typer.Option(help="Erasures at once.", min=1)] = 2,
    beat: Annotated[bool, typer.Option("--beat", help="Ask for sweeps, too.")] = False,
    node: Annotated[
        str | None, typer.Option(help="Machine whose files it cleans; LETHE_CHROMA__NODE.")
    ] = None,
) -> None:
    """Run a Celery worker beside a Chroma server's files."""
    from app.bootstrap.database import prepare_database
    from app.domain.errors import SettingsError
    from app.settings import load_settings

    if node is not None:
        os.environ["LETHE_CHROMA__NODE"] = node
    settings = load_settings()
    if settings.chroma.persist_dir is None:
        raise SettingsError(
            ["LETHE_CHROMA__PERSIST_DIR: required by a worker, which cleans and searches the files"]
        )
    prepare_database(settings)
    os.environ[_COUNTED_TOGETHER] = tempfile.mkdtemp(prefix="lethe-metrics-")
    arguments = ["-m", "celery", "-A", "workers.celery_app:app", "worker"]
    arguments += ["--loglevel", "INFO", "--concurrency", str(concurrency), "--without-mingle"]
    arguments += ["--beat"] if beat else []
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own arguments


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database's schema to this version's, and give the service's role its rights."""
    from app.adapters.db import roles, schema
    from app.settings import load_settings

    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    owner = settings.database.owner_url
    schema.upgrade(settings.database_url if owner is None else owner.get_secret_value())
    if owner is not None:
        roles.hand_over(owner.get_secret_value(), service_url=settings.database_url)
    revision = schema.current(settings.database_url)
    tell({"schema": revision}, f"schema at {revision}", as_json=as_json)

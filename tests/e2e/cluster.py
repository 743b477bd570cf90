"""The distributed mode on real servers: PostgreSQL, Redis, Chroma, all on this machine."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.adapters.db import schema
from tests.e2e.processes import QUICK, kill
from tests.servers.chroma import RunningChroma, running_chroma
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer, started_redis


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers, and the environment under which our processes use them."""

    folder: Path
    database_url: str
    redis: RedisServer
    chroma: RunningChroma
    environment: dict[str, str]


@contextmanager
def cluster(
    postgres: PostgresServer, *, folder: Path, settings: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """Give an empty database, a Redis and a Chroma of one's own until the block ends.

    Args:
        postgres: where the database is made.
        folder: for all files.
        settings: environment variables over ``QUICK``.
    """
    with ExitStack() as stack:
        database_url = stack.enter_context(postgres.database())
        schema.upgrade(database_url)
        redis = stack.enter_context(started_redis())
        (folder / "chroma").mkdir(parents=True)
        chroma = stack.enter_context(running_chroma(folder / "chroma"))
        environment = QUICK | {
            "LETHE_DATA_DIR": str(folder / "data"),
            "LETHE_QUEUE": "celery",
            "LETHE_DATABASE__URL": database_url,
            "LETHE_REDIS__URL": redis.database(0),
            "LETHE_VAULT__URL": f"sqlite:///{folder / 'data' / 'vault.db'}",
            "LETHE_CHROMA__URL": chroma.url,
            "LETHE_CHROMA__PERSIST_DIR": str(folder / "chroma"),
        }
        yield Cluster(folder, database_url, redis, chroma, environment | (settings or {}))


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for the length of the block."""
    kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGCONT)

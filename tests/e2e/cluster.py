"""The distributed mode on real servers that can be stopped and started again, on this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from app.adapters.db import schema
from tests.e2e.processes import QUICK, kill
from tests.servers.chroma import started_chroma
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.redis import started_redis


class OwnRedis:
    """A Redis that keeps its address when it is stopped and started, and nothing else."""

    def __init__(self) -> None:
        self._port = free_port()
        self._running = ExitStack()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        self._running.enter_context(started_redis(port=self._port))

    def stop(self) -> None:
        self._running.close()

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Give a connection for looking, flushing and the like."""
        made = redis.Redis.from_url(self.url, socket_timeout=10)
        try:
            yield made
        finally:
            made.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let nothing listen there until the block ends; all that was in it is lost."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections and answer nothing until the block ends."""
        with self.client() as client:
            info = client.info("server")
        assert isinstance(info, dict)
        pid = int(info["process_id"])
        kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            kill(pid, signal.SIGCONT)


class OwnChroma:
    """A Chroma server that keeps its address and its files when it is stopped and started."""

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        self._running = ExitStack()
        self.directory = directory
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._running.enter_context(started_chroma(self.directory, port=self._port))

    def stop(self) -> None:
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let nothing listen there until the block ends."""
        self.stop()
        try:
            yield
        finally:
            self.start()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers, and the environment under which our processes use them."""

    folder: Path
    database_url: str
    redis: OwnRedis
    chroma: OwnChroma
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
        own_redis, own_chroma = OwnRedis(), OwnChroma(folder / "chroma")
        for server in (own_redis, own_chroma):
            stack.callback(server.stop)
            server.start()
        environment = QUICK | {
            "LETHE_DATA_DIR": str(folder / "data"),
            "LETHE_QUEUE": "celery",
            "LETHE_DATABASE__URL": database_url,
            "LETHE_REDIS__URL": own_redis.url,
            "LETHE_VAULT__URL": f"sqlite:///{folder / 'data' / 'vault.db'}",
            "LETHE_CHROMA__URL": own_chroma.url,
            "LETHE_CHROMA__PERSIST_DIR": str(own_chroma.directory),
        }
        yield Cluster(folder, database_url, own_redis, own_chroma, environment | (settings or {}))

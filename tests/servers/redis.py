"""A Redis server as Lethe needs it: nothing evicted, nothing on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from tests.servers import ServerMissingError
from tests.servers.ports import free_port, stop, wait_until_up


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Where a Redis server listens; a database of it is a path from ``/0`` to ``/15``."""

    url: str

    def database(self, number: int) -> str:
        """Return the address of database ``number``, 0 to 15."""
        return f"{self.url}/{number}"


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Give the server at ``LETHE_TEST_REDIS_URL`` if it answers, else start ``redis-server``.

    A server found by its address is taken as it is, so it must be there for tests only: they
    empty its databases.

    Raises:
        ServerMissingError: neither is to be had.
    """
    url = os.environ.get("LETHE_TEST_REDIS_URL", "").rstrip("/")
    if url and _answers(url):
        yield RedisServer(url)
        return
    with started_redis() as server:
        yield server


@contextmanager
def started_redis(*, port: int | None = None) -> Iterator[RedisServer]:
    """Start a server that a test may flush or kill; ``port`` None takes a free one.

    Raises:
        ServerMissingError: the program is not installed.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServerMissingError("redis-server is not installed")
    port = port or free_port()
    server = RedisServer(f"redis://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="lethe-redis-") as folder:
        command = [
            *(binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
            *("--maxmemory-policy", "noeviction", "--save", "", "--appendonly", "no"),
            *("--loglevel", "warning"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until_up(lambda: _answers(server.url), process)
            yield server
        finally:
            stop(process)


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()

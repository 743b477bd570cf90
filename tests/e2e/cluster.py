"""The services of the compose file that tests stop, freeze and start again, on this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from app.adapters.db import schema
from app.settings_groups import DEVELOPMENT_ADMIN_TOKEN, DEVELOPMENT_SERVICE_TOKEN
from tests.e2e.processes import PEPPER, QUICK, kill
from tests.servers.compose import compose_file, services
from tests.servers.layout import Layout, running
from tests.servers.machine import Machine
from tests.servers.postgres import PostgresServer

_SECRETS: Final = {
    "LETHE_PEPPER": PEPPER,
    "LETHE_VAULT__KEK": "0123456789abcdef" * 4,
    "LETHE_AUTH__SERVICE_TOKEN": DEVELOPMENT_SERVICE_TOKEN,
    "LETHE_AUTH__ADMIN_TOKEN": DEVELOPMENT_ADMIN_TOKEN,
    "LETHE_REDIS__URL": f"redis://:{'0123456789abcdef' * 2}@redis:6379/0",
    "REDIS_PASSWORD": "0123456789abcdef" * 2,
}
"""Of the secrets of a real machine those whose value counts here."""
_SERVERS: Final = ("redis", "chroma")
_DIRECTORY: Final = "LETHE_CHROMA__PERSIST_DIR"


class OwnServer:
    """A server of the compose file that keeps its address when it is stopped and started.

    Chroma keeps its files, too; Redis nothing.
    """

    def __init__(self, layout: Layout, name: str, *, url: str, directory: Path) -> None:
        self._layout = layout
        self._name = name
        self.url = url
        self.directory = directory

    def stop(self) -> None:
        self._layout.stop(self._name)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let nothing listen there until the block ends."""
        self.stop()
        try:
            yield
        finally:
            self._layout.restart(self._name)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections and answer nothing until the block ends."""
        pid = self._layout.pid(self._name)
        kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            kill(pid, signal.SIGCONT)


class OwnRedis(OwnServer):
    """The Redis of the compose file, which loses everything when it is stopped."""

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Give a connection for looking, flushing and the like."""
        made = redis.Redis.from_url(self.url, socket_timeout=10)
        try:
            yield made
        finally:
            made.close()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers, and the environment under which our processes use them.

    Args:
        environment: of API processes, which have no way to Chroma's files.
        beside_chroma: of workers, which have.
    """

    folder: Path
    database_url: str
    redis: OwnRedis
    chroma: OwnServer
    environment: dict[str, str]
    beside_chroma: dict[str, str]


@contextmanager
def cluster(
    postgres: PostgresServer, *, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Give an empty database, a Redis and a Chroma of one's own until the block ends.

    Args:
        postgres: where the databases of rows and of keys are made: starting two servers for each
            module would cost more than its tests.
        folder: for all files.
        settings: environment variables over those of the compose file and ``QUICK``.
    """
    variables = {"LETHE_AUDIT__ORIGIN": "lethe-test", "SECRETS_DIR": str(folder / "secrets")}
    wanted = services(variables=variables, profiles=frozenset())
    (folder / "secrets").mkdir(mode=0o700)
    for name in compose_file()["secrets"]:
        (folder / "secrets" / name).write_text(_SECRETS.get(name, "of-no-use-here"))
    machine = Machine(wanted, folder=folder / "layout")
    layout = Layout(wanted, machine, logs=folder / "layout" / "logs")
    with ExitStack() as stack:
        database_url = stack.enter_context(postgres.database())
        vault_url = stack.enter_context(postgres.database())
        schema.upgrade(database_url)
        stack.enter_context(running(layout, *_SERVERS))
        over = QUICK | {
            "LETHE_ENV": "development",
            "LETHE_DATABASE__URL": database_url,
            "LETHE_VAULT__URL": vault_url,
            "WEB_CONCURRENCY": "1",
        }
        environments = {
            name: _settings(machine, name) | over | dict(settings or {})
            for name in ("api", "worker")
        }
        said, directory = environments["api"], Path(environments["worker"][_DIRECTORY])
        queue = Path(said["LETHE_SECRETS_DIR"]) / "LETHE_REDIS__URL"
        yield Cluster(
            folder,
            database_url,
            OwnRedis(layout, "redis", url=queue.read_text(), directory=directory),
            OwnServer(layout, "chroma", url=said["LETHE_CHROMA__URL"], directory=directory),
            said,
            environments["worker"],
        )


def _settings(machine: Machine, name: str) -> dict[str, str]:
    """Return a service's settings, without those that are empty and its port."""
    found = machine.inside(name, ["lethe"]).environment
    return {
        key: value
        for key, value in found.items()
        if key.startswith("LETHE_") and value and key != "LETHE_API__PORT"
    }

"""A service of the compose file as a process of this machine.

Volumes are folders, host names are ports of the loopback interface, and the programs are those of
``.venv``, of Debian, and of ``.venv-vllm``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.servers import ServerMissingError, beyond_path, require_programs, vllm
from tests.servers.compose import ROOT, SECRETS, Service
from tests.servers.ports import free_port
from tests.servers.postgres import find_programs as postgres_programs
from tests.servers.postgres import user_to_run_as

_PORTS: Final = {"postgres": 5432, "redis": 6379}
_HTTP_PORT: Final = 8000
_METRICS_PORT: Final = "LETHE_API__METRICS_PORT"
_POSTGRES_DATA: Final = "/var/lib/postgresql/data"
_CLUSTER: Final = ("--auth-local=peer", "--encoding=UTF8", "--locale=C.UTF-8")


@dataclass(frozen=True, slots=True)
class Command:
    """A program with all it is started with.

    Args:
        user: to run it as, None for ourselves.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    user: str | None = None


class Machine:
    """Places for services on this machine.

    Args:
        services: by name.
        folder: of all volumes; for PostgreSQL its user must be able to go there.
        elsewhere: ports of services that are there already, by name.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        *,
        folder: Path,
        elsewhere: Mapping[str, int] | None = None,
    ) -> None:
        self._services = services
        self._folder = folder
        known = elsewhere or {}
        self.ports = {name: known.get(name) or _port(one) for name, one in services.items()}

    def server(self, name: str) -> Command:
        """Return how a service is started; prepares its folders, and a database's files.

        Raises:
            ServerMissingError: its program is not installed.
        """
        service = self._services[name]
        for path in service.volumes:
            self._place(service, path).mkdir(parents=True, exist_ok=True, mode=0o700)
        made = self.inside(name, service.command)
        if _kind(service) == "postgres":
            return self._database(service, made)
        if _kind(service) == "redis":
            more = ("--port", str(self.ports[name]), "--bind", "127.0.0.1")
            return replace(made, arguments=(*made.arguments, *more, "--dir", str(made.folder)))
        if _kind(service) == "vllm":
            return self._model_server(made)
        return made

    def inside(self, name: str, command: Sequence[str]) -> Command:
        """Return a command as it runs in the service's container: its environment, its folders."""
        service = self._services[name]
        folder = self._folder / "run" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._put_secrets(service)
        kept = (one for one in os.environ.items() if not one[0].startswith("LETHE_"))
        said = {key: self._here(service, value) for key, value in service.environment.items()}
        said.pop("PATH", None)
        if service.is_ours:
            said |= {"PYTHONPATH": str(ROOT), "LETHE_API__PORT": str(self.ports[name])}
            if _METRICS_PORT in said:  # all containers may use one port, all processes not
                said[_METRICS_PORT] = str(self.ports[name])
        if _kind(service) == "postgres":
            said |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports[name])}
        arguments = tuple(self._here(service, part) for part in command)
        program = _program(arguments[0], is_ours=service.is_ours)
        return Command((program, *arguments[1:]), dict(kept) | said, folder)

    def _put_secrets(self, service: Service) -> None:
        """Put a service's secrets where it finds them, with the addresses of this machine.

        Each is renamed into its place, never emptied first: every health check comes by here, while
        another process of the service may be reading them.

        Raises:
            ServerMissingError: there is no file of that name.
        """
        folder = self._place(service, SECRETS)
        folder.mkdir(exist_ok=True, mode=0o700)
        for name, source in service.secrets.items():
            if not source.exists():
                raise ServerMissingError(f"no secret {name}: run make env")
            with tempfile.TemporaryDirectory(dir=folder.parent) as drafts:
                draft = Path(drafts) / name
                draft.touch(mode=0o600)
                draft.write_text(self._here(service, source.read_text().strip()))
                draft.replace(folder / name)

    def _here(self, service: Service, text: str) -> str:
        """Return ``text`` with the addresses and paths of this machine."""
        for name, one in self._services.items():
            inside = f"(?:{'|'.join(sorted(one.names))}):{_inner_port(one)}"
            text = re.sub(rf"(?<=[@/]){inside}(?!\w)", f"127.0.0.1:{self.ports[name]}", text)
        own, inner = self.ports[service.name], _inner_port(service)
        text = text.replace("0.0.0.0", "127.0.0.1")
        text = re.sub(rf"(?<=127\.0\.0\.1:){inner}(?!\d)|(?<=--port=){inner}$", str(own), text)
        text = str(own) if text == str(inner) else text
        text = re.sub(r"\bredis-cli\b", f"redis-cli -p {own}", text)
        # In one go: a folder of this machine may itself begin like a path of the container.
        paths = "|".join(sorted(map(re.escape, {*service.volumes, "/data", SECRETS})))
        return re.sub(
            rf"(^|[= ])({paths})(?=/|$)", lambda at: f"{at[1]}{self._place(service, at[2])}", text
        )

    def _place(self, service: Service, path: str) -> Path:
        if path == SECRETS:
            return self._folder / "run" / service.name / "secrets"
        source = service.volumes.get(path, f"{service.name}{path}")
        return ROOT / source if source.startswith((".", "/")) else self._folder / "volumes" / source

    def _database(self, service: Service, made: Command) -> Command:
        """Return PostgreSQL's command; its files are made first, as its image does."""
        data, user = self._place(service, _POSTGRES_DATA), user_to_run_as()
        if user is not None:
            shutil.chown(data, user)
        if not (data / "PG_VERSION").exists():
            _initialise(data, made.environment, user=user)
        port = self.ports[service.name]
        more = ("-D", str(data), "-p", str(port), f"-k{data}", "-clisten_addresses=127.0.0.1")
        return replace(made, arguments=(*made.arguments, *more), folder=data, user=user)

    def _model_server(self, made: Command) -> Command:
        if beyond_path([vllm.PYTHON]) is None:
            raise ServerMissingError("vLLM is not installed (make setup-vllm)")
        told = {key: value for key, value in made.environment.items() if key.startswith("VLLM_")}
        environment = vllm.server_environment(made.folder) | told
        inside = ((str(vllm.PYTHON) if part == "python3" else part) for part in made.arguments)
        arguments = (*inside, "--enforce-eager", "--dtype", vllm.number_format())
        return Command(arguments, environment, made.folder)


def require_servers() -> None:
    """Find the programs of the services that are not ours, but for the model's.

    Raises:
        ServerMissingError: one is not installed.
    """
    require_programs("redis-server")
    postgres_programs()


def _kind(service: Service) -> str:
    name = service.image.rpartition("/")[2].partition(":")[0]
    return "vllm" if "vllm" in name else name


def _inner_port(service: Service) -> int:
    return _PORTS.get(_kind(service), _HTTP_PORT)


def _port(service: Service) -> int:
    return service.published[1] if service.published else free_port()


def _program(name: str, *, is_ours: bool) -> str:
    """Return where a program of the image is on this machine."""
    if is_ours or name == "python3":
        return str(Path(sys.executable).parent / name)
    if name in {"postgres", "pg_isready"}:
        return str(postgres_programs() / name)
    found = shutil.which(name)
    if found is None:
        raise ServerMissingError(f"{name} is not installed")
    return found


def _initialise(data: Path, environment: Mapping[str, str], *, user: str | None) -> None:
    """Make a cluster with the user and the database that the environment names."""
    owner = environment["POSTGRES_USER"]
    password = Path(environment["POSTGRES_PASSWORD_FILE"]).read_text()
    secret = data.with_suffix(".password")
    secret.touch(mode=0o600)
    if user is not None:
        shutil.chown(secret, user)
    secret.write_text(password)
    programs, arguments = postgres_programs(), environment["POSTGRES_INITDB_ARGS"].split()
    made = [*("--pgdata", str(data), "--username", owner, "--pwfile", str(secret)), *arguments]
    create = f"CREATE DATABASE {environment['POSTGRES_DB']};\n"
    try:
        for command, told in (
            ([str(programs / "initdb"), *_CLUSTER, *made], None),
            ([str(programs / "postgres"), "--single", "-D", str(data), "postgres"], create),
        ):
            subprocess.run(
                command, input=told, text=True, user=user, check=True, capture_output=True, cwd=data
            )
    finally:
        secret.unlink()

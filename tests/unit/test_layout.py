"""The compose file's services as processes of this machine: what is told them, and their lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.processes import wait_for
from tests.servers import ServerMissingError
from tests.servers.compose import Health, Service, compose_file, services
from tests.servers.layout import Layout, NotUpError, Status, running
from tests.servers.machine import Machine

PASSWORD = "5432-6379-8000"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    variables = {"LETHE_AUDIT__ORIGIN": "any", "SECRETS_DIR": str(tmp_path / "secrets")}
    (tmp_path / "secrets").mkdir()
    for name in compose_file()["secrets"]:
        (tmp_path / "secrets" / name).write_text(f"{name}-{PASSWORD}\n")
    (tmp_path / "secrets" / "LETHE_REDIS__URL").write_text(f"redis://:{PASSWORD}@redis:6379/0")
    return Machine(services(variables=variables, profiles=frozenset()), folder=tmp_path)


def test_the_worker_is_told_of_this_machines_servers_and_folders(
    machine: Machine, tmp_path: Path
) -> None:
    told = machine.inside("worker", ["lethe"]).environment
    ports = machine.ports

    secrets = Path(told["LETHE_SECRETS_DIR"])
    queue = (secrets / "LETHE_REDIS__URL").read_text()
    assert queue == f"redis://:{PASSWORD}@127.0.0.1:{ports['redis']}/0"
    assert told["LETHE_CHROMA__PERSIST_DIR"] == str(tmp_path / "volumes" / "chroma")
    assert told["LETHE_DATA_DIR"] == machine.inside("api", ["lethe"]).environment["LETHE_DATA_DIR"]


def test_api_processes_are_told_of_no_folder_of_chroma(machine: Machine) -> None:
    assert "LETHE_CHROMA__PERSIST_DIR" not in machine.inside("api", ["lethe"]).environment


def test_a_service_finds_its_own_secrets_and_nobody_else_can(machine: Machine) -> None:
    machine.inside("migrate", ["lethe"])
    folder = Path(machine.inside("worker", ["lethe"]).environment["LETHE_SECRETS_DIR"])

    names = {one.name for one in folder.iterdir()}
    assert "LETHE_PEPPER" in names
    assert names.isdisjoint({"LETHE_DATABASE__OWNER_URL", "POSTGRES_PASSWORD"})
    assert {one.stat().st_mode & 0o077 for one in (folder, *folder.iterdir())} == {0}


def test_a_secret_is_never_half_written_to_those_who_read_it(machine: Machine) -> None:
    folder = Path(machine.inside("worker", ["lethe"]).environment["LETHE_SECRETS_DIR"])
    with (folder / "LETHE_PEPPER").open() as opened:  # one that starts, as a health check begins
        machine.inside("worker", ["lethe", "worker", "--check"])

        assert opened.read() == f"LETHE_PEPPER-{PASSWORD}"
        assert os.fstat(opened.fileno()).st_nlink == 0, "it was written into"


def test_a_service_of_several_replicas_is_there_as_often() -> None:
    variables = {"LETHE_AUDIT__ORIGIN": "any", "WORKERS": "3"}

    wanted = services(variables=variables, profiles=frozenset())

    assert {"worker", "worker-2", "worker-3"} <= wanted.keys()
    assert wanted["worker-3"].volumes["/chroma"] == wanted["worker"].volumes["/chroma"]


def test_a_server_listens_on_its_own_port_of_the_loopback_interface(
    machine: Machine, tmp_path: Path
) -> None:
    command = machine.server("chroma").arguments

    assert command[1:] == (
        *("run", "--path", str(tmp_path / "volumes" / "chroma")),
        *("--host", "127.0.0.1", "--port", str(machine.ports["chroma"])),
    )


def test_nothing_is_read_without_what_must_be_said() -> None:
    with pytest.raises(KeyError, match="ORIGIN"):
        services(variables={}, profiles=frozenset())


def test_nothing_starts_without_its_secrets(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "LETHE_PEPPER").unlink()

    with pytest.raises(ServerMissingError, match="LETHE_PEPPER"):
        machine.server("api")


def _service(
    name: str,
    script: str,
    *,
    check: str | None = None,
    after: Mapping[str, str] | None = None,
    is_restarted: bool = True,
) -> Service:
    health = Health(("sh", "-c", check), 0.1, 5.0, 0.0, 3) if check else None
    return Service(
        name=name,
        image="any:1.0",
        command=("sh", "-c", script),
        environment={},
        secrets={},
        health=health,
        depends_on=after or {},
        volumes={},
        names=frozenset({name}),
        published=None,
        is_restarted=is_restarted,
        stop_s=5.0,
    )


def _layout(tmp_path: Path, *wanted: Service) -> Layout:
    by_name = {service.name: service for service in wanted}
    return Layout(by_name, Machine(by_name, folder=tmp_path), logs=tmp_path / "logs")


def test_a_service_is_started_once_what_it_needs_is_healthy(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    later = _service(
        "later", f"test -e {flag} && sleep 60", after={"first": "service_healthy"}, check="true"
    )
    first = _service("first", f"sleep 0.5; touch {flag}; sleep 60", check=f"test -e {flag}")
    layout = _layout(tmp_path, later, first)

    with running(layout):
        assert layout.statuses() == {"later": Status.HEALTHY, "first": Status.HEALTHY}


def test_what_ends_is_started_again_with_nothing_left_of_it(tmp_path: Path) -> None:
    layout = _layout(tmp_path, _service("one", "sleep 60 & echo $!; wait"))
    log = tmp_path / "logs" / "one.log"
    with running(layout):
        before = layout.pid("one")
        wait_for("it writes", lambda: log.read_text() or None)
        child = int(log.read_text())

        os.kill(before, signal.SIGKILL)
        wait_for("it is another", lambda: layout.tick() and layout.pid("one") != before)

        assert not Path(f"/proc/{child}/cwd").exists()


def test_a_service_that_ends_at_its_start_is_told_with_its_words(tmp_path: Path) -> None:
    layout = _layout(tmp_path, _service("one", "echo no port is free; exit 3", check="false"))

    with pytest.raises(NotUpError, match="no port is free"), running(layout):
        pass

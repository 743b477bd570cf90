"""``make up``, ``down`` and ``ps``: the compose file's services without Docker.

    python -m tests.servers.up up              start all, return once they are healthy
    python -m tests.servers.up ps              show them
    python -m tests.servers.up exec api lethe keys show
    python -m tests.servers.up down [--volumes]

Secrets and choices come from ``.env``, as Docker's do; ``COMPOSE_PROFILES=cpu`` adds a model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from tests.servers import ServerMissingError
from tests.servers.compose import ROOT, services
from tests.servers.layout import Layout, NotUpError
from tests.servers.machine import Machine

_FOLDER: Final = Path(os.environ.get("UP_DIR") or ROOT / ".make" / "up")
_STATE: Final = _FOLDER / "state.json"
_TIMEOUT_S: Final = 300.0
_LOOK_S: Final = 0.2


def main() -> None:
    """Do what the command line says; exit code 1 where it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "ps", "supervise"):
        commands.add_parser(name)
    commands.add_parser("down").add_argument("--volumes", action="store_true")
    inside = commands.add_parser("exec")
    inside.add_argument("service")
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    told = parser.parse_args()
    os.umask(0o022)  # PostgreSQL runs as another user, who has to get through the folders
    try:
        match told.command:
            case "up":
                _up()
            case "ps":
                _show()
            case "exec":
                _exec(told.service, told.arguments)
            case "down":
                _down(has_volumes=told.volumes)
            case _:
                _supervise()
    except (NotUpError, ServerMissingError) as error:
        print(f"up: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyError as missing:
        print(f"up: {missing}: run make env", file=sys.stderr)
        raise SystemExit(1) from None


def _layout(ports: dict[str, int] | None = None) -> tuple[Layout, Machine]:
    told = {name: value or "" for name, value in dotenv_values(ROOT / ".env").items()}
    variables = {**told, **os.environ}
    profiles = frozenset(variables.get("COMPOSE_PROFILES", "").split(",")) - {""}
    wanted = services(variables=variables, profiles=profiles)
    machine = Machine(wanted, folder=_FOLDER, elsewhere=ports)
    return Layout(wanted, machine, logs=_FOLDER / "logs"), machine


def _up() -> None:
    """Start what looks after the services, and wait until all of them have arrived."""
    started_s = time.monotonic()
    begun = None
    if _supervisor() is None:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        _STATE.unlink(missing_ok=True)
        with (_FOLDER / "supervisor.log").open("wb") as log:
            begun = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.up", "supervise"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    while not (state := _state()).get("has_arrived"):
        has_ended = begun is not None and begun.poll() is not None
        if has_ended or state.get("error") or time.monotonic() > started_s + _TIMEOUT_S:
            told = (_FOLDER / "supervisor.log").read_text(errors="replace")
            raise NotUpError(str(state.get("error") or told or "not up in time"))
        time.sleep(_LOOK_S)
    _show()
    print(f"up after {time.monotonic() - started_s:.1f} s; logs are in {_FOLDER / 'logs'}")


def _supervise() -> None:
    """Start the services and look after them until a signal says to end."""
    ends: list[int] = []
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, lambda number, _frame: ends.append(number))
    layout, _ = _layout()
    try:
        deadline_s, has_arrived = time.monotonic() + _TIMEOUT_S, False
        while not ends:
            has_arrived |= layout.tick()
            _keep(layout, has_arrived=has_arrived)
            if not has_arrived:
                layout.require_coming(is_late=time.monotonic() > deadline_s)
            time.sleep(_LOOK_S)
    except (NotUpError, ServerMissingError) as error:
        _keep(layout, error=str(error))
    finally:
        layout.down()
        if ends:
            _STATE.unlink(missing_ok=True)


def _keep(layout: Layout, *, has_arrived: bool = False, error: str | None = None) -> None:
    """Write down what the other commands read, in one piece."""
    state = {
        "supervisor": os.getpid(),
        "services": list(layout.rows()),
        "has_arrived": has_arrived,
        "error": error,
    }
    fresh = _STATE.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(_STATE)


def _state() -> dict[str, object]:
    if not _STATE.exists():
        return {}
    found: dict[str, object] = json.loads(_STATE.read_text())
    return found


def _supervisor() -> int | None:
    """Return the process that looks after the services, if it lives."""
    pid = _state().get("supervisor")
    if not isinstance(pid, int):
        return None
    command = Path(f"/proc/{pid}/cmdline")
    is_ours = command.exists() and b"tests.servers.up" in command.read_bytes()
    return pid if is_ours else None


def _rows() -> list[dict[str, object]]:
    rows = _state().get("services") if _supervisor() is not None else None
    return rows if isinstance(rows, list) else []


def _show() -> None:
    rows = _rows()
    if not rows:
        print("nothing is up")
    for row in rows:
        facts = [f"{name} {row[name]}" for name in ("pid", "port", "restarts") if row[name]]
        print(f"{row['name']:12} {row['status']:10} {', '.join(facts)}")


def _exec(service: str, arguments: list[str]) -> None:
    """Become a command as it runs in a service's container."""
    ports = {str(row["name"]): int(str(row["port"])) for row in _rows()}
    if service not in ports:
        raise NotUpError(f"{service} is not up")
    command = _layout(ports)[1].inside(service, arguments)
    os.chdir(command.folder)
    os.execve(command.arguments[0], command.arguments, dict(command.environment))


def _down(*, has_volumes: bool) -> None:
    """End the services; with ``--volumes`` all that they have kept goes, too."""
    pid = _supervisor()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        while _supervisor() is not None:
            time.sleep(_LOOK_S)
    _STATE.unlink(missing_ok=True)
    if has_volumes:
        shutil.rmtree(_FOLDER, ignore_errors=True)
    print("down")


if __name__ == "__main__":
    main()

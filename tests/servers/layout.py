"""The compose file's services as processes of this machine.

What Docker does for them is done here: started in the order of their dependencies, once these are
healthy; started again when they end; asked whether they are well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.servers.compose import Service
from tests.servers.machine import Command, Machine

_EAGER_S: Final = 0.3
"""Seconds between two checks until a service is healthy for the first time."""
_AGAIN_S: Final = 1.0
"""Seconds until what has ended is started again."""
_TICK_S: Final = 0.1


class Status(StrEnum):
    """How a service is."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DONE = "done"
    ENDED = "ended"
    STOPPED = "stopped"


_ARRIVED: Final = frozenset({Status.RUNNING, Status.HEALTHY, Status.DONE})


class NotUpError(Exception):
    """A service did not come up; the message has the end of what it wrote."""


@dataclass
class _Run:
    """A service's process and what is known of it."""

    status: Status = Status.WAITING
    process: subprocess.Popen[bytes] | None = None
    check: subprocess.Popen[bytes] | None = None
    check_s: float = 0.0
    """When the next check is due, or since when one is under way; monotonic."""
    started_s: float = 0.0
    failures: int = 0
    starts: int = 0
    has_arrived: bool = False


class Layout:
    """Services of the compose file on this machine, in the hands of one process."""

    def __init__(self, services: Mapping[str, Service], machine: Machine, *, logs: Path) -> None:
        self._services = services
        self._machine = machine
        self._runs = {name: _Run() for name in services}
        self._logs = logs
        logs.mkdir(parents=True, exist_ok=True)

    def statuses(self) -> dict[str, Status]:
        """Return how each service is."""
        return {name: run.status for name, run in self._runs.items()}

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield what ``ps`` shows of each service."""
        for name, run in self._runs.items():
            alive = run.process is not None and run.process.poll() is None
            yield {
                "name": name,
                "status": run.status,
                "pid": run.process.pid if run.process is not None and alive else None,
                "port": self._machine.ports[name],
                "restarts": max(0, run.starts - 1),
            }

    def tick(self, *names: str) -> bool:
        """Start what may start, look at what runs; return whether all (or ``names``) arrived."""
        runs = {name: self._runs[name] for name in names or self._runs}
        for name, run in runs.items():
            if run.status is Status.WAITING and self._may_start(self._services[name]):
                self._start(name, run)
            elif run.status not in {Status.WAITING, Status.STOPPED, Status.DONE}:
                self._look(name, run)
            run.has_arrived |= run.status in _ARRIVED
        return all(run.status in _ARRIVED for run in runs.values())

    def up(self, *names: str, timeout_s: float = 300.0) -> None:
        """Wait until these services (none: all) have arrived.

        Raises:
            NotUpError: one ended that should not have, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        wanted = names or tuple(self._services)
        while not all(self._runs[name].status in _ARRIVED for name in wanted):
            self.tick(*wanted)
            self.require_coming(*wanted, is_late=time.monotonic() > deadline)
            time.sleep(_TICK_S)

    def require_coming(self, *names: str, is_late: bool) -> None:
        """Raise where one of these services (none: all) has ended; late, where one is not up.

        Raises:
            NotUpError: with the end of what it wrote.
        """
        for name in names or self._services:
            status = self._runs[name].status
            if status is Status.ENDED or (is_late and status not in _ARRIVED):
                log = self._logs / f"{name}.log"
                text = log.read_text(errors="replace") if log.exists() else ""
                raise NotUpError(f"{name} is {status}:\n{text[-2_000:]}")

    def stop(self, name: str) -> None:
        """End a service with all its processes; it stays down until ``restart``."""
        run = self._runs[name]
        run.status = Status.STOPPED
        for process, grace_s in ((run.check, 0.0), (run.process, self._services[name].stop_s)):
            if process is not None:
                _end(process, grace_s=grace_s)
        run.check = None

    def restart(self, name: str, *, timeout_s: float = 120.0) -> None:
        """Start a service again; returns once it is healthy."""
        self._runs[name].status = Status.WAITING
        self.up(name, timeout_s=timeout_s)

    def down(self) -> None:
        """End everything, what others depend on last."""
        for name in reversed(_ordered(self._services)):
            self.stop(name)

    def pid(self, name: str) -> int:
        """Return the process of a service that runs."""
        process = self._runs[name].process
        assert process is not None, name
        return process.pid

    def _may_start(self, service: Service) -> bool:
        if time.monotonic() < self._runs[service.name].started_s + _AGAIN_S:
            return False
        for other, condition in service.depends_on.items():
            status = self._runs[other].status
            if condition == "service_healthy":
                is_there = status is Status.HEALTHY
            elif condition == "service_completed_successfully":
                is_there = status is Status.DONE
            else:
                is_there = status in _ARRIVED
            if not is_there:
                return False
        return True

    def _start(self, name: str, run: _Run) -> None:
        run.process = _popen(self._machine.server(name), log=self._logs / f"{name}.log")
        run.started_s = time.monotonic()
        run.starts, run.failures, run.check_s = run.starts + 1, 0, 0.0
        run.status = Status.STARTING if self._services[name].health else Status.RUNNING

    def _look(self, name: str, run: _Run) -> None:
        """Note that a service has ended, or check its health."""
        service = self._services[name]
        assert run.process is not None
        code = run.process.poll()
        if code is None:
            self._check(service, run)
        elif service.is_restarted:
            _end(run.process, grace_s=0.0)  # what it has started itself
            run.status = Status.WAITING if run.has_arrived else Status.ENDED
        else:
            run.status = Status.DONE if code == 0 else Status.ENDED

    def _check(self, service: Service, run: _Run) -> None:
        """Start a health check that is due, or note the outcome of the one under way."""
        health, now_s = service.health, time.monotonic()
        if health is None:
            return
        if run.check is None:
            if now_s >= run.check_s:
                run.check = _popen(self._machine.inside(service.name, health.command), log=None)
                run.check_s = now_s
            return
        code = run.check.poll()
        if code is None and now_s < run.check_s + health.timeout_s:
            return
        _end(run.check, grace_s=0.0)
        run.check = None
        is_new = run.status is Status.STARTING
        run.check_s = now_s + (_EAGER_S if is_new and code else health.interval_s)
        run.failures = 0 if code == 0 else run.failures + 1
        is_early = is_new and now_s < run.started_s + max(health.start_s, 30.0)
        if code == 0:
            run.status = Status.HEALTHY
        elif run.failures >= health.retries and not is_early:
            run.status = Status.UNHEALTHY


def _ordered(services: Mapping[str, Service]) -> list[str]:
    """Return the names so that nothing comes before what it depends on."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in services[name].depends_on:
            if other in services:
                visit(other)
        ordered.setdefault(name)

    for name in services:
        visit(name)
    return list(ordered)


def _popen(command: Command, *, log: Path | None) -> subprocess.Popen[bytes]:
    with (log or Path(os.devnull)).open("ab") as stream:
        return subprocess.Popen(
            command.arguments,
            env=dict(command.environment),
            cwd=command.folder,
            user=command.user,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """Ask a process to end, then kill it and whatever is left of its session's group."""
    if grace_s and process.poll() is None:
        program = process.args[0] if isinstance(process.args, tuple) else ""
        # PostgreSQL waits for its clients after SIGTERM; its image asks by SIGINT, too.
        is_database = str(program).endswith("/postgres")
        process.send_signal(signal.SIGINT if is_database else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@contextmanager
def running(layout: Layout, *names: str) -> Iterator[None]:
    """Have these services (none: all) run until the block ends."""
    try:
        layout.up(*names)
        yield
    finally:
        layout.down()

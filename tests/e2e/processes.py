"""Real processes of ours: ``lethe serve`` and ``lethe worker``, watched, stopped and killed.

Each is the leader of a session of its own, so a kill reaches its children and nobody else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx

from tests.e2e.preloaded import HEAP_AND_THREADS, Forked, start
from tests.servers.ports import free_port

ROOT: Final = Path(__file__).parents[2]
PEPPER: Final = "e2e-0123456789abcdef-0123456789abcdef"
QUICK: Final = {
    "LETHE_PEPPER": PEPPER,
    "LETHE_CHROMA__N_SHARDS": "4",
    "LETHE_FORGET__LEASE_S": "3",
    "LETHE_FORGET__HEARTBEAT_S": "0.5",
    "LETHE_FORGET__SWEEP_S": "0.3",
    "LETHE_FORGET__BACKOFF_S": "0.1",
    "LETHE_FORGET__PROCESS_LEASE_S": "2",
}
"""Settings under which what dies is found within seconds."""
START_S: Final = 120.0
Found = TypeVar("Found")


class TooSlowError(AssertionError):
    """What was waited for did not happen in time."""


def wait_for(what: str, look: Callable[[], Found | None], *, timeout_s: float = 60.0) -> Found:
    """Return what ``look`` finds, asking again until it does.

    Raises:
        TooSlowError: it found nothing (None or False) for ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            message = f"{what}: not within {timeout_s:.0f} s"
            raise TooSlowError(message)
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours.

    Args:
        url: where it listens; empty for a worker.
        log: what it wrote.
    """

    process: subprocess.Popen[bytes] | Forked
    url: str
    log: Path

    def pids(self) -> list[int]:
        """Return the living processes of its session, itself first."""
        return sorted(pid for pid, one in _stats() if one.session == self.process.pid)

    def stopped(self) -> int | None:
        """Return the process of its session that has stopped itself, if one has."""
        for pid, one in _stats():
            if one.session == self.process.pid and one.state == "T":
                return pid
        return None

    def kill(self) -> None:
        """``kill -9`` to all of it at once."""
        for pid in self.pids():
            kill(pid)
        self.process.wait(10)

    def stop(self) -> None:
        """Ask it to end, as an operator does; kill what has not ended then."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.kill()

    def text(self) -> str:
        """Return what it wrote."""
        return self.log.read_text(errors="replace")


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int


def _stats() -> Iterator[tuple[int, _Stat]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            fields = text.rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(entry.name), _Stat(state=fields[0], session=int(fields[3]))


def kill(pid: int, sent: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; a process that has ended already is fine."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def _start(
    arguments: list[str], *, environment: Mapping[str, str], folder: Path, url: str = ""
) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
    inherited = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    complete = inherited | HEAP_AND_THREADS | {"PYTHONPATH": str(ROOT)} | dict(environment)
    if arguments[0] == "serve":
        forked = start(arguments, environment=complete, folder=folder, log=log)
        return Running(forked, url, log)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "lethe"), *arguments],
            env=complete,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    return Running(process, url, log)


def _is_setting(name: str) -> bool:
    return name.startswith("LETHE_") or name == "WEB_CONCURRENCY"


@contextmanager
def serving(
    environment: Mapping[str, str], *, folder: Path, port: int | None = None
) -> Iterator[Running]:
    """Run ``lethe serve`` until the block ends; given once it is ready.

    Raises:
        TooSlowError: it was not ready in time, or ended; the message has its last lines.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    running = _start(
        ["serve", "--port", str(port)], environment=environment, folder=folder, url=url
    )
    try:
        _wait_until_ready(running)
        yield running
    finally:
        running.stop()


def _wait_until_ready(running: Running) -> None:
    def is_ready() -> bool:
        if running.process.poll() is not None:
            message = f"lethe serve ended:\n{running.text()[-2_000:]}"
            raise TooSlowError(message)
        try:
            return httpx.get(f"{running.url}/readyz", timeout=5.0).is_success
        except httpx.HTTPError:
            return False

    wait_for("lethe serve is ready", is_ready, timeout_s=START_S)


@contextmanager
def working(
    environment: Mapping[str, str], *, folder: Path, concurrency: int = 1, beat: bool = True
) -> Iterator[Running]:
    """Run ``lethe worker`` until the block ends; given at once."""
    arguments = ["worker", "--concurrency", str(concurrency), *(["--beat"] if beat else [])]
    running = _start(arguments, environment=environment, folder=folder)
    try:
        yield running
    finally:
        running.kill()  # its orderly end takes as long as what it is doing

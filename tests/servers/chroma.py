"""A real Chroma server for tests: the one that is configured, or one from the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers.ports import free_port, stop, wait_until_up

_START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class RunningChroma:
    """A server that answers.

    Args:
        url: ``http://127.0.0.1:port``.
        directory: its persist directory; None for a configured server elsewhere.
        pid: of the process started here, None likewise.
    """

    url: str
    directory: Path | None
    pid: int | None


def answers(url: str) -> bool:
    """Whether a Chroma server is at ``url``."""
    try:
        return httpx.get(f"{url}/api/v2/heartbeat", timeout=2.0).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def running_chroma(directory: Path | None = None) -> Iterator[RunningChroma]:
    """Give a Chroma server: LETHE_TEST_CHROMA_URL if that answers, else a new one.

    Args:
        directory: where a new one keeps its files; with it, a new one is always started.
    """
    configured = os.environ.get("LETHE_TEST_CHROMA_URL", "").rstrip("/")
    if directory is None and configured and answers(configured):
        yield RunningChroma(configured, directory=None, pid=None)
        return
    path = directory or Path(tempfile.mkdtemp(prefix="lethe-chroma-"))
    try:
        with started_chroma(path) as server:
            yield server
    finally:
        if directory is None:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def started_chroma(directory: Path, *, port: int | None = None) -> Iterator[RunningChroma]:
    """Start a server on files that may be there already; ``port`` None takes a free one."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    program = Path(sys.executable).parent / "chroma"
    command = [str(program), "run", "--path", str(directory)]
    # Chroma's heap must not carry one user's bytes into another's file (docs/decisions/0008).
    environment = os.environ | {"MALLOC_PERTURB_": "165", "ANONYMIZED_TELEMETRY": "False"}
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(lambda: answers(url), process, timeout_s=_START_TIMEOUT_S)
            yield RunningChroma(url, directory=directory, pid=process.pid)
        finally:
            stop(process)

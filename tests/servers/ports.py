"""Ports and waiting, for servers that tests start."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(
    is_up: Callable[[], bool], process: subprocess.Popen[bytes], *, timeout_s: float = 30.0
) -> None:
    """Wait until ``is_up`` says so.

    Raises:
        RuntimeError: the process ended, or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while not is_up():
        if (code := process.poll()) is not None:
            message = f"the server ended with {code} before it was up"
            raise RuntimeError(message)
        if time.monotonic() > deadline:
            message = f"the server was not up after {timeout_s:.0f} s"
            raise RuntimeError(message)
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], *, timeout_s: float = 10.0) -> None:
    """Ask ``process`` to end, and kill it when it does not."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout_s)

"""A process that has imported the service and forks: what starts this way has imported it already.

An import of the service costs three seconds of processor, and the crash tests start it some fifty
times. Nothing runs in the process that is forked, not even a thread. Orders come on standard
input, one JSON object a line; the answer to each is the child's process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

ROOT: Final = Path(__file__).parents[2]
HEAP_AND_THREADS: Final = {
    "MALLOC_PERTURB_": "165",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
"""As the Makefile sets them. Without the first, the service would start its program anew: here,
the one that forks."""


_ordering: Final = Lock()
"""An order and its answer go together: threads that start processes at once would take each
other's answers, and the last one would wait for ever."""


class Forked:
    """A child of the preloaded process, with what ``subprocess.Popen`` can do."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """Return None while it lives. How it ended is not known: it is not our child."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("lethe", timeout_s)
            time.sleep(0.02)

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@cache
def _parent() -> subprocess.Popen[str]:
    """Return the preloaded process of this one; it ends with it, as its standard input does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.preloaded"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | HEAP_AND_THREADS,
    )


def start(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path
) -> Forked:
    """Run ``lethe`` with these arguments in a session of its own."""
    with _ordering:
        parent = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    order = {"arguments": [*arguments], "environment": {**environment}, "folder": str(folder)}
    with _ordering:
        parent.stdin.write(json.dumps(order | {"log": str(log)}) + "\n")
        parent.stdin.flush()
        return Forked(int(parent.stdout.readline()))


def _become(order: dict[str, object], command_line: object) -> None:
    """Turn this child into the process that was ordered; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload] # from our own JSON
    os.chdir(str(order["folder"]))
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    sys.argv = ["lethe", *order["arguments"]]  # type: ignore[misc] # from our own JSON
    try:
        command_line()  # type: ignore[operator] # app.cli.main
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # nothing of the process that was forked is to be closed here


def _serve_orders() -> None:
    import uvicorn.protocols.http.httptools_impl  # noqa: F401, PLC0415 - what a server imports late

    import app.main  # noqa: F401, PLC0415 - only here: tests that import this file need no service
    from app.cli import main as command_line  # noqa: PLC0415 - the same

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries who has ended
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line), command_line)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve_orders()

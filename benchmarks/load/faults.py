"""Breaks the services of the layout in turn, while callers go on; what they see and what is lost.

The same layout and traffic as in ``benchmarks.load.restarts``, but nobody is asked to end: services
and their children are killed (SIGKILL), frozen for some seconds (SIGSTOP), emptied, cut off.

``python -m benchmarks.load.faults`` writes ``results/load_faults.json``; exit code 1 where an
erasure was lost or the audit log does not verify.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import psycopg
import redis

from benchmarks.load.layout import Whole
from benchmarks.load.restarts import report
from tests.e2e.processes import wait_for

FROZEN_S: Final = 8.0


def _killed(made: Whole, *, name: str) -> None:
    """Kill a service; what looks after it starts it again."""
    before = made.layout.pid(name)
    os.kill(before, signal.SIGKILL)

    def is_another() -> bool:
        made.layout.tick()
        return made.layout.pid(name) != before

    wait_for("it is started again", is_another)
    made.layout.up(name)


def _child_killed(made: Whole, *, name: str) -> None:
    """Kill the youngest process that a service has started; the service replaces it."""
    children = wait_for("it has children", lambda: made.children(name) or None)
    os.kill(max(children), signal.SIGKILL)


def _frozen(made: Whole, *, name: str) -> None:
    """Let a service and its children answer nothing for a while."""
    stopped = [made.layout.pid(name), *made.children(name)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def _flushed(made: Whole) -> None:
    """Empty the broker."""
    with redis.Redis.from_url(made.secret("worker", "LETHE_REDIS__URL")) as client:
        client.flushall()


def _cut(made: Whole) -> None:
    """End every connection to the rows."""
    url = made.secret("migrate", "LETHE_DATABASE__OWNER_URL").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


FAULTS: Final[Mapping[str, Callable[[Whole], None]]] = {
    "worker killed": partial(_killed, name="worker"),
    "worker's child killed": partial(_child_killed, name="worker"),
    "worker frozen": partial(_frozen, name="worker"),
    "beat killed": partial(_killed, name="beat"),
    "API killed": partial(_killed, name="api"),
    "API's child killed": partial(_child_killed, name="api"),
    "Redis flushed": _flushed,
    "Redis killed": partial(_killed, name="redis"),
    "Redis frozen": partial(_frozen, name="redis"),
    "Chroma killed": partial(_killed, name="chroma"),
    "Chroma frozen": partial(_frozen, name="chroma"),
    "PostgreSQL's connections cut": _cut,
    "PostgreSQL killed": partial(_killed, name="postgres"),
    "vault killed": partial(_killed, name="vault"),
}


if __name__ == "__main__":
    report("load_faults", FAULTS)

"""What goes wrong in the chaos run: each disturbance once, by name, and all of them at random."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Final

import psycopg

from tests.e2e.cluster import Cluster
from tests.e2e.processes import Running, kill

_OUTAGE_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Event:
    """A disturbance, and the second of the run at which it began."""

    at_s: float
    name: str


class Restartable:
    """A process of ours that is killed and started again. Used by one thread at a time."""

    def __init__(self, start: Callable[[], AbstractContextManager[Running]]) -> None:
        self._start = start
        self._stack = ExitStack()
        self.running: Running | None = None

    def start(self) -> None:
        """Start it; returns when it is ready."""
        self.running = self._stack.enter_context(self._start())

    def kill(self) -> None:
        """``kill -9`` to all of it."""
        if self.running is not None:
            self.running.kill()
            self._stack.close()
            self.running = None

    def children(self) -> list[int]:
        """Return its processes but the first, which only looks after them."""
        return self.running.pids()[1:] if self.running is not None else []


@dataclass
class Disturber:
    """Disturbs at random until it is stopped; everything runs again when it has stopped.

    Args:
        pause_s: shortest and longest calm between two disturbances.
    """

    servers: Cluster
    api: Restartable
    workers: Sequence[Restartable]
    rng: random.Random
    pause_s: tuple[float, float]
    started_s: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Disturb until ``stop`` is set, in rounds in which everything happens once."""
        disturbances = self.disturbances()
        while not stop.is_set():
            names = list(disturbances)
            self.rng.shuffle(names)
            for name in names:
                if stop.wait(self.rng.uniform(*self.pause_s)):
                    return
                at_s = round(time.monotonic() - self.started_s, ndigits=1)
                self.events.append(Event(at_s, name.removesuffix(" again")))
                print(f"{at_s:7.1f} s  {name}", flush=True)
                disturbances[name]()

    def disturbances(self) -> Mapping[str, Callable[[], None]]:
        """Return what can go wrong; each action returns once things run again."""
        return {
            "Redis flushed": self._flush_redis,
            "Redis restarted": self._restart_redis,
            "PostgreSQL cut": self._cut_postgres,
            "Chroma down": self._stop_chroma,
            "worker killed": self._kill_worker,
            "child killed": self._kill_child,
            "child killed again": self._kill_child,
            "API killed": self._kill_api,
        }

    def _flush_redis(self) -> None:
        with self.servers.redis.client() as client:
            client.flushall()

    def _restart_redis(self) -> None:
        with self.servers.redis.stopped():
            time.sleep(_OUTAGE_S / 2)

    def _cut_postgres(self) -> None:
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def _stop_chroma(self) -> None:
        with self.servers.chroma.stopped():
            time.sleep(_OUTAGE_S)

    def _kill_worker(self) -> None:
        worker = self.rng.choice(self.workers)
        worker.kill()
        worker.start()

    def _kill_child(self) -> None:
        children = [pid for worker in self.workers for pid in worker.children()]
        if children:
            kill(self.rng.choice(children))

    def _kill_api(self) -> None:
        self.api.kill()
        self.api.start()

"""API processes over one database, clients that call any of them, and what the clients saw."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import httpx

from benchmarks.chaos.groups import ASKED, Group
from tests.e2e.calls import Api, Json, calling
from tests.e2e.cluster import Cluster
from tests.e2e.processes import Running, kill, serving
from tests.servers.ports import free_port

_BUILT: Final = "neighbours_built"


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer about a group: when it was asked for and had come, and whether it rests on it."""

    group: int
    sent_s: float
    arrived_s: float
    rests: bool


@dataclass(slots=True)
class Findings:
    """What clients saw. Appended to by many threads.

    Args:
        asked: the time before each group's forget was sent, and after its 202.
        lost: calls that a dying process did not answer.
        requests: erasure requests by group.
    """

    seen: list[Seen] = field(default_factory=list)
    asked: dict[int, tuple[float, float]] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    requests: dict[int, str] = field(default_factory=dict)

    def judged(self) -> dict[str, int]:
        """Return how many answers rested on a leaver before the forget, around it and after."""
        counts = {"before": 0, "rested_before": 0, "under_way": 0, "after": 0, "broken": 0}
        for one in self.seen:
            sent_s, acknowledged_s = self.asked[one.group]
            if one.sent_s > acknowledged_s:
                counts["after"] += 1
                counts["broken"] += one.rests
            elif one.arrived_s < sent_s:
                counts["before"] += 1
                counts["rested_before"] += one.rests
            else:
                counts["under_way"] += 1
        return counts


class Fleet:
    """The API processes, by number; each keeps its address when it is started again."""

    def __init__(self, servers: Cluster, stack: ExitStack, *, n_processes: int) -> None:
        self._servers, self._stack = servers, stack
        self._ports = [free_port() for _ in range(n_processes)]
        self._awake = set(range(n_processes))
        with ThreadPoolExecutor(n_processes) as pool:
            self.running = list(pool.map(self._start, range(n_processes)))

    def _start(self, number: int) -> Running:
        context = serving(
            self._servers.environment, folder=self._servers.folder, port=self._ports[number]
        )
        return self._stack.enter_context(context)

    def url(self, number: int) -> str:
        """Return a process's address."""
        return f"http://127.0.0.1:{self._ports[number]}"

    def awake(self) -> list[int]:
        """Return the processes that may be called."""
        return sorted(self._awake)

    def kill(self, number: int) -> None:
        """Kill a process, in the middle of whatever it does."""
        self.running[number].kill()
        self._awake.discard(number)

    def restart(self, number: int) -> None:
        """Start a killed process again; returns when it serves."""
        self.running[number] = self._start(number)
        self._awake.add(number)

    def sleep(self, number: int) -> None:
        """Freeze a process; calls to it wait."""
        self._awake.discard(number)
        for pid in self.running[number].pids():
            kill(pid, signal.SIGSTOP)

    def wake(self, number: int) -> None:
        """Let a frozen process go on."""
        for pid in self.running[number].pids():
            kill(pid, signal.SIGCONT)
        self._awake.add(number)

    def builds(self, number: int) -> int:
        """Return how often a process has built its state from SQL."""
        return self.running[number].text().count(_BUILT)


def recommend(api: Api, group: Group, *, asker: bool, findings: Findings) -> None:
    """Ask for a list and note whether it rests on the group's leaver."""
    name = group.asker if asker else group.leaver
    sent_s = time.perf_counter()
    try:
        answer = api.ask("GET", f"/recommend/{name}", params={"n": ASKED})
    except httpx.HTTPError:
        findings.lost.append(group.n)
        return
    arrived_s = time.perf_counter()
    findings.seen.append(Seen(group.n, sent_s, arrived_s, _rests(answer, group, asker=asker)))


def _rests(answer: Json, group: Group, *, asker: bool) -> bool:
    named = {one["item_id"] for one in answer["items"]}
    if asker:
        return group.marker in named
    reasons = {reason["item_id"] for one in answer["items"] for reason in one["because"]}
    return group.marker in reasons or (answer["personalised"] and answer["epoch"] < 2)


def forget(api: Api, group: Group, *, findings: Findings) -> None:
    """Ask to forget, again where a dying process gave no answer, and note the times."""
    sent_s = time.perf_counter()
    key = f"group-{group.n}"
    receipt = api.forget(group.leaver, key=key, scope=group.scope())
    findings.asked[group.n] = (sent_s, time.perf_counter())
    findings.requests[group.n] = receipt["request_id"]


Task = Callable[[random.Random], None]


class Clients:
    """Calls of many clients, each to any process that is awake."""

    def __init__(self, fleet: Fleet, findings: Findings, stack: ExitStack) -> None:
        self._fleet, self._findings = fleet, findings
        self._stack, self._local = stack, threading.local()

    def api(self, number: int) -> Api:
        """Return this thread's connection to a process."""
        known: dict[int, Api] = self._local.__dict__.setdefault("known", {})
        if number not in known:
            known[number] = self._stack.enter_context(calling(self._fleet.url(number)))
        return known[number]

    def recommend(self, group: Group, rng: random.Random, *, on: int | None = None) -> None:
        """Ask a random process, or one, for the asker's list or the leaver's own."""
        number = rng.choice(self._fleet.awake()) if on is None else on
        recommend(self.api(number), group, asker=rng.random() < 0.8, findings=self._findings)

    def forget(self, group: Group, rng: random.Random) -> None:
        """Post a forget to random processes until one answers."""
        while True:
            try:
                forget(self.api(rng.choice(self._fleet.awake())), group, findings=self._findings)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return

    def play(self, groups: Sequence[Group], *, calls_each: int, n_clients: int, seed: int) -> None:
        """Take each group's calls, with its forget somewhere among them."""
        rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        tasks: list[Task] = []
        for group in groups:
            piece: list[Task] = [self._asking(group)] * calls_each
            place = rng.randrange(calls_each // 4, calls_each - calls_each // 4)
            tasks += [*piece[:place], self._forgetting(group), *piece[place:]]
        rngs = [random.Random(rng.random()) for _ in tasks]  # noqa: S311 - the same
        with ThreadPoolExecutor(n_clients) as pool:
            list(pool.map(lambda task, drawn: task(drawn), tasks, rngs))

    def _asking(self, group: Group) -> Task:
        return lambda rng: self.recommend(group, rng)

    def _forgetting(self, group: Group) -> Task:
        return lambda rng: self.forget(group, rng)

"""A thousand erasures while everything under them breaks: ``make chaos``.

PostgreSQL, Redis, Chroma, an API process and Celery workers, all real and on this machine. Clients
post with an idempotency key and post again where no answer comes. In the end every request must be
completed, each once, and a replay of everything that was ever sent must bring nothing back.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import parse_name
from app.adapters.db import tables
from app.adapters.db.audit_tables import audit_leaf
from app.adapters.db.engine import open_engine
from app.domain.errors import DependencyUnavailableError
from benchmarks.chaos.disturb import Disturber, Restartable
from benchmarks.chaos.picture import draw
from benchmarks.harness import write_result
from tests.e2e.calls import Api, calling, interactions, user
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.processes import serving, working
from tests.servers.ports import free_port
from tests.servers.postgres import started_postgres

SEED: Final = 11
BYSTANDERS: Final = 20
_SETTINGS: Final = {
    "LETHE_CHROMA__N_SHARDS": "16",
    "LETHE_FORGET__LEASE_S": "10",
    "LETHE_FORGET__HEARTBEAT_S": "1",
    "LETHE_FORGET__SWEEP_S": "1",
    "LETHE_FORGET__BACKOFF_S": "0.5",
    "LETHE_FORGET__PROCESS_LEASE_S": "5",
    "LETHE_FORGET__TAKE_OVER_S": "30",
    "LETHE_LOG__LEVEL": "warning",
}


def _post(url: str, n: int) -> str:
    """Post a forget until it is answered; return the request id."""
    body = {"user": user(n), "scope": {"kind": "all"}}
    while True:
        try:
            with calling(url, timeout_s=20) as api:
                headers = {"Idempotency-Key": f"chaos-{n}"}
                answer = api.send("POST", "/forget", json=body, headers=headers)
            if answer.status_code == httpx.codes.ACCEPTED:
                return str(answer.json()["request_id"])
        except httpx.HTTPError:
            pass  # killed, or cut off: nobody knows whether it was accepted, so it is sent again
        time.sleep(0.5)


def _post_all(url: str, n_requests: int, *, seconds: float) -> list[str]:
    """Post one request after the other, evenly over ``seconds``, a few at a time."""
    started_s = time.monotonic()

    def post(n: int) -> str:
        time.sleep(max(0.0, started_s + seconds * n / n_requests - time.monotonic()))
        return _post(url, n)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(post, range(n_requests)))


class _Ledger:
    """The rows, read past the service."""

    def __init__(self, database_url: str) -> None:
        self._engine = open_engine(database_url)

    def close(self) -> None:
        self._engine.dispose()

    def rows(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Read, a second time where the run itself has just cut the connection."""
        try:
            return self._read(statement)
        except DependencyUnavailableError:
            time.sleep(1.0)
            return self._read(statement)

    def _read(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def states(self) -> Counter[str]:
        return Counter(row[0] for row in self.rows(sa.select(tables.erasure_request.c.state)))

    def wait(self, n_requests: int, *, until_s: float) -> None:
        """Wait until all are completed, or the time is over."""
        while (found := self.states())["completed"] < n_requests and time.monotonic() < until_s:
            print(f"           {dict(found)}", flush=True)
            time.sleep(5.0)

    def times(self) -> list[tuple[float, float | None]]:
        """Return when each request was received and completed, in seconds from the first."""
        one = tables.erasure_request.c
        found = self.rows(sa.select(one.received_at, one.completed_at).order_by(one.received_at))
        first = found[0][0]
        return [
            ((row[0] - first).total_seconds(), row[1] and (row[1] - first).total_seconds())
            for row in found
        ]

    def effects(self) -> dict[str, int]:
        """Return how many requests have not exactly one completion and one certificate."""
        leaf, paper = audit_leaf.c, tables.erasure_document.c
        completions = Counter(
            row[0]
            for row in self.rows(sa.select(leaf.request_id).where(leaf.kind == "forget.completed"))
        )
        certified = self.rows(sa.select(paper.request_id).where(paper.certificate.is_not(None)))
        needles = self.rows(sa.select(paper.request_id).where(paper.needles.is_not(None)))
        attempts = [row[0] for row in self.rows(sa.select(tables.erasure_request.c.attempts))]
        return {
            "completed_once": sum(1 for count in completions.values() if count == 1),
            "completed_twice_or_more": sum(1 for count in completions.values() if count > 1),
            "certificates": len(certified),
            "needles_left": len(needles),
            "attempts_more_than_one": sum(1 for count in attempts if count > 1),
            "attempts_most": max(attempts),
        }

    def record_ids(self, *, said: bool = False) -> set[str]:
        """Return those of all rows, or of those with words, which alone are in the vector store."""
        column = tables.interaction.c
        chosen = sa.select(column.record_id).where(column.text.is_not(None) if said else sa.true())
        return {row[0] for row in self.rows(chosen)}


def _memories(url: str) -> set[str]:
    with ChromaDatabase.server(url) as chroma:
        found: set[str] = set()
        for collection in chroma.collections():
            parsed = parse_name(collection.name)
            if parsed is not None and parsed[0].startswith("memory"):
                found |= set(collection.get(include=[])["ids"])
        return found


def _replay(api: Api, n_users: int) -> Counter[str]:
    """Send everything that was ever sent once more; return what became of it."""
    counts: Counter[str] = Counter()
    batch = [one for n in range(n_users) for one in interactions(n)]
    for start in range(0, len(batch), 500):
        told = api.ask("POST", "/interactions", json=batch[start : start + 500])
        counts += Counter({what: n for what, n in told.items() if isinstance(n, int)})
    return counts


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        f"p{share}": round(ordered[min(last, len(ordered) * share // 100)], ndigits=1)
        for share in (50, 90, 95, 99, 100)
    }


def _disturbed(
    servers: Cluster, stack: ExitStack, *, url: str, n_requests: int, minutes: float
) -> dict[str, object]:
    """Post, disturb, calm down, wait; return the figures."""
    port = int(url.rpartition(":")[2])
    environment, folder = servers.environment, servers.folder
    api = Restartable(partial(serving, environment, folder=folder, port=port))
    workers = [
        Restartable(partial(working, servers.beside_chroma, folder=folder, concurrency=2))
        for _ in range(2)
    ]
    for process in (api, *workers):
        stack.callback(process.kill)
        process.start()
    with calling(url) as loading:
        loading.load(range(n_requests + BYSTANDERS))
    ledger = _Ledger(servers.database_url)
    stack.callback(ledger.close)
    rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
    disturber = Disturber(servers, api, workers, rng, pause_s=(2.0, 6.0))
    stop, until_s = threading.Event(), time.monotonic() + 60 * minutes
    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(disturber.run, stop)
        try:
            request_ids = _post_all(url, n_requests, seconds=60 * minutes / 4)
            ledger.wait(n_requests // 2, until_s=until_s - 60 * minutes / 4)
        finally:  # whatever happened here: nobody would ever end the disturbances
            calm_s = time.monotonic() - disturber.started_s
            stop.set()
        disturbing.result()
    ledger.wait(n_requests, until_s=until_s)
    with calling(url) as looking:
        replayed = _replay(looking, n_requests)
        personalised = sum(
            bool(looking.recommend(user(n_requests + n))["personalised"]) for n in range(BYSTANDERS)
        )
        log = looking.ask("POST", "/admin/audit/check", as_admin=True)
        compared = looking.ask("POST", "/admin/audit/reconcile", as_admin=True)
    states, times = ledger.states(), ledger.times()
    return {
        "requests": n_requests,
        "distinct_request_ids": len(set(request_ids)),
        "lost": n_requests - states["completed"],
        "states": dict(states),
        **ledger.effects(),
        "replayed": dict(replayed),
        "log_is_whole": log["is_whole"],
        "moves": compared["n_moves"],
        "requests_that_contradict_their_leaves": compared["n_contradicted"],
        "bystanders": BYSTANDERS,
        "bystanders_personalised": personalised,
        "memories_without_row": len(_memories(servers.chroma.url) - ledger.record_ids()),
        "rows_without_memory": len(ledger.record_ids(said=True) - _memories(servers.chroma.url)),
        "seconds_to_complete": _percentiles([done - got for got, done in times if done]),
        "disturbed_s": round(calm_s, ndigits=1),
        "disturbances": dict(
            Counter(event.name.removesuffix(" again") for event in disturber.events)
        ),
        "events": [[event.at_s, event.name.removesuffix(" again")] for event in disturber.events],
        "received_s": [round(got, ndigits=1) for got, _ in times],
        "completed_s": sorted(round(done, ndigits=1) for _, done in times if done),
        "waits_s": sorted(round(done - got, ndigits=1) for got, done in times if done),
    }


def main() -> None:
    """Run, print and keep the figures; the exit code is 1 where a request was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="the bound of the run")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-chaos-")))
        postgres = stack.enter_context(started_postgres())
        servers = stack.enter_context(cluster(postgres, folder=folder, settings=_SETTINGS))
        url = f"http://127.0.0.1:{free_port()}"
        figures = _disturbed(
            servers, stack, url=url, n_requests=arguments.requests, minutes=arguments.minutes
        )
    path = write_result("chaos", {"seed": SEED, **figures})
    draw(figures)
    hidden = {"events", "received_s", "completed_s", "waits_s"}
    print(json.dumps({k: v for k, v in figures.items() if k not in hidden}, indent=2))
    print(path)
    if figures["lost"] or figures["completed_twice_or_more"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

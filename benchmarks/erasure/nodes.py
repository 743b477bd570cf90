"""Certificates a minute with 1, 2 and 4 Chroma servers, and what each node's processors do for it.

The same memories in all, on one machine: PostgreSQL, Redis, an API process, and beside each Chroma
server a worker with one erasure at once, then with two, whose processes have all opened the service
before. 12 users ask at the same moment, then 50; the time runs from the first request to the last
certificate, each of which needs the files of all servers cleaned and searched.

Two cores do all of it. So beside what was measured stands what is **computed** from processor
seconds: were each node (a Chroma server and its worker) a machine of its own, and API, PostgreSQL
and Redis another one, the machine with the most to do would take its processor seconds, one after
the other, for all of these certificates.

With ``--map`` nothing runs: the shards of many users are laid on nodes, and what moves is counted.

``python -m benchmarks.erasure.nodes [--memories N ...] [--servers N ...]`` writes rows into
``results/erasure_nodes.json`` beside those of other sizes; ``--map`` writes
``results/shard_map.json``. An earlier commit is measured by this file, ``busy.py`` and
``tests/e2e/nodes.py`` laid over it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.layout import memory_family
from app.adapters.chroma.servers import home_of
from app.adapters.queue.celery import CeleryQueue, make_celery, queue_of
from app.adapters.system.clock import SystemClock
from app.domain.models import RequestId
from app.settings import Settings
from benchmarks.erasure.busy import between, busy
from benchmarks.erasure.certificates import PICTURES, spread, told, waited_s
from benchmarks.erasure.household import opened
from benchmarks.erasure.picture import draw_nodes
from benchmarks.harness import RESULTS, commit, write_result
from tests.e2e.calls import Api, calling
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.nodes import Nodes, all_working, several_chromas
from tests.e2e.processes import PEPPER, serving, wait_for
from tests.servers.postgres import PostgresServer, started_postgres

SEED: Final = 19
RESULT: Final = "erasure_nodes"
SERVERS: Final = (1, 2, 4)
SIZES: Final = (3_000, 20_000, 60_000)
AT_ONCE: Final = (1, 2)
ASKED: Final = (12, 50)
CALLERS: Final = 4
SORTED_BY: Final = ("memories", "asked", "at_once", "servers")
LOOK_S: Final = 0.3
PER_USER: Final = 20
N_WORDS: Final = 60
SETTINGS: Final = {"LETHE_CHROMA__N_SHARDS": "64", "LETHE_FORGET__SWEEP_S": "5"}
"""Sweeps of three a second, as tests have them, would put thousands of messages before the work."""
N_PEOPLE: Final = 10_000_000
SHARDS: Final = (64, 256, 1_024)
NODES: Final = (2, 4, 8, 16)


def user(number: int) -> str:
    """Return a made-up user's id."""
    return f"leaver-{number:04}"


def settings_of(nodes: Nodes, folder: Path) -> Settings:
    """Return the settings of who fills the stores, beside the first server."""
    said = nodes.beside[0]
    return Settings.model_validate(
        {
            "data_dir": folder / "data",
            "pepper": PEPPER,
            "database": {"url": told(said, "LETHE_DATABASE__URL")},
            "vault": {
                "url": told(said, "LETHE_VAULT__URL"),
                "kek": told(said, "LETHE_VAULT__KEK"),
            },
            "queue": "celery",
            "redis": {"url": told(said, "LETHE_REDIS__URL")},
            "chroma": {
                "urls": said["LETHE_CHROMA__URLS"],
                "persist_dir": said["LETHE_CHROMA__PERSIST_DIR"],
                "n_shards": 64,
            },
        }
    )


def forgotten(api: Api, url: str, users: Sequence[str]) -> dict[str, Any]:
    """Forget users at once; return how many certificates a minute that is."""

    def asked(name: str) -> str:
        with calling(url) as own:
            return str(own.forget(name)["request_id"])

    started = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        request_ids = list(pool.map(asked, users))
    taken_s = time.perf_counter() - started
    for one in request_ids[::-1]:
        while api.status(one)["status"] != "completed":
            time.sleep(LOOK_S)  # who looks more often takes processors from what is measured
    found = [api.completed(one) for one in request_ids]
    begin = min(datetime.fromisoformat(status["received_at"]) for status in found)
    end = max(datetime.fromisoformat(status["completed_at"]) for status in found)
    seconds = (end - begin).total_seconds()
    steps: dict[str, list[float]] = {}
    for status in found:
        for step in status["steps"]:
            steps.setdefault(step["step"], []).append(step["duration_ms"] / 1_000)
    return {
        "a_minute": round(60 * len(found) / seconds, 1),
        "taken_s": round(taken_s, 3),
        "certificate_s": spread([waited_s(status) for status in found]),
        "searched": sorted(
            {probe["store"] for one in found for probe in one["certificate"]["statement"]["probes"]}
        ),
        "attempts_more_than_one": sum(status["attempts"] > 1 for status in found),
        "step_max_s": {step: round(max(one), 3) for step, one in steps.items()},
        "step_median_s": {step: round(statistics.median(one), 3) for step, one in steps.items()},
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def warm(servers: Cluster, *, n: int, at_once: int) -> None:
    """Let every process of every worker do something: the first task of each opens the service."""
    names = [f"chroma-{number}" for number in range(n)]
    with (
        closing(
            make_celery(servers.redis.url, sweep_s=60, node="", answer_s=5, clock=SystemClock())
        ) as app,
        servers.redis.client() as client,
    ):
        for name in names:
            queue = CeleryQueue(app, nodes=[name])
            for _ in range(4 * at_once):
                queue.ring(RequestId("0" * 32))

        def is_quiet() -> bool:
            return not any(client.exists("unacked", *map(queue_of, names)) for _ in range(3))

        wait_for("all have started", is_quiet, timeout_s=300)


def measure(
    postgres: PostgresServer, folder: Path, *, n: int, memories: int
) -> Iterator[dict[str, Any]]:
    """Fill ``n`` servers and let users leave; yield the figures by erasures at once and asked."""
    n_users = memories // PER_USER
    with ExitStack() as stack:
        servers = stack.enter_context(cluster(postgres, folder=folder, settings=SETTINGS))
        nodes = stack.enter_context(several_chromas(servers, n=n))
        with opened(settings_of(nodes, folder)) as household:
            sizes = {user(number): PER_USER for number in range(n_users)}
            household.fill(sizes, seed=SEED, n_words=N_WORDS)
        files = [sum(f.stat().st_size for f in one.rglob("*")) for one in nodes.directories]
        running = stack.enter_context(serving(nodes.environment, folder=folder))
        api = stack.enter_context(calling(running.url))
        names = map(user, range(n_users))
        for at_once in AT_ONCE:
            with all_working(nodes, folder=folder, concurrency=at_once) as workers:
                warm(servers, n=n, at_once=at_once)
                for name in islice(names, 2):
                    api.completed(api.forget(name)["request_id"], timeout_s=600)
                for asked in ASKED:
                    spent = partial(busy, nodes, workers=workers, api=running, postgres=postgres)
                    before = spent()
                    found = forgotten(api, running.url, list(islice(names, asked)))
                    seconds = between(before, spent())
                    yield {
                        "commit": commit(),
                        "servers": n,
                        "memories": memories,
                        "bytes": files,
                        "at_once": at_once,
                        "asked": asked,
                        "cpu_s": seconds,
                        "computed_a_minute": round(60 * asked / max(seconds.values()), 1),
                        **found,
                    }


def shard_map() -> dict[str, Any]:
    """Lay users on shards and shards on nodes; return how even that is, and what a node moves."""
    rng = np.random.default_rng(SEED)
    rows = []
    for n_shards in SHARDS:
        users = np.bincount(rng.integers(0, 1 << 32, N_PEOPLE) % n_shards, minlength=n_shards)
        families = [memory_family(shard) for shard in range(n_shards)]
        for n_nodes in NODES:
            names = [f"chroma-{number}" for number in range(n_nodes)]
            homes = [home_of(family, nodes=names) for family in families]
            more = [home_of(family, nodes=[*names, f"chroma-{n_nodes}"]) for family in families]
            held: Counter[str] = Counter()
            for shard, home in enumerate(homes):
                held[home] += int(users[shard])
            moved = [s for s in range(n_shards) if homes[s] != more[s]]
            rows.append(
                {
                    "shards": n_shards,
                    "nodes": n_nodes,
                    "fullest_over_mean": round(max(held.values()) * n_nodes / N_PEOPLE, 3),
                    "emptiest_over_mean": round(min(held.values()) * n_nodes / N_PEOPLE, 3),
                    "moved_share": round(sum(int(users[s]) for s in moved) / N_PEOPLE, 4),
                    "ideal_share": round(1 / (n_nodes + 1), 4),
                    "moved_elsewhere": sum(more[s] != f"chroma-{n_nodes}" for s in moved),
                }
            )
    return {"seed": SEED, "users": N_PEOPLE, "rows": rows}


def measured(sizes: Sequence[int], numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield a row for each size, number of servers, erasures at once and requests."""
    with started_postgres("wal_recycle=off") as postgres:
        for memories in sizes:
            for n in numbers:
                with tempfile.TemporaryDirectory(prefix="lethe-nodes-") as name:
                    yield from measure(postgres, Path(name), n=n, memories=memories)


def main() -> None:
    """Measure; write after each row, beside those of other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", action="store_true", help="the simulation of the shard map")
    parser.add_argument("--memories", type=int, nargs="*", default=SIZES)
    parser.add_argument("--servers", type=int, nargs="*", default=SERVERS)
    options = parser.parse_args()
    if options.map:
        found = shard_map()
        write_result("shard_map", found)
        print(json.dumps(found["rows"], indent=1))
        return
    file = RESULTS / f"{RESULT}.json"
    rows = json.loads(file.read_text())["rows"] if file.is_file() else []
    anew = [(size, n) for size in options.memories for n in options.servers]
    rows = [row for row in rows if (row["memories"], row["servers"]) not in anew]
    for row in measured(options.memories, options.servers):
        rows.append(row)
        rows.sort(key=lambda one: [one[name] for name in SORTED_BY])
        write_result(RESULT, {"seed": SEED, "per_user": PER_USER, "rows": rows})
        print(json.dumps(row), flush=True)
    draw_nodes(rows, PICTURES / f"{RESULT}.png")


if __name__ == "__main__":
    require_overwritten_heap()
    main()

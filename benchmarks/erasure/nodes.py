"""Certificates a minute, and what readers are shut out, with 1, 2 and 4 Chroma servers.

The same memories in all, on one machine: PostgreSQL, Redis, an API process, and beside each Chroma
server a worker with one erasure at once, then with two. Users ask all at the same moment; the time
runs from the first request to the last certificate, each of which needs the files of all servers
cleaned and searched. Two cores do all of it, so what more servers can show here is what their
coordination costs, and how much shorter the files of each are cleaned.

With ``--map`` nothing runs: the shards of many users are laid on nodes, and what moves is counted.

``python -m benchmarks.erasure.nodes [--map]`` writes ``results/erasure_nodes.json``, or
``results/shard_map.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.layout import memory_family
from app.adapters.chroma.servers import home_of
from app.settings import Settings
from benchmarks.erasure.certificates import spread, told, waited_s
from benchmarks.erasure.household import opened
from benchmarks.harness import write_result
from tests.e2e.calls import Api, calling
from tests.e2e.cluster import cluster
from tests.e2e.nodes import Nodes, all_working, several_chromas
from tests.e2e.processes import PEPPER, serving
from tests.servers.postgres import PostgresServer, started_postgres

SEED: Final = 19
SERVERS: Final = (1, 2, 4)
AT_ONCE: Final = (1, 2)
N_USERS: Final = 100
PER_USER: Final = 20
N_WORDS: Final = 60
N_LEAVING: Final = 12
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


def forgotten(api: Api, *, first: int) -> dict[str, Any]:
    """Forget N_LEAVING users at once; return how many certificates a minute that is."""
    started = time.perf_counter()
    asked = [api.forget(user(first + number))["request_id"] for number in range(N_LEAVING)]
    found = [api.completed(one, timeout_s=600) for one in asked]
    seconds = time.perf_counter() - started
    steps: dict[str, list[float]] = {}
    for status in found:
        for step in status["steps"]:
            steps.setdefault(step["step"], []).append(step["duration_ms"] / 1_000)
    return {
        "certificates": len(found),
        "a_minute": round(60 * len(found) / seconds, 1),
        "certificate_s": spread([waited_s(status) for status in found]),
        "searched": sorted(
            {probe["store"] for one in found for probe in one["certificate"]["statement"]["probes"]}
        ),
        "attempts_more_than_one": sum(status["attempts"] > 1 for status in found),
        "step_median_s": {step: round(statistics.median(one), 3) for step, one in steps.items()},
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def measure(postgres: PostgresServer, folder: Path, *, n: int) -> dict[str, Any]:
    """Fill ``n`` servers and let users leave; return the figures by erasures at once."""
    with ExitStack() as stack:
        servers = stack.enter_context(cluster(postgres, folder=folder, settings=SETTINGS))
        nodes = stack.enter_context(several_chromas(servers, n=n))
        with opened(settings_of(nodes, folder)) as household:
            sizes = {user(number): PER_USER for number in range(N_USERS)}
            household.fill(sizes, seed=SEED, n_words=N_WORDS)
        files = [sum(f.stat().st_size for f in one.rglob("*")) for one in nodes.directories]
        running = stack.enter_context(serving(nodes.environment, folder=folder))
        api = stack.enter_context(calling(running.url))
        found: dict[str, Any] = {}
        for number, at_once in enumerate(AT_ONCE):
            with all_working(nodes, folder=folder, concurrency=at_once):
                first = number * (N_LEAVING + 1)
                api.completed(api.forget(user(first))["request_id"], timeout_s=600)  # started
                found[str(at_once)] = forgotten(api, first=first + 1)
    return {"servers": n, "bytes": files, "at_once": found}


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


def main() -> None:
    """Measure; write after each number of servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", action="store_true", help="the simulation of the shard map")
    if parser.parse_args().map:
        found = shard_map()
        write_result("shard_map", found)
        print(json.dumps(found["rows"], indent=1))
        return
    rows: list[dict[str, Any]] = []
    with started_postgres("wal_recycle=off") as postgres:
        for n in SERVERS:
            with tempfile.TemporaryDirectory(prefix="lethe-nodes-") as name:
                rows.append(measure(postgres, Path(name), n=n))
            document = {"seed": SEED, "memories": N_USERS * PER_USER, "rows": rows}
            write_result("erasure_nodes", document)
            print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    require_overwritten_heap()
    main()

"""How long a list and a receipt take while a server behind them is frozen (``SIGSTOP``).

A frozen process still has its connections accepted by the kernel, and answers nothing: it is the
outage that only a time limit ends. Each round freezes anew, asks, and lets the server go on.

``python -m benchmarks.chaos.frozen`` writes ``benchmarks/results/frozen.json``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness import write_result
from tests.e2e.calls import Api, Json, calling, user
from tests.e2e.cluster import OwnServer, cluster
from tests.e2e.processes import serving, wait_for, working
from tests.servers.postgres import running_postgres

ROUNDS: Final = 8
LISTS: Final = 20
"""Lists of one round, one after the other."""


def timed_s(ask: Callable[[], Json]) -> tuple[Json, float]:
    """Return what was answered, and the seconds it took."""
    started_s = time.perf_counter()
    return ask(), time.perf_counter() - started_s


def told(seconds: Sequence[float]) -> dict[str, float]:
    """Return what is told of times: median, worst, number."""
    return {
        "p50_s": round(float(np.median(seconds)), 3),
        "worst_s": round(max(seconds), 3),
        "n": len(seconds),
    }


def lists(api: Api, chroma: OwnServer) -> dict[str, object]:
    """Ask for lists of people who said something, which is read from Chroma."""
    first, others = list[float](), list[float]()
    for number in range(ROUNDS):
        wait_for("what was said is used", lambda: not api.recommend(user(1))["degraded"])
        with chroma.frozen():
            for n in range(LISTS):
                who = user(1 + (number * LISTS + n) % 60)
                answer, took_s = timed_s(partial(api.recommend, who))
                if not answer["personalised"]:
                    raise SystemExit("the outage costs more than what was said")
                (others if n else first).append(took_s)
    return {"first": told(first), "those_after_it": told(others)}


def receipts(api: Api, redis: OwnServer) -> dict[str, float]:
    """Ask to forget while the broker is frozen."""
    taken = []
    for n in range(ROUNDS):
        with redis.frozen():
            taken.append(timed_s(partial(api.forget, user(70 + n))))
    for answer, _ in taken:
        api.completed(answer["request_id"])
    return told([took_s for _, took_s in taken])


def main() -> None:
    """Measure and write."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as postgres,
        cluster(postgres, folder=Path(folder)) as servers,
        serving(servers.environment, folder=Path(folder)) as running,
        working(servers.beside_chroma, folder=Path(folder)),
        calling(running.url) as api,
    ):
        api.load(range(80))
        payload = {
            "seed": 0,
            "rounds": ROUNDS,
            "list_with_chroma_frozen": lists(api, servers.chroma),
            "receipt_with_redis_frozen": receipts(api, servers.redis),
            "method": (
                f"One API process and one worker over PostgreSQL, Redis and Chroma; {ROUNDS} "
                f"rounds of {LISTS} lists one after the other, and {ROUNDS} requests to forget."
            ),
        }
    print(payload)
    write_result("frozen", payload)


if __name__ == "__main__":
    main()

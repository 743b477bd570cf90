"""Where the time of an answer goes: a sampled profile of a serving process, by step.

The service runs in a thread, one client asks from a process of its own, and a sampler looks every
millisecond how much processor each thread has used, and for what. The sampler itself is part of
``processor_ms``. ``python -m benchmarks.serving.steps --ml-100k FOLDER`` takes a directory that
``lethe load`` filled.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from benchmarks.chaos.clients import exchange, request_bytes
from benchmarks.data import SEED
from benchmarks.harness import write_result
from benchmarks.serving.app import create
from benchmarks.serving.fill import N_ASKERS
from tests.servers.ports import free_port

_EVERY_S: Final = 0.001
_TOKEN: Final = DEVELOPMENT_SERVICE_TOKEN
_STEPS: Final = (
    ("what is kept of the user", ("kept_users.py", "user_reader.py", "user_snapshot.py")),
    ("looks at the database", ("adapters/db/", "sqlalchemy/")),
    ("memories", ("recommendation/memory_selection.py",)),
    ("candidates", ("recommendation/candidates.py", "adapters/neighbours/")),
    ("ranking", ("recommendation/reranking.py", "recommendation/fusion.py")),
    ("because of what", ("recommendation/because.py",)),
    ("rules, columns, cursor", ("rules.py", "columns.py", "column.py", "cursor.py", "tokens.py")),
    ("the rest of the answer", ("app/services/", "app/domain/")),
    ("shape of the response", ("app/api/", "pydantic", "fastapi/")),
    ("server and framework", ("uvicorn", "starlette", "anyio", "asyncio", "h11", "httptools")),
)


def _step(frame: FrameType | None) -> str:
    """Return the step that a thread is in.

    The innermost frame that belongs to a step decides, so a look at the database is one whatever
    it is made for.
    """
    while frame is not None:
        file = frame.f_code.co_filename
        for step, parts in _STEPS:
            if any(part in file for part in parts):
                return step
        frame = frame.f_back
    return "other"


class _Sampler(threading.Thread):
    """Looks where each other thread is, until it is told to stop.

    What a thread has computed since the last look counts for the step in which it is now.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self._clocks: dict[int, float] = {}

    def run(self) -> None:
        while not self.is_over.wait(_EVERY_S):
            frames = sys._current_frames()  # noqa: SLF001 - what it is for
            for thread in threading.enumerate():
                if thread is not self and thread.ident in frames:
                    self._look(thread.ident, frames[thread.ident])

    def _look(self, thread: int, frame: FrameType) -> None:
        try:
            clock_s = time.clock_gettime(time.pthread_getcpuclockid(thread))
        except OSError:
            return  # it has ended
        spent_s = clock_s - self._clocks.get(thread, clock_s)
        self._clocks[thread] = clock_s
        if spent_s:
            self.spent_s[_step(frame)] += spent_s


def _asked(url: str, users: list[str], n: int, told: multiprocessing.Queue[list[float]]) -> None:
    host = url.removeprefix("http://")
    asks = [
        request_bytes("GET", f"/recommend/{user}?n=10", token=DEVELOPMENT_SERVICE_TOKEN, host=host)
        for user in users
    ]
    exchange(url, asks, n_clients=1)
    told.put([])
    done = exchange(url, random.Random(SEED).choices(asks, k=n), n_clients=1)  # noqa: S311 - a schedule
    told.put([1_000 * (one.arrived_s - one.sent_s) for one in done])


def main() -> None:
    """Serve, ask, sample, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ml-100k", type=Path, required=True)
    parser.add_argument("--answers", type=int, default=3_000)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("LETHE_")]:
        del os.environ[name]
    os.environ["LETHE_DATA_DIR"] = str(options.ml_100k)
    port = free_port()
    config = uvicorn.Config(create(), port=port, access_log=False, log_level="warning")
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        time.sleep(0.05)
    users = [str(user) for user in random.Random(SEED).sample(range(1, 944), N_ASKERS)]  # noqa: S311 - a sample
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[list[float]] = context.Queue()
    client = context.Process(
        target=_asked, args=(f"http://127.0.0.1:{port}", users, options.answers, told)
    )
    client.start()
    told.get()  # everybody was asked once
    sampler = _Sampler()
    sampler.start()
    cpu = time.process_time()
    waits = told.get()
    cpu = time.process_time() - cpu
    sampler.is_over.set()
    sampler.join()
    server.should_exit = True
    serving.join()
    total_s = sum(sampler.spent_s.values())
    found = {
        "seed": SEED,
        "data": "ml-100k",
        "answers": options.answers,
        "p50_ms": round(statistics.median(waits), ndigits=2),
        "processor_ms": round(1_000 * cpu / options.answers, ndigits=2),
        "shares": {
            step: round(spent_s / total_s, ndigits=3)
            for step, spent_s in sorted(sampler.spent_s.items(), key=lambda one: -one[1])
        },
    }
    print(json.dumps(found, indent=2))
    print(write_result("serving_steps", found))


if __name__ == "__main__":
    main()

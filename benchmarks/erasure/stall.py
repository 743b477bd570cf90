"""What callers wait while Chroma's files are cleaned, with a database file of 100 MB.

Three callers at once, each asking again a few milliseconds after its answer: recommendations to
users who have done things, recommendations to users with notes (whose vectors are read from
Chroma), and notes sent. In turns: nothing beside; the maintenance of an erasure beside, again and
again; a whole VACUUM beside, again and again, which is how files were cleaned before. A certificate
asks for one maintenance; here they follow each other, so every caller meets them. Beside them a
reader of the database looks every millisecond whether it is let in: what callers wait for in the
end depends on whatever else this machine does, that on the locks.

``python -m benchmarks.erasure.stall [--megabytes 100]`` writes ``results/erasure_stall.json``: all
in one process, and with PostgreSQL, Redis and a Chroma server, all on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, Final

from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.maintenance import DATABASE_FILE, LOCK_FILE
from app.adapters.chroma.maintenance_process import run_maintenance
from app.cli.runtime import load_demo
from benchmarks.erasure.certificates import Place, embedded, on_servers, spread
from benchmarks.erasure.household import opened
from benchmarks.erasure.picture import draw_stall
from benchmarks.harness import write_result
from tests.e2e.calls import Api, calling
from tests.e2e.processes import serving, wait_for

SEED: Final = 18
PER_USER: Final = 100
N_WORDS: Final = 60
PORTION: Final = 5_000
ROUNDS: Final = 3
ROUND_S: Final = 8.0
PICTURE: Final = Path(__file__).parents[2] / "docs/images/erasure_stall.png"
_PAUSE_S: Final = 0.005
_VACUUM: Final = """if True:
    import fcntl, sqlite3, sys
    with open(sys.argv[2], "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sqlite3.connect(sys.argv[1], timeout=5.0, isolation_level=None).execute("VACUUM")
"""
ASKED: Final = ("recommend", "recommend_noted", "write")
Action = Callable[[], object]
Waits = dict[str, list[float]]


def vacuum(directory: Path) -> None:
    """Clean the database as a whole, in a process of its own, as maintenance once did."""
    arguments = [str(directory / name) for name in (DATABASE_FILE, LOCK_FILE)]
    environment = os.environ | {"SQLITE_TMPDIR": str(directory)}
    subprocess.run([sys.executable, "-c", _VACUUM, *arguments], check=True, env=environment)


def fill(place: Place, *, n_bytes: int) -> int:
    """Write notes until the database's file has ``n_bytes`` after a VACUUM; return how many."""
    file, n_notes = place.chroma / DATABASE_FILE, 0
    load_demo(place.settings)
    with opened(place.settings) as household:
        while not file.exists() or file.stat().st_size < n_bytes:
            names = [f"noted-{n_notes // PER_USER + n:04}" for n in range(PORTION // PER_USER)]
            household.fill(dict.fromkeys(names, PER_USER), seed=SEED + n_notes, n_words=N_WORDS)
            n_notes += PORTION
            if file.stat().st_size >= n_bytes:
                vacuum(place.chroma)
    return n_notes


def callers(stack: ExitStack, url: str, *, n_noted: int) -> dict[str, Action]:
    """Return what is asked, each by a client of its own."""
    readers = cycle(f"reader-{number:03}" for number in range(1, 101))
    noted = cycle(f"noted-{number:04}" for number in range(n_noted))
    numbers = count()

    def recommended(api: Api, name: str) -> None:
        if not api.recommend(name)["personalised"]:
            raise RuntimeError(name)

    def write(api: Api) -> None:
        note = {
            "event_id": secrets.token_hex(8),  # known ones are corrected, which is an erasure
            "user": "writer",
            "kind": "note",
            "occurred_at": datetime.now(UTC).isoformat(),
            "text": f"quiet books about harbours in winter, number {next(numbers)}",
        }
        if api.ask("POST", "/interactions", json=[note])["refused"]:
            raise RuntimeError("refused")

    first, second, third = (stack.enter_context(calling(url)) for _ in range(3))
    return {
        "recommend": lambda: recommended(first, next(readers)),
        "recommend_noted": lambda: recommended(second, next(noted)),
        "write": lambda: write(third),
    }


@dataclass
class Beside:
    """What was beside the callers, and what it took and cost.

    Args:
        action: one run.
        seconds: of each run.
        cpu_s: of the processors for each run.
        shut_out_s: how long at a stretch no reader of the database was let in, beside it.
    """

    action: Action | None
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    shut_out_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Do it once, if there is anything to do."""
        if self.action is None:
            return
        before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
        self.action()
        self.seconds.append(time.perf_counter() - started)
        after = getrusage(RUSAGE_CHILDREN)
        self.cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def look(self, database: Path, is_over: threading.Event) -> None:
        """Read a row every millisecond, and note for how long that was refused."""
        with closing(sqlite3.connect(database, timeout=0)) as connection:
            since: float | None = None
            while not is_over.is_set():
                now = time.perf_counter()
                try:
                    connection.execute("SELECT id FROM tenants LIMIT 1").fetchall()
                except sqlite3.OperationalError:
                    since = since or now
                else:
                    if since is not None:
                        self.shut_out_s.append(now - since)
                    since = None
                time.sleep(0.001)

    def figures(self) -> dict[str, Any]:
        """Return its part of the result."""
        return {
            "runs": len(self.seconds),
            "run_s": spread(self.seconds) if self.seconds else None,
            "cpu_s": round(statistics.median(self.cpu_s), 3) if self.cpu_s else None,
            "readers_shut_out_s": {
                "longest": round(max(self.shut_out_s, default=0.0), 4),
                "in_all": round(sum(self.shut_out_s), 4),
                "times": len(self.shut_out_s),
            },
        }


@contextmanager
def again_and_again(beside: Beside, database: Path) -> Iterator[None]:
    """Repeat it during the block, and look how long readers are shut out."""
    stop = threading.Event()

    def repeat() -> None:
        while beside.action is not None and not stop.is_set():
            beside.run()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(repeat), pool.submit(beside.look, database, stop)]
        try:
            yield
        finally:
            stop.set()
            for one in running:
                one.result()


def ask(url: str, waits: Waits, *, n_noted: int) -> None:
    """Let all callers ask for a round; an answer that is under way at its end counts."""
    until_s = time.monotonic() + ROUND_S

    def again(name: str, action: Action) -> None:
        while time.monotonic() < until_s:
            started = time.perf_counter()
            action()
            waits[name].append(time.perf_counter() - started)
            time.sleep(_PAUSE_S)

    with ExitStack() as stack, ThreadPoolExecutor(len(waits)) as pool:
        asked = callers(stack, url, n_noted=n_noted)
        list(pool.map(again, asked, asked.values()))


def measure(place: Place, folder: Path, *, n_bytes: int) -> dict[str, Any]:
    """Fill, serve and ask; return the waits by what was beside and by what was asked."""
    n_notes = fill(place, n_bytes=n_bytes)
    size = (place.chroma / DATABASE_FILE).stat().st_size
    database = place.chroma / DATABASE_FILE
    beside = {
        "nothing": Beside(None),
        "maintenance": Beside(lambda: run_maintenance(place.chroma)),
        "vacuum": Beside(lambda: vacuum(place.chroma)),
    }
    with ExitStack() as stack:
        running = stack.enter_context(serving(place.environment, folder=folder))
        api = stack.enter_context(calling(running.url))
        wait_for("readers are known", lambda: api.recommend("reader-001")["personalised"])
        url, n_noted = running.url, n_notes // PER_USER
        ask(url, {name: [] for name in ASKED}, n_noted=n_noted)  # the first time is not measured
        waits: dict[str, Waits] = {name: {one: [] for one in ASKED} for name in beside}
        for _ in range(ROUNDS):
            for name, one in beside.items():
                with again_and_again(one, database):
                    ask(url, waits[name], n_noted=n_noted)
    return {
        "memories": n_notes,
        "file_bytes": size,
        "beside": {
            name: {
                "waits_s": {one: spread(found) for one, found in waits[name].items()},
                **one.figures(),
            }
            for name, one in beside.items()
        },
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def main() -> None:
    """Measure both modes; write after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="of the database's file")
    parser.add_argument("--modes", nargs="+", default=["embedded", "servers"])
    options = parser.parse_args()
    document: dict[str, Any] = {"seed": SEED, "rounds": ROUNDS, "round_s": ROUND_S}
    for mode in options.modes:
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-stall-"))
            folder = Path(name)
            place = on_servers(folder, stack) if mode == "servers" else embedded(folder)
            document[mode] = measure(place, folder, n_bytes=options.megabytes * 1_000_000)
        write_result("erasure_stall", document)
        draw_stall(document, PICTURE)
        print(mode, json.dumps(document[mode], indent=1), flush=True)


if __name__ == "__main__":
    require_overwritten_heap()
    main()

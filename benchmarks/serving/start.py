"""What a start at a million users and 60,000 items takes, with their rows in SQLite.

A process for each: with EASE on the head of the catalogue, and without any. In each the state is
built from SQL as a server builds it before it answers; then a user is forgotten and the derived
model computed anew. ``python -m benchmarks.serving.start --data-dir folder`` takes a directory
that ``benchmarks.serving.fill --data million`` and ``benchmarks.serving.rows`` filled.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from structlog.testing import capture_logs

from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.domain.recommendation.users import told
from app.settings import load_settings
from benchmarks.data import SEED
from benchmarks.harness import write_result

_HEAD: Final = "LETHE_NEIGHBOURS__HEAD_LIMIT"
_TOLD: Final = ("event", "n_rows", "n_users", "n_pairs", "seconds")
_RESET_PEAK: Final = "5"  # proc(5), clear_refs


def _memory_mib() -> dict[str, float]:
    """Return what is resident now, and the most that was since the last look."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = {
        name: round(int(re.findall(rf"{field}:\s+(\d+) kB", status)[0]) / 1024, ndigits=1)
        for name, field in (("resident_mib", "VmRSS"), ("peak_mib", "VmHWM"))
    }
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    return found


def _taken(action: Callable[[], object]) -> dict[str, float]:
    """Do something; return its seconds and the memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return {
        "wall_s": round(time.perf_counter() - wall, ndigits=1),
        "cpu_s": round(time.process_time() - cpu, ndigits=1),
        **_memory_mib(),
    }


def measure(data_dir: Path) -> Mapping[str, object]:
    """Start over a directory, and refresh once."""
    settings = load_settings(data_dir=data_dir)
    prepare_database(settings)
    with ExitStack() as closing:
        adapters = Adapters(settings, closing)
        container = container_of(adapters)
        opened = _memory_mib()
        with capture_logs() as lines:
            start = _taken(container.feed.start)
        steps = [line for line in lines if line["event"].startswith("neighbours_")]
        with adapters.uows.read() as uow:
            rows = next(uow.interactions.all_rows())
        somebody = next(iter(told(rows.users)))
        started = time.perf_counter()
        adapters.neighbours.apply({somebody: ()})
        forget_s = time.perf_counter() - started
        return {
            "head_limit": settings.neighbours.head_limit,
            "before_the_start": opened,
            "start": start,
            "told": [{key: line[key] for key in _TOLD if key in line} for line in steps],
            "forget_ms": round(1_000 * forget_s, ndigits=3),
            "refresh": _taken(adapters.neighbours.refresh),
            "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
        }


def main() -> None:
    """Measure in two processes and write the result, or measure here and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--here", action="store_true")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.data_dir)))
        return
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LETHE_")}
    command = [sys.executable, "-m", "benchmarks.serving.start", "--here", "--data-dir"]
    cases = {}
    for name, limit in (("with_head", {}), ("without_head", {_HEAD: "0"})):
        done = subprocess.run(
            [*command, str(options.data_dir)],
            env=clean | limit | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        cases[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, cases[name], flush=True)
    database = round((options.data_dir / "lethe.db").stat().st_size / 2**20)
    print(write_result("start", {"seed": SEED, "database_mib": database, **cases}))


if __name__ == "__main__":
    main()

"""Sends mixed traffic for half an hour, and looks whether memory or open files grow.

The layout of ``make up`` at a low rate in an open loop (Locust, on the same cores). Every fifteen
seconds the resident memory and the open files of each service, its children included, are noted.

``python -m benchmarks.load.soak [--minutes 30] [--rate 5]`` writes ``results/load_soak.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness import machine, write_result
from benchmarks.load.layout import MIX, N_PEOPLE, Sent, Whole, populated
from benchmarks.load.run import percentiles

SEED: Final = 30
EVERY_S: Final = 15.0
WARM_UP: Final = 0.2
"""Share of the run at its start that says nothing of growth: caches fill."""
WINDOWS: Final = 6
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 2**20
_SERVERS: Final = ("api", "worker", "beat", "chroma", "postgres", "vault", "redis")


def _seen(made: Whole) -> dict[str, tuple[float, int]]:
    """Return resident memory in MiB and the number of open files of each service."""
    found = {}
    for name in _SERVERS:
        mib, files = 0.0, 0
        for pid in (made.layout.pid(name), *made.children(name)):
            with suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                mib += pages * _PAGE / _MIB
                files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        found[name] = (mib, files)
    return found


def _growth(samples: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return first and last value after the warm-up, the most of all, and the slope per hour."""
    later = samples[int(len(samples) * WARM_UP) :]
    hours = np.array([at_s for at_s, _ in later]) / 3_600
    values = np.array([value for _, value in later])
    return {
        "after_warm_up": round(float(values[0]), 1),
        "last": round(float(values[-1]), 1),
        "most": round(max(value for _, value in samples), 1),
        "slope_per_hour": round(float(np.polyfit(hours, values, 1)[0]), 1),
    }


def _windows(sent: Sequence[Sent], *, seconds: float) -> list[dict[str, Any]]:
    begin_s = sent[0].at_s
    rows = []
    for number in range(WINDOWS):
        start = begin_s + number * seconds / WINDOWS
        within = [one for one in sent if start <= one.at_s < start + seconds / WINDOWS]
        lists = [one for one in within if one.kind == "recommend" and one.is_answered]
        failed = Counter(f"{one.kind} {one.status}" for one in within if not one.is_answered)
        rows.append(
            {"sent": len(within), "failed": dict(failed), "ms_of_lists": percentiles(lists)}
        )
    return rows


def _measured(made: Whole, *, rate: float, seconds: float) -> dict[str, Any]:
    load = machine()["load_average"]
    locust = made.traffic_begun(rate=rate, seconds=seconds, seed=SEED)
    began_s, seen = time.monotonic(), []
    while locust.poll() is None:
        seen.append((time.monotonic() - began_s, _seen(made)))
        time.sleep(EVERY_S)
    sent, forgotten = made.traffic_seen()
    made.settle()
    states = Counter(made.states(forgotten).values())
    restarts = {str(row["name"]): row["restarts"] for row in made.layout.rows()}
    return {
        "seed": SEED,
        "people": N_PEOPLE,
        "mix": dict(MIX),
        "minutes": seconds / 60,
        "offered_per_second": rate,
        "requests": len(sent),
        "statuses": dict(sorted(Counter(str(one.status) for one in sent).items())),
        "windows": _windows(sent, seconds=seconds),
        "erasures_accepted": len(forgotten),
        "erasures": dict(states),
        "restarts": {name: count for name, count in restarts.items() if count},
        "load_average_before": load,
        "log_bytes": made.log_bytes(),
        "memory_mib": {
            name: _growth([(at_s, one[name][0]) for at_s, one in seen]) for name in _SERVERS
        },
        "open_files": {
            name: _growth([(at_s, one[name][1]) for at_s, one in seen]) for name in _SERVERS
        },
    }


def main() -> None:
    """Run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second")
    arguments = parser.parse_args()
    with populated() as made:
        figures = _measured(made, rate=arguments.rate, seconds=60 * arguments.minutes)
    print(json.dumps(figures, indent=2))
    print(write_result("load_soak", figures))


if __name__ == "__main__":
    main()

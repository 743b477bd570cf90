"""What the service takes as its users grow in number, at 60,000 items.

A real server for each size: its start, its memory, what a list, a 202 and a certificate take. The
rows are written straight into SQLite, for a load of 14 million events takes hours; of askers the
memories, too, so that their lists and erasures are whole. On a machine that others use, seconds
of the processor say more than those of the clock; both are told.

``python -m benchmarks.serving.scale --folders FOLDER …`` takes directories that
``benchmarks.serving.fill --data million`` and ``benchmarks.serving.rows --users N`` filled, the
smallest first; it writes ``benchmarks/results/scale.json`` and ``docs/images/scale.png``, anew
after each. Three askers are gone from each folder afterwards.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from benchmarks.data import SEED
from benchmarks.harness import write_result
from benchmarks.neighbours.scaling import N_ITEMS
from benchmarks.serving.fill import N_ASKERS, asker
from benchmarks.serving.run import Bench, spread
from benchmarks.serving.server import Server, served
from tests.e2e.calls import Api, Json

mpl.use("Agg")
from matplotlib import pyplot as plt

PICTURE: Final = Path(__file__).parents[2] / "docs/images/scale.png"
_N_LISTS: Final = 300
_N_FORGETS: Final = 3
_START_S: Final = 3_600.0
_PANELS: Final = (
    ("start, CPU s", ("start", "cpu_s")),
    ("memory, MiB", ("resident_mib",)),
    ("a list, CPU ms", ("list_cpu_ms",)),
    ("a list gathered anew, CPU ms", ("gathered_list_cpu_ms",)),
    ("an erasure, CPU s", ("erasure_cpu_s",)),
    ("a certificate, median, s", ("certificate_s", "p50")),
)


def measure(data_dir: Path) -> dict[str, object]:
    """Start a server over a directory, ask it, and have askers forgotten."""
    with served(data_dir, timeout_s=_START_S) as server, closing(Api(server.url)) as api:
        start = {"wall_s": server.start_s, "cpu_s": round(server.cpu_s(), ndigits=1)}
        asking = Bench(
            server, [asker(n) for n in range(N_ASKERS)], item="0", routes=("recommend", "gathered")
        )
        resident = server.rss_mib()
        found: dict[str, object] = {"start": start, "resident_mib": resident}
        asking.warm(n_clients=1)  # one after the other, or somebody is not kept
        for name, route in (("list", "recommend"), ("gathered_list", "gathered")):
            cpu = server.cpu_s()
            found[f"{name}_wall_ms"] = spread(asking.ask(route, _N_LISTS, n_clients=1))
            used = server.cpu_s() - cpu
            found[f"{name}_cpu_ms"] = round(1_000 * used / _N_LISTS, ndigits=2)
        print(found, flush=True)
        return found | _forgotten(server, api) | {"resident_mib_after": server.rss_mib()}


def _forgotten(server: Server, api: Api) -> dict[str, object]:
    """Forget some askers, each when the one before has its certificate."""
    receipts, statuses, cpu = [], list[Json](), server.cpu_s()
    for number in range(_N_FORGETS):
        begun = time.perf_counter()
        request_id = api.forget(asker(number))["request_id"]
        receipts.append(1_000 * (time.perf_counter() - begun))
        statuses.append(api.completed(request_id, timeout_s=1_200))
    waits = [
        (_moment(status["completed_at"]) - _moment(status["received_at"])).total_seconds()
        for status in statuses
    ]
    steps: dict[str, list[float]] = {}
    for status in statuses:
        for step in status["steps"]:
            steps.setdefault(step["step"], []).append(step["duration_ms"] / 1_000)
    return {
        "receipt_ms": spread(receipts),
        "certificate_s": spread(waits),
        "erasure_cpu_s": round((server.cpu_s() - cpu) / _N_FORGETS, ndigits=2),
        "step_median_s": {
            step: round(statistics.median(seconds), ndigits=2) for step, seconds in steps.items()
        },
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def n_users(folder: Path) -> int:
    """Return how many users a filled directory has beside the askers."""
    with closing(sqlite3.connect(folder / "lethe.db")) as connection:
        (found,) = connection.execute("SELECT count(*) FROM subject").fetchone()
    return int(found) - N_ASKERS


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw each figure by the number of users."""
    figure, panels = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    sizes = [row["users"] for row in rows]
    for axes, (title, path) in zip(panels.flat, _PANELS, strict=True):
        values = []
        for row in rows:
            value: Any = row
            for step in path:
                value = value[step]
            values.append(value)
        axes.plot(sizes, values, "o-")
        axes.set(xscale="log", title=title, ylim=(0, 1.15 * max(values)))
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7)
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.3)
    figure.supxlabel("users, 60,000 items")
    figure.savefig(PICTURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure each folder, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for folder in options.folders:
        load = [round(one, ndigits=1) for one in os.getloadavg()]
        rows.append({"users": n_users(folder), **measure(folder), "load_average_before": load})
        print(rows[-1], flush=True)
        write_result("scale", {"seed": SEED, "items": N_ITEMS, "rows": rows})
        draw(rows)


if __name__ == "__main__":
    main()

"""How long a server takes to start, by the number of users, with their rows in SQLite.

``python -m benchmarks.serving.start --folders FOLDER … --before benchmarks/results/scale.json``
takes directories that ``benchmarks.serving.fill --data million`` and
``benchmarks.serving.rows --users N`` filled, and what to put beside: a result with rows of the same
numbers of users. It writes ``benchmarks/results/start.json`` and ``docs/images/start.png``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from benchmarks.data import SEED
from benchmarks.harness import write_result
from benchmarks.neighbours.scaling import N_ITEMS
from benchmarks.serving.scale import n_users
from benchmarks.serving.server import served

mpl.use("Agg")
from matplotlib import pyplot as plt

PICTURE: Final = Path(__file__).parents[2] / "docs/images/start.png"
_START_S: Final = 3_600.0
_TOLD: Final = ("event", "n_rows", "n_users", "n_pairs", "seconds")


def measure(folder: Path) -> dict[str, object]:
    """Start a server over a directory until it says that it is ready."""
    with served(folder, timeout_s=_START_S) as server:
        found = {
            "wall_s": server.start_s,
            "cpu_s": round(server.cpu_s(), ndigits=1),
            "resident_mib": server.rss_mib(),
            "peak_mib": _peak_mib(server.pid),
        }
    lines = [json.loads(line) for line in (folder / "benchmark.log").read_text().splitlines()]
    steps = [line for line in lines if str(line["event"]).startswith("neighbours_")]
    database = round((folder / "lethe.db").stat().st_size / 2**20)
    told = [{key: line[key] for key in _TOLD if key in line} for line in steps]
    return {"users": n_users(folder), "database_mib": database, **found, "told": told}


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024, ndigits=1)


def draw(rows: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> None:
    """Draw the start by users, before and now."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, points in (("before", before), ("now", rows)):
        sizes, seconds = zip(*((one["users"], one["wall_s"]) for one in points), strict=True)
        axes.plot(sizes, seconds, "o-", label=name)
        for size, second in zip(sizes, seconds, strict=True):
            axes.annotate(f"{second:.0f} s", (size, second), (0, 6), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="users, 60,000 items", ylabel="start, s")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(PICTURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure each folder, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=Path, nargs="+", required=True)
    parser.add_argument("--before", type=Path, required=True)
    options = parser.parse_args()
    then = json.loads(options.before.read_text(encoding="utf-8"))
    before = [{"users": row["users"], **row["start"]} for row in then["rows"]]
    rows = []
    for folder in options.folders:
        rows.append(measure(folder))
        print(rows[-1], flush=True)
    payload = {"seed": SEED, "items": N_ITEMS, "rows": rows, "before": before}
    print(write_result("start", payload | {"before_commit": then["commit"]}))
    draw(rows, before)


if __name__ == "__main__":
    main()

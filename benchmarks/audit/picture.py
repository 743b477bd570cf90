"""Draws the audit log's figures: what grows with its logarithm, what with it, the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

Row = Mapping[str, Any]


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture of ``rows``, the ``sizes`` of ``audit.json``, to ``path``."""
    sizes = [row["size"] for row in rows]
    figure, axes_of = plt.subplots(1, 4, figsize=(17, 3.9), layout="constrained")
    left, middle, right, disk = axes_of
    left.plot(sizes, [row["inclusion"]["hashes_max"] for row in rows], "o-", label="longest path")
    left.plot(sizes, [row["inclusion"]["log2_size"] for row in rows], "k:", label="log₂ n")
    left.set(title="Inclusion proof", ylabel="32-byte hashes", xscale="log")
    times: dict[str, Callable[[Row], float]] = {
        "append one leaf": lambda row: row["append_one_ms"]["cpu_p50"],
        "sign a checkpoint": lambda row: row["sign_ms"]["cpu_p50"],
        "make a proof": lambda row: row["inclusion"]["make_ms"]["cpu_p50"],
        "make a consistency proof": lambda row: row["consistency"]["make_ms"]["cpu_p50"],
        "issue a certificate": lambda row: row["certificate"]["make_ms"]["cpu_p50"],
        "verify a certificate": lambda row: row["certificate"]["verify_ms"]["cpu_p50"],
        "verify a proof": lambda row: row["inclusion"]["verify_ms"]["cpu_p50"],
    }
    for name, value in times.items():
        middle.plot(sizes, [value(row) for row in rows], "o-", label=name)
    middle.set(
        title="One operation, median", ylabel="processor milliseconds", xscale="log", yscale="log"
    )
    right.plot(sizes, [row["whole_log"]["database_cpu_s"] for row in rows], "o-", label="in SQLite")
    exported = [row["whole_log"]["export_verify_cpu_s"] for row in rows]
    right.plot(sizes, exported, "o-", label="exported file")
    right.set(title="Checking every leaf", ylabel="processor seconds", xscale="log", yscale="log")
    disk.plot(sizes, [row["database_bytes"] / row["size"] for row in rows], "o-", label="database")
    exported = [row["whole_log"]["export_bytes"] / row["size"] for row in rows]
    disk.plot(sizes, exported, "o-", label="exported file")
    disk.set(title="On disk", ylabel="bytes a leaf", xscale="log", yscale="log")
    for axes in axes_of:
        axes.set_xlabel("leaves")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=8)
    middle.legend(fontsize=8, loc="center left", bbox_to_anchor=(0.0, 0.36))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    result = json.loads((root / "benchmarks/results/audit.json").read_text(encoding="utf-8"))
    draw(result["sizes"], root / "docs/images/audit.png")

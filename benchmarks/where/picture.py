"""Draws how long a filter takes, and a list with one, by the size of the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

_ROOT: Final = Path(__file__).parents[2]
WAYS: Final = {
    "mongoquery": "mongoquery",
    "plain": "one item after another",
    "sqlite_json": "SQL over JSON (SQLite)",
    "chroma": "Chroma's filter",
    "masks": "masks over columns",
}


def draw(result: Path, path: Path = _ROOT / "docs/images/where.png") -> None:
    """Write the picture of ``where.json`` to ``path``."""
    sizes = json.loads(result.read_text(encoding="utf-8"))["sizes"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
    for way, label in WAYS.items():
        points = [
            (row["items"], filtered[way]["cpu_ms_p50"])
            for row in sizes
            for filtered in row["filters"]
            if filtered["conditions"] == 3 and way in filtered
        ]
        if points:
            left.plot(*zip(*points, strict=True), "o-", label=label)
    left.set(title="Three conditions", ylabel="processor milliseconds, median", yscale="log")
    for place, count in enumerate([one["conditions"] for one in sizes[0]["filters"]]):
        times = [row["filters"][place]["masks"]["cpu_ms_p50"] for row in sizes]
        label = f"{count} condition{'s' if count > 1 else ''}"
        right.plot([row["items"] for row in sizes], times, "o-", label=label)
    right.set(title="Masks over columns", ylabel="processor milliseconds, median", yscale="log")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="items")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_lists(result: Path, path: Path = _ROOT / "docs/images/where_lists.png") -> None:
    """Write the picture of ``where_lists.json`` to ``path``."""
    sizes = json.loads(result.read_text(encoding="utf-8"))["sizes"]
    figure, panels = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained", sharey=True)
    labels = {"without": "no filter"} | {
        f"with_{count}": f"{count} condition{'s' if count > 1 else ''}" for count in (1, 3, 10)
    }
    for axes, share, title in zip(
        panels, ("p50", "p99"), ("Median", "99th percentile"), strict=True
    ):
        for name, label in labels.items():
            axes.plot(
                [row["items"] for row in sizes],
                [row[name][share] for row in sizes],
                "o-",
                label=label,
            )
        axes.set(title=title, xscale="log", yscale="log", xlabel="items")
        axes.set(ylabel="processor milliseconds of the candidates of a list")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    draw(_ROOT / "benchmarks/results/where.json")

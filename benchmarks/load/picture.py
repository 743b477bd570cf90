"""Draws docs/images/load.png from benchmarks/results/load.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.harness import RESULTS

mpl.use("Agg")

PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "load.png"
_COLOURS: Final = {"1": "#3d5a80", "2": "#6a994e", "4": "#d1495b"}
_LINES: Final = {"p50": ":", "p99": "-"}


def draw(figures: Mapping[str, Any], *, path: Path = PICTURE) -> None:
    """Draw what was answered, and how long lists took, by the rate that was offered."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    rates: list[float] = []
    for count, measured in figures["curves_by_api_processes"].items():
        curve = measured["rates"]
        rates = [row["offered_per_second"] for row in curve]
        colour = _COLOURS[count]
        answered = [row["answered_per_second"] for row in curve]
        left.plot(rates, answered, "o-", color=colour, label=f"{count} API processes")
        for name, line in _LINES.items():
            values = [row["ms"].get("recommend", {}).get(name) for row in curve]
            label = f"{name}, {count} processes"
            right.plot(rates, values, "o", linestyle=line, color=colour, label=label)
    left.plot(rates, rates, color="#bbbbbb", linewidth=1, label="all")
    left.set(xlabel="requests a second, offered", ylabel="answered", xscale="log", yscale="log")
    right.set(xlabel="requests a second, offered", ylabel="ms of a list", xscale="log")
    right.set_yscale("log")
    for axes in (left, right):
        axes.grid(visible=True, which="both", alpha=0.2)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Draw."""
    draw(json.loads((RESULTS / "load.json").read_text(encoding="utf-8")))
    print(PICTURE)


if __name__ == "__main__":
    main()

"""Draws docs/images/chaos.png from benchmarks/results/chaos.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.harness import RESULTS

mpl.use("Agg")

PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "chaos.png"
_MARKS: Final = {
    "Redis flushed": ("#d1495b", "v"),
    "Redis restarted": ("#d1495b", "s"),
    "PostgreSQL cut": ("#3d5a80", "v"),
    "Chroma down": ("#6a994e", "s"),
    "worker killed": ("#111111", "X"),
    "child killed": ("#888888", "x"),
    "API killed": ("#ee9b00", "X"),
}


def draw(figures: Mapping[str, Any], *, path: Path = PICTURE) -> None:
    """Draw requests over time with what broke, and below it how long each took."""
    figure, (over, below) = plt.subplots(
        2, 1, figsize=(9, 6.5), height_ratios=(2, 1), constrained_layout=True
    )
    _draw_progress(over, figures)
    below.hist(figures["waits_s"], bins=60, color="#3d5a80")
    percentiles = figures["seconds_to_complete"]
    for place, name in enumerate(("p50", "p95", "p99")):
        below.axvline(percentiles[name], color="#d1495b", linewidth=1)
        below.annotate(
            f" {name} {percentiles[name]:.0f} s",
            (percentiles[name], 0.9 - 0.12 * place),
            xycoords=("data", "axes fraction"),
            fontsize=8,
        )
    below.set_xlabel("seconds from the 202 to the certificate")
    below.set_ylabel("requests")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_progress(axes: Any, figures: Mapping[str, Any]) -> None:  # noqa: ANN401 - has no types
    received, completed = sorted(figures["received_s"]), figures["completed_s"]
    axes.step(received, range(1, len(received) + 1), label="accepted", color="#ee9b00")
    axes.step(completed, range(1, len(completed) + 1), label="completed", color="#6a994e")
    top = figures["requests"]
    for name, (colour, mark) in _MARKS.items():
        times = [at_s for at_s, event in figures["events"] if event == name]
        heights = [top * 1.04 + top * 0.03 * list(_MARKS).index(name)] * len(times)
        label = f"{name} ({len(times)})"
        axes.scatter(times, heights, color=colour, marker=mark, s=16, label=label, linewidth=0.8)
    axes.set_title(
        f"{top} erasures while everything under them breaks: "
        f"{figures['lost']} lost, {figures['completed_twice_or_more']} done twice"
    )
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def main() -> None:
    """Draw."""
    draw(json.loads((RESULTS / "chaos.json").read_text(encoding="utf-8")))
    print(PICTURE)


if __name__ == "__main__":
    main()

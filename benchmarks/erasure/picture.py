"""Draws what each way of erasing leaves on disk, and what callers wait beside a cleaning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

Row = Mapping[str, Any]
LABELS = {"document": "texts", "vector": "vectors", "id": "ids", "pseudonym": "users"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture of ``rows`` of ``erasure.json``, the largest size of each procedure."""
    largest = {row["procedure"]: row for row in sorted(rows, key=lambda row: row["records"])}
    names = list(largest)[::-1]
    height = 0.8 / len(LABELS)
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.75 * len(names)), layout="constrained")
    for number, (kind, label) in enumerate(LABELS.items()):
        shares = [100 * largest[name]["left"][kind] for name in names]
        places = [place + 0.3 - number * height for place in range(len(names))]
        axes.barh(places, shares, height=height, label=label)
        for place, name in zip(places, names, strict=True):
            if largest[name]["found_before"][kind] < 1:
                axes.text(1, place, f"{label}: not visible to a byte search", va="center", size=6)
    ticks = [
        f"{name}\n{largest[name]['records']:,} records, {largest[name]['erase_s']:.2f} s"
        for name in names
    ]
    axes.set_yticks(range(len(names)), ticks, fontsize=8)
    axes.set(xlabel="% of five erased users' data still in the files", xlim=(0, 100))
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(LABELS), fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_stall(measured: Mapping[str, Any], path: Path) -> None:
    """Draw how long callers waited by what was beside, for each mode of ``erasure_stall.json``."""
    modes = [mode for mode in ("embedded", "servers") if mode in measured]
    figure, panels = plt.subplots(
        1, len(modes), figsize=(5 * len(modes), 3.6), layout="constrained", squeeze=False
    )
    asked = {"recommend": "a list", "recommend_noted": "a list from notes", "write": "a note sent"}
    for axes, mode in zip(panels[0], modes, strict=True):
        beside = measured[mode]["beside"]
        for number, (one, label) in enumerate(asked.items()):
            waits = [beside[name]["waits_s"][one] for name in beside]
            places = [place + 0.25 * (number - 1) for place in range(len(waits))]
            colour = f"C{number}"
            tops = [wait["max"] for wait in waits]
            axes.vlines(places, [wait["p50"] for wait in waits], tops, color=colour, alpha=0.4)
            axes.plot(places, [wait["p50"] for wait in waits], "_", color=colour)
            axes.plot(places, [wait["p99"] for wait in waits], "o", color=colour, ms=4)
            axes.plot(places, tops, "^", color=colour, label=label)
        axes.axhline(0.25, color="grey", linestyle=":", linewidth=1)
        axes.set(yscale="log", title=mode, ylabel="seconds: median, 99 %, worst")
        axes.set_xticks(range(len(beside)), list(beside))
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_nodes(rows: Sequence[Row], path: Path) -> None:
    """Draw certificates a minute by servers, measured and computed, of ``erasure_nodes.json``."""
    asked = sorted({row["asked"] for row in rows})
    figure, panels = plt.subplots(
        1, len(asked), figsize=(5.2 * len(asked), 4.2), layout="constrained", squeeze=False
    )
    for axes, n_asked in zip(panels[0], asked, strict=True):
        lines: dict[tuple[int, int], dict[int, Row]] = {}
        for row in (row for row in rows if row["asked"] == n_asked):
            lines.setdefault((row["memories"], row["at_once"]), {})[row["servers"]] = row
        for number, ((memories, at_once), line) in enumerate(sorted(lines.items())):
            look = {"color": f"C{number}", "marker": "ov"[at_once > 1]}
            told = [row for _, row in sorted(line.items())]
            places = [row["servers"] for row in told]
            label = f"{memories:,} memories, {at_once} at once a worker"
            axes.plot(places, [row["a_minute"] for row in told], "-", label=label, **look)
            computed = [row["computed_a_minute"] for row in told]
            axes.plot(places, computed, ":", alpha=0.6, **look)
        axes.set(
            title=f"{n_asked} users ask at once",
            xlabel="Chroma servers, each with a worker",
            ylabel="certificates a minute",
            xticks=sorted({row["servers"] for row in rows}),
            ylim=(0, None),
        )
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7)
    figure.suptitle(
        "solid: measured, all on two cores. dotted: computed, each node a machine of its own",
        fontsize=9,
    )
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    result = json.loads((root / "benchmarks/results/erasure.json").read_text(encoding="utf-8"))
    draw(result["rows"], root / "docs/images/erasure.png")

"""Draws what each way of erasing leaves on disk."""

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


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    result = json.loads((root / "benchmarks/results/erasure.json").read_text(encoding="utf-8"))
    draw(result["rows"], root / "docs/images/erasure.png")

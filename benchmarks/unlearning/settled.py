"""What the cells rest on: settings that validation chose, commits and machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.unlearning.figures import Cells


def settings(cells: Cells, folder: Path) -> str:
    """Return what was tried and chosen, by data set, method and backbone."""
    lines = [
        "| what | settings tried | CPU s | chosen | NDCG@10 on validation: worst, best |",
        "|" + " --- |" * 5,
    ]
    for path in sorted(folder.glob("tuning_*.json")):
        found = json.loads(path.read_text("utf-8"))
        tried = found["tried"]
        values = [row["valid_ndcg@10"] for row in tried]
        cpu_s = sum(row["cpu_s"] for row in tried)
        what = path.stem.removeprefix("tuning_").replace("_", " ")
        spread = f"{min(values):.4f}, {max(values):.4f}"
        chosen = _short(tried[found["best"]]["setting"])
        lines.append(f"| {what} | {len(tried)} | {cpu_s:.0f} | {chosen} | {spread} |")
    untuned = {
        (cell["data"], cell["method"], cell["backbone"], _short(cell["setting"]))
        for cell in cells.all()
        if cell["setting"] and cell["settings_tried"] == 1
    }
    for data, method, backbone, setting in sorted(untuned):
        lines.append(f"| {data} {method} {backbone} | 1, not tuned | 0 | {setting} | · |")
    return "\n".join(lines)


def cells_by_commit(cells: Cells) -> str:
    """Return how many cells were measured by which commit, where and when."""
    counted = Counter(
        (_commit(cell["commit"]), _machine(cell["machine"]), cell["date"][:10])
        for cell in cells.all()
    )
    loads = [cell["machine"]["load_average"][0] for cell in cells.all()]
    lines = [
        f"- {n} cells at {commit} on {machine}, {date}"
        for (commit, machine, date), n in sorted(counted.items())
    ]
    if loads:
        lines.append(f"- load average while they were written: {min(loads)} to {max(loads)}")
    return "\n".join(lines)


def cost(cells: Cells, folder: Path) -> str:
    """Return how much processor time the cells of each data set took, and their settings."""
    tuned = Counter[str]()
    for path in folder.glob("tuning_*.json"):
        found = json.loads(path.read_text("utf-8"))
        tuned[path.stem.split("_")[1]] += sum(row["cpu_s"] for row in found["tried"])
    lines = []
    for data in cells.data():
        every = [cell for cell in cells.all() if cell["data"] == data]
        known = [cell["cell_cpu_s"] for cell in every if "cell_cpu_s" in cell]
        lines.append(
            f"- {data}: {len(known)} of {len(every)} cells say what they took, "
            f"{sum(known) / 60:.0f} processor minutes, and choosing settings "
            f"{tuned[data] / 60:.0f}"
        )
    return "\n".join(lines)


def _commit(name: str) -> str:
    """Return a short name that still says whether there were changes on top of the commit."""
    commit, _, changes = name.partition("+")
    return commit[:9] + (f" with {changes} on top" if changes else "")


def _machine(facts: Mapping[str, Any]) -> str:
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"


def _short(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in setting.items())

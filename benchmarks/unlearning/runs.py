"""How long the runs of a grid took, all of its processes together."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import commit, write_result
from benchmarks.unlearning.grids import Grid

PREFIX: Final = "run_"
_TUNING: Final = "tuning_"


def _spent() -> float:
    """Return processor seconds of this process and of its children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


class Watch:
    """Started when a run begins.

    Args:
        folder: where cells lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._before = folder, _written(folder)
        self._begun, self._cpu_s, self._load = time.time(), _spent(), os.getloadavg()

    def note(self, grid: Grid, *, asked: Mapping[str, object], failed: Sequence[str]) -> None:
        """Add this run to the grid's; a run that measured nothing is none."""
        there = _written(self._folder)
        fresh = [path for path, at in there.items() if self._before.get(path) != at]
        if not fresh:
            return
        name = f"{PREFIX}{grid.name}"
        path = self._folder / f"{name}.json"
        before = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
        run: dict[str, Any] = {
            "asked": dict(asked),
            "begun": datetime.fromtimestamp(self._begun, UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "wall_s": round(time.time() - self._begun, 1),
            "cpu_s": round(_spent() - self._cpu_s, 1),
            "load_average_before": [round(load, 2) for load in self._load],
            "cells_before": sum(not _is_tuning(path) for path in there.keys() - set(fresh)),
            "cells_measured": sum(not _is_tuning(path) for path in fresh),
            "settings_chosen": sum(map(_is_tuning, fresh)),
            "failed": list(failed),
        }
        write_result(name, {"seed": grid.seeds[0], "runs": [*before, run]}, folder=self._folder)


def told(folder: Path) -> str:
    """Return one line a run."""
    return "\n".join(
        f"- {path.stem.removeprefix(PREFIX)} grid, begun {run['begun']}: "
        f"{run['cells_measured']} cells measured and {run['settings_chosen']} settings chosen in "
        f"{run['wall_s'] / 60:.1f} minutes, {run['cpu_s'] / 60:.1f} of processor time, "
        f"{run['asked']['jobs']} processes at a time, {run['cells_before']} cells there before, "
        f"{len(run['failed'])} groups failed, load average before {run['load_average_before'][0]}"
        for path in sorted(folder.glob(f"{PREFIX}*.json"))
        for run in json.loads(path.read_text("utf-8"))["runs"]
    )


def _written(folder: Path) -> dict[Path, int]:
    """Return when each cell and each choice of settings was written."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.glob("*.json")
        if not path.stem.startswith(PREFIX)
    }


def _is_tuning(path: Path) -> bool:
    return path.stem.startswith(_TUNING)

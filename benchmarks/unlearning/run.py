"""Measure every system that unlearns: ``python -m benchmarks.unlearning.run --grid reduced``.

Needs torch: ``make setup-bench``. One JSON a cell under ``benchmarks/results/unlearning``.
What is there is kept, so a run that was cut off goes on where it was. The full grid is
``--grid full``, days on two cores: see docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.unlearning.grids import GRIDS, Grid, Group, cells, groups
from benchmarks.unlearning.registry import methods
from benchmarks.unlearning.runs import Watch
from benchmarks.unlearning.tuning import CELLS

CACHE: Final = Path(".bench-cache") / "unlearning"
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
"""Processor time is that of one thread, and as many processes as cores do not get in their way."""


class Runner:
    """Starts one process a group and counts the cells that they report.

    Args:
        grid: what to measure.
        folder: where cells lie.
        cache: where answers of retrained systems and logs lie.
        only: names of scenarios; none means all of the grid.
        more: further words for the worker.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        folder: Path,
        cache: Path,
        only: Sequence[str],
        more: Sequence[str] = (),
    ) -> None:
        self._grid, self._folder, self._cache = grid, folder, cache
        self._only, self._more = only, more
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )

    def run(self, chosen: Sequence[Group], *, jobs: int) -> list[str]:
        """Measure the groups, ``jobs`` at a time; return the names of those that failed."""
        known = methods()
        total = sum(
            len(cells(self._grid, group, known[group.method], only=self._only)) for group in chosen
        )
        with self._bar, ThreadPoolExecutor(jobs) as pool:
            task = self._bar.add_task("cells", total=total)
            done = pool.map(lambda group: self._group(group, task=task), chosen)
            return [name for name in done if name]

    def _group(self, group: Group, *, task: object) -> str:
        name = f"{group.data}_{group.backbone}_{group.method}_s{group.seed}"
        log = self._cache / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            child = subprocess.Popen(
                self._command(group),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **_ONE_THREAD},
            )
            for line in child.stdout or ():
                if line.startswith("cell "):
                    self._bar.console.print(line.removeprefix("cell ").strip())
                    self._bar.advance(task)  # type: ignore[arg-type] # rich's own number
            code = child.wait()
        return name if code else ""

    def _command(self, group: Group) -> list[str]:
        given = {
            "grid": self._grid.name,
            "data": group.data,
            "backbone": group.backbone,
            "method": group.method,
            "seed": group.seed,
            "folder": self._folder,
            "cache": self._cache,
        }
        words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
        module = [sys.executable, "-m", "benchmarks.unlearning.worker", *words]
        return [*module, *self._more, "--scenario", *self._only]


def main() -> None:
    """Measure a grid, or some of its methods; fail if one of them did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", choices=sorted(GRIDS), default="reduced")
    parser.add_argument("--data", nargs="*", default=[], help="these in place of the grid's")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--method", nargs="*", default=[], help="only these")
    parser.add_argument("--backbone", nargs="*", default=[], help="only these")
    parser.add_argument("--scenario", nargs="*", default=[], help="only these")
    parser.add_argument("--untuned", action="store_true", help="methods' first settings")
    parser.add_argument("--folder", type=Path, default=CELLS)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    grid = GRIDS[options.grid]
    if options.data:
        grid = replace(grid, data=tuple(options.data))
    chosen = [
        group
        for group in groups(grid, methods())
        if (not options.method or group.method in options.method)
        and (not options.backbone or group.backbone in options.backbone)
    ]
    runner = Runner(
        grid,
        folder=options.folder,
        cache=options.cache,
        only=options.scenario,
        more=["--untuned"] if options.untuned else [],
    )
    watch = Watch(options.folder)
    failed = runner.run(chosen, jobs=options.jobs)
    asked = {
        name: getattr(options, name)
        for name in ("data", "jobs", "method", "backbone", "scenario", "untuned")
    }
    watch.note(grid, asked=asked, failed=failed)
    for name in failed:
        print(f"failed: {name}, see {options.cache / name}.log", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
